"""From one source to another: numbers that go on, pictures that wait, repeats across the change, costs."""

from __future__ import annotations

import pickle

from media.forward import Forwarder, Sending
from media.ingest import Track
from media.rtc.crowd import SendStream
from media.rtp import RtpPacket, newer_stamp
from media.source import HEADER_BYTES, METER_S, Meter, Source
from tests.media.test_forward import Sent


class Purse:
    """A flow with so much credit, of which each packet takes one."""

    def __init__(self, credit: float) -> None:
        self.credit = credit

    def refill(self, now_s: float) -> float:
        """Return what is left: nothing is earned."""
        return self.credit


class Paying(Sent):
    """A batch that keeps what was sent and charges the flow, as the real loop does."""

    def fan_out(self, sequence, timestamp, marker, body, streams, padding, now_s, paced=False) -> None:
        """Let paced packets wait where the purse is empty."""
        for stream in streams:
            if paced and (stream.behind or stream.flow.credit <= 0):
                stream.cursor = stream.cursor if stream.behind else sequence
                stream.behind = True
                continue
            stream.flow.credit -= 1
            super().fan_out(sequence, timestamp, marker, body, [stream], padding, now_s)


def feed(track: Track, number: int, keyframe: bool = False, at_s: float = 0.0):
    """Receive one picture of one packet."""
    packet = RtpPacket(96, number & 0xFFFF, number * 3600, 1, bytes([number & 0xFF]) * 50, True)
    return track.receive(packet, keyframe, at_s)


def viewer(track: Track, credit: float) -> tuple[Forwarder, Sending, Paying]:
    """Return one viewer of pictures with this credit."""
    sent = Paying()
    sending = Sending(SendStream(22, 45), track, 2000)
    sending.stream.flow = Purse(credit)
    return Forwarder(sent, None, sending, SendStream(33, 46), 500), sending, sent


def test_numbers_go_on_across_tracks_and_repeats_find_their_packet() -> None:
    """Two tracks one after the other look like one stream; a NACK reaches back into the first."""
    host, low = Track("video", 90000), Track("video", 90000)
    forwarder, sending, sent = viewer(host, 1000)
    forwarder.repair.flow = sending.stream.flow
    for track, first, count in ((host, 10, 5), (low, 70, 4)):
        sending.pause(sending.head)
        sending.track = track
        made = [feed(track, first + i, keyframe=i == 0) for i in range(count)]
        sending.begin(made[0].number)
        sending.stream.behind, sending.stream.cursor = True, made[0].number
        forwarder.advance(sending, 0.0)
    assert sent.wire(sending.stream) == list(range(2000, 2009))
    forwarder.repeat(22, (2001, 2006), 1.0)
    repeated = [(int.from_bytes(body[:2]), body[2]) for stream, _, body in sent.packets if stream.ssrc == 33]
    assert repeated == [(2001, 11), (2006, 71)]


def test_pictures_wait_for_credit_in_order() -> None:
    """What does not fit waits; it goes on from there, nothing twice and nothing left out."""
    track = Track("video", 90000)
    forwarder, sending, sent = viewer(track, 3)
    source = Source(track, "AV1", sent, lambda _now_s: None, 0.0)
    source.streams.add(sending.stream)
    for number in range(10):
        made = feed(track, number, number == 0, number * 0.04)
        if number == 0:
            sending.begin(made.number)
        source.send(made, number * 0.04)
    assert sent.wire(sending.stream) == [2000, 2001, 2002]
    assert abs(forwarder.waited_s(1.0) - (1.0 - 3 * 0.04)) < 1e-9
    sending.stream.flow.credit = 100
    forwarder.advance(sending, 1.0)
    assert sent.wire(sending.stream) == list(range(2000, 2010)) and not sending.stream.behind


def test_a_repaired_packet_goes_to_those_who_have_passed_its_place() -> None:
    """Who has gone by gets it at once; who waits before it gets it in its turn; who began later never."""
    track = Track("video", 90000)
    feed(track, 0, True)
    made = {n: feed(track, n) for n in (1, 3, 4)}
    sent = Paying()
    source = Source(track, "AV1", sent, lambda _now_s: None, 0.0)
    base = made[1].number - 1
    for ssrc, first, behind, cursor in ((1, 0, False, 0), (2, 0, True, 2), (3, 3, False, 0)):
        stream = SendStream(ssrc, 45)
        stream.flow, stream.first, stream.behind, stream.cursor = Purse(9), base + first, behind, base + cursor
        source.streams.add(stream)
    source.send(feed(track, 2), 0.1)
    assert [stream.ssrc for stream, _, _ in sent.packets] == [1]


def test_a_cost_follows_a_rise_at_once_and_a_fall_slowly() -> None:
    """Speech after silence is reckoned with in two seconds; a pause of a second changes the cost by little."""
    meter = Meter(0.0)
    now_s = 0.0
    while now_s < 2 * METER_S:
        meter.add(120 + HEADER_BYTES, now_s)
        now_s += 0.06
    speaking = meter.cost_bps(now_s)
    assert abs(speaking - (120 + HEADER_BYTES) * 8 / 0.06) < 0.1 * speaking
    assert 0.8 * speaking < meter.cost_bps(now_s + 1.0) < speaking
    assert meter.cost_bps(now_s + 60.0) < 0.01 * speaking


def test_a_meter_that_nobody_asks_keeps_no_more_than_its_mean_needs() -> None:
    """Low rungs have costs of their own: what was noted of them for an hour must not stay in memory."""
    meter = Meter(0.0)
    began_bytes = kept_bytes(meter)
    for packet in range(60_000):
        meter.add(100, packet * 0.06)
    assert kept_bytes(meter) < began_bytes + 4096
    assert abs(meter.rate_bps(3600.0) - 100 * 8 / 0.06) < 0.2 * 100 * 8 / 0.06


def kept_bytes(meter: Meter) -> int:
    """Return what a meter weighs in memory."""
    return len(pickle.dumps(meter))


def test_timestamps_are_compared_across_the_wrap() -> None:
    """A timestamp just behind the wrap is newer than one before it; the same one is not."""
    assert newer_stamp(5, 0xFFFFFFF0) and not newer_stamp(0xFFFFFFF0, 5) and not newer_stamp(7, 7)
