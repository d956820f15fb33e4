"""A host's packets keep one numbering for viewers, through wraps, padding, loss and reconnects."""

from __future__ import annotations

from media.ingest import GOP_MAX_BYTES, STORE_PACKETS, Track, TrackPacket
from media.rtp import RtpPacket


def packet(sequence: int, timestamp: int = 0, payload: bytes = b"x", ssrc: int = 1, marker: bool = False) -> RtpPacket:
    """Make a host's packet."""
    return RtpPacket(96, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload, marker)


def take(track: Track, *sequences: int, start_s: float = 0.0) -> list[int | None]:
    """Receive packets 20 ms apart; return the room's numbers, relative to the first number of a track."""
    made = [track.receive(packet(s, s * 1800), False, start_s + i * 0.02) for i, s in enumerate(sequences)]
    return [m and m.number - (1 << 20) for m in made]


def test_numbers_go_on_across_the_wrap() -> None:
    """Sequence numbers that wrap, late and repeated ones included, become one rising row."""
    track = Track("video", 90000)
    assert take(track, 65533, 65535, 65534, 0, 65535, 1) == [0, 2, 1, 3, None, 4]
    assert track.duplicates == 1


def test_padding_closes_up() -> None:
    """Packets without payload disappear, and the numbers behind them close the hole."""
    track = Track("video", 90000)
    take(track, 10, 11)
    assert track.receive(packet(12, payload=b""), False, 0.1) is None
    assert take(track, 13, 14, start_s=0.2) == [2, 3]
    assert take(track, 12, start_s=0.3) == [None]


def test_padding_behind_a_loss_keeps_its_number() -> None:
    """Where the numbers cannot close up any more, padding goes out as padding."""
    track = Track("video", 90000)
    take(track, 10, 13)
    made = track.receive(packet(12, payload=b""), False, 0.1)
    assert made.padding and made.number == (1 << 20) + 2
    assert made.payload == b"\x01"


def test_a_host_that_comes_back_goes_on_with_numbers_and_time() -> None:
    """A new connection brings new sources and numbers; viewers see the next number and a time that fits the pause."""
    track = Track("audio", 48000)
    first = track.receive(packet(100, 5000, ssrc=1), False, 10.0)
    track.restart()
    second = track.receive(packet(60000, 777, ssrc=2), False, 13.0)
    assert second.number == first.number + 1
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 3 * 48000
    third = track.receive(packet(60001, 777 + 2880, ssrc=2), False, 13.06)
    assert third.timestamp - second.timestamp == 2880


def test_a_second_source_does_not_break_in() -> None:
    """While the present source is heard, another one is dropped; after its silence the other takes over."""
    track = Track("audio", 48000)
    track.receive(packet(1, ssrc=1), False, 0.0)
    assert track.receive(packet(50, ssrc=2), False, 0.1) is None
    assert track.strangers == 1
    assert track.receive(packet(51, ssrc=2), False, 1.0) is not None


def test_recent_packets_are_kept_and_old_ones_refused() -> None:
    """The store gives back what came lately; a packet older than the store is not taken again."""
    track = Track("video", 90000)
    for sequence in range(STORE_PACKETS + 10):
        track.receive(packet(sequence), False, 0.0)
    assert track.packet(track.highest).number == track.highest
    assert track.packet(1 << 20) is None
    assert track.receive(packet(3), False, 0.0) is None


def test_the_group_of_pictures_begins_with_its_parameter_sets() -> None:
    """Packets of the keyframe's own picture that went before it belong to the group, those of the last picture not."""
    track = Track("video", 90000)
    track.receive(packet(1, 1000), True, 0.0)
    track.receive(packet(2, 2000), False, 0.1)
    track.receive(packet(3, 3000), False, 0.2)
    old = track.gop
    track.receive(packet(4, 3000), True, 0.2)
    assert [p.timestamp for p in track.gop.packets] == [3000, 3000]
    assert old.closed and old.next is track.gop


def test_a_late_packet_takes_its_place_in_the_group() -> None:
    """A repaired packet is replayed where it belongs."""
    track = Track("video", 90000)
    track.receive(packet(1, 0), True, 0.0)
    for sequence in (3, 4, 2):
        track.receive(packet(sequence, sequence * 3000), False, 0.1)
    assert [p.number - (1 << 20) for p in track.gop.packets] == [0, 1, 2, 3]


def test_a_group_that_outgrows_its_bounds_is_forgotten() -> None:
    """Neither bytes nor seconds of cached pictures grow without end."""
    track = Track("video", 90000)
    track.receive(packet(0), True, 0.0)
    gop = track.gop
    for sequence in range(1, GOP_MAX_BYTES // 1200 + 2):
        track.receive(packet(sequence, sequence, bytes(1200)), False, 0.01)
    assert track.gop is None and gop.closed and gop.next is None
    track.receive(packet(8000, 9), True, 1.0)
    track.receive(packet(8001, 10), False, 30.0)
    assert track.gop is None


def test_receiver_reports_count_what_is_missing() -> None:
    """Two of ten lost is 51 of 256; an interval without loss reports none."""
    track = Track("audio", 48000)
    take(track, *(s for s in range(1, 11) if s not in (4, 5)))
    assert track.reception.interval() == (51, 2)
    take(track, *range(11, 21))
    assert track.reception.interval() == (0, 2)


def test_the_hosts_clock_is_turned_into_the_rooms() -> None:
    """Sender reports of the present source map to the room's timestamps; others are ignored."""
    track = Track("audio", 48000)
    track.receive(packet(1, 1000, ssrc=1), False, 0.0)
    track.restart()
    made: TrackPacket = track.receive(packet(1, 50_000, ssrc=2), False, 1.0)
    assert track.sender_report(1, 100.0, 50_000, 1.0) is None
    assert track.sender_report(2, 100.0, 50_000 + 480, 1.0) == made.timestamp + 480
