"""What one viewer is sent: its own numbers, cached pictures first, repeats on request, clocks that fit."""

from __future__ import annotations

from dataclasses import dataclass, field

from media import rtcp
from media.forward import REPLAY_SPEED, Forwarder, Sending, clocks_of
from media.ingest import Track
from media.rtc.crowd import SendStream
from media.rtp import RtpPacket


@dataclass
class Sent:
    """Stands for the batch: keeps (stream, sequence on the wire, body)."""

    packets: list[tuple[SendStream, int, bytes]] = field(default_factory=list)

    def fan_out(self, sequence, timestamp, marker, body, streams, padding, now_s) -> None:
        """Do to the numbers what the real loop does."""
        for stream in streams:
            self.packets.append((stream, (sequence + stream.sequence_delta) & 0xFFFF, body))
            stream.packets += 1
            stream.octets += len(body)

    def wire(self, stream: SendStream) -> list[int]:
        """Return the sequence numbers that one stream sent."""
        return [number for sent, number, _ in self.packets if sent is stream]


def pictures(track: Track, count: int, first: int = 0, keyframe_at: int = 0, start_s: float = 0.0) -> None:
    """Receive pictures of one packet each, 40 ms apart."""
    for index in range(count):
        number = first + index
        packet = RtpPacket(96, number & 0xFFFF, number * 3600, 1, bytes([number & 0xFF]) * 50, True)
        track.receive(packet, index == keyframe_at, start_s + index * 0.04)


def viewer(track: Track, start: int = 2000, rtx: bool = True) -> tuple[Forwarder, Sent]:
    """Make a viewer of the picture alone."""
    sent = Sent()
    repair = SendStream(33, 46) if rtx else None
    return Forwarder(sent, None, Sending(SendStream(22, 45), track, start), repair, 500), sent


def test_cached_pictures_are_replayed_in_order_and_faster() -> None:
    """A viewer gets the group from its keyframe on, without gaps, at several times the pace, and is then up to date."""
    track = Track("video", 90000)
    pictures(track, 100)
    forwarder, sent = viewer(track)
    forwarder.start_replay(track.gop, 4.0)
    steps = 0
    while not forwarder.replay(4.0 + steps * 0.02):
        steps += 1
    assert sent.wire(forwarder.video.stream) == list(range(2000, 2100))
    assert abs(steps * 0.02 - 99 * 0.04 / REPLAY_SPEED) < 0.04


def test_a_replay_goes_over_into_the_next_group() -> None:
    """A keyframe that comes while the old group is replayed is sent behind it, nothing left out."""
    track = Track("video", 90000)
    pictures(track, 50)
    forwarder, sent = viewer(track)
    forwarder.start_replay(track.gop, 2.0)
    forwarder.replay(2.1)
    pictures(track, 20, first=50, start_s=2.0)
    assert forwarder.replay(9.0)
    assert sent.wire(forwarder.video.stream) == list(range(2000, 2070))


def test_after_a_forgotten_group_the_picture_pauses_and_closes_up() -> None:
    """Where the cache outgrew its bounds the viewer waits for a keyframe, and its numbers show no hole then."""
    track = Track("video", 90000)
    pictures(track, 10)
    gop = track.gop
    forwarder, sent = viewer(track)
    forwarder.start_replay(gop, 1.0)
    gop.closed, track.gop = True, None
    assert not forwarder.replay(9.0)
    assert forwarder.video.begun is None and not forwarder.replaying
    pictures(track, 5, first=300, start_s=10.0)
    forwarder.start_replay(track.gop, 10.2)
    assert forwarder.replay(10.4)
    assert sent.wire(forwarder.video.stream) == list(range(2000, 2015))


def test_lost_packets_come_again_by_rtx() -> None:
    """A NACK is answered on the repair stream: the original number in front of the payload, own rising numbers."""
    track = Track("video", 90000)
    pictures(track, 10, first=65530)
    forwarder, sent = viewer(track)
    forwarder.start_replay(track.gop, 1.0)
    forwarder.replay(9.0)
    forwarder.repeat(22, (2003, 2007), 9.5)
    repeated = [(n, body[:2], body[2]) for stream, n, body in sent.packets if stream.ssrc == 33]
    assert repeated == [
        (500, (2003).to_bytes(2), (65533) & 0xFF),
        (501, (2007).to_bytes(2), (65537) & 0xFF),
    ]


def test_without_rtx_the_same_packet_comes_again() -> None:
    """A viewer without RTX gets the packet under its first number, and the totals do not count it twice."""
    track = Track("video", 90000)
    pictures(track, 10)
    forwarder, sent = viewer(track, rtx=False)
    forwarder.start_replay(track.gop, 1.0)
    forwarder.replay(9.0)
    forwarder.repeat(22, (2003,), 9.5)
    assert sent.packets[-1][1:] == (2003, bytes([3]) * 50)
    assert forwarder.video.stream.packets == 10


def test_numbers_that_were_never_sent_are_not_repeated() -> None:
    """Requests for packets before the beginning, ahead of the newest or of another source bring nothing."""
    track = Track("video", 90000)
    pictures(track, 10)
    forwarder, sent = viewer(track)
    forwarder.start_replay(track.gop, 1.0)
    forwarder.replay(9.0)
    before = len(sent.packets)
    forwarder.repeat(22, (1999, 2010, 40000), 9.5)
    forwarder.repeat(77, (2003,), 9.5)
    assert len(sent.packets) == before


def test_the_round_trip_is_read_from_the_echoed_clock() -> None:
    """A report block that echoes our sender report moves the estimate; one that echoes nothing does not."""
    track = Track("video", 90000)
    pictures(track, 3)
    forwarder, _ = viewer(track)
    forwarder.start_replay(track.gop, 1.0)
    forwarder.replay(9.0)
    report = rtcp.parse_compound(forwarder.reports(1_700_000_000.0, 10.0))[0]
    middle = report.ntp_time >> 16 & 0xFFFFFFFF
    forwarder.reported(rtcp.ReportBlock(22, 0, 0, 0, 0, 12345, 0), 10.5)
    assert forwarder.rtt_s == 0.1
    for _ in range(30):
        forwarder.reported(rtcp.ReportBlock(22, 64, 0, 0, 0, middle, 65536), 11.5)
    assert abs(forwarder.rtt_s - 0.5) < 0.01
    assert forwarder.fraction_lost == 0.25


def test_lip_sync_uses_the_hosts_clocks_or_neither() -> None:
    """With reports for both tracks the host's clocks are passed on; with one alone, arrival times serve for both."""
    voice, picture = Track("audio", 48000), Track("video", 90000)
    voice.receive(RtpPacket(111, 1, 48_000, 5, b"v"), False, 100.0)
    picture.receive(RtpPacket(96, 1, 90_000, 6, b"p"), False, 100.2)
    voice.sender_report(5, 5000.0, 48_000, 100.0)
    both = clocks_of([voice, picture], 1_700_000_000.0, 101.0)
    assert both == [(1_700_000_000.0, 96_000), (1_700_000_000.0, 90_000 + 72_000)]
    picture.sender_report(6, 5000.5, 90_000, 100.2)
    assert clocks_of([voice, picture], 1_700_000_000.0, 101.0) == [(5001.0, 96_000), (5001.3, 162_000)]
