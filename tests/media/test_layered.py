"""Viewers between the host's temporal layers: who gets which pictures, under which numbers, and from where on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from media.answer import MediaPlan, TrackPlan
from media.ingest import Track
from media.layered import CROSSING_S, Layered
from media.payload import Layer
from media.rtc.crowd import SendStream
from media.rtp import RtpPacket
from media.sdp import Codec
from media.source import Source
from media.viewer import Viewer, Who
from rules.rungs import Rung
from tests.media.test_source import Paying, Purse

PATTERN = (0, 2, 1, 2)
FPS = 15
KEYFRAME_EACH = 40
PARTS = 2


class Lesson:
    """A host's picture in three layers, its thinner twins, and real viewers over a batch that keeps what was sent."""

    def __init__(self, codec: str = "AV1") -> None:
        self.sent = Paying()
        self.asked = 0
        self.track = Track("video", 90000)
        self.codec = codec
        self.whole = Source(self.track, codec, self.sent, self._ask, 0.0)
        self.layers = Layered(self.whole, self.sent, 0.0)
        self.viewers: list[Viewer] = []
        self.next = 0
        self.now_s = 0.0

    def _ask(self, _now_s: float) -> None:
        self.asked += 1

    def told(self, picture: int) -> Layer:
        """Return what the packets of a picture say: VP8 opens its layers by the pictures that need the base alone."""
        temporal = PATTERN[picture % 4]
        if self.codec == "VP8":
            return Layer(temporal, from_base=temporal > 0 and picture % 8 in (1, 2))
        return Layer(temporal, opens=temporal == 0)

    def come(self, count: int, pace: bool = True) -> None:
        """Let the host's next `count` packets come, two a picture, and give waiting packets their time."""
        for _ in range(count):
            picture, part = divmod(self.next, PARTS)
            self.now_s = picture / FPS + part * 0.001
            key = picture % KEYFRAME_EACH == 0 and part == 0
            body = self.next.to_bytes(4)
            packet = RtpPacket(45, self.next & 0xFFFF, picture * 6000, 1, body, part == PARTS - 1)
            made = self.track.receive(packet, key, self.now_s, self.told(picture))
            self.next += 1
            self.layers.send(made, self.now_s)
            if pace:
                self.pace()

    def pace(self) -> None:
        """Let waiting packets go, as the pacer does each 10 ms."""
        for source in (self.whole, *self.layers.sources.values()):
            for viewer in self.viewers:
                if viewer.showing is source and viewer.picture.behind:
                    viewer.forwarder.advance(viewer.forwarder.video, self.now_s)

    def viewer(self, rung: Rung = Rung.FULL) -> Viewer:
        """Let one in who begins with the next keyframe of a rung."""
        peer = SimpleNamespace(stream=lambda ssrc, pt, urgent=False: SendStream(ssrc, pt, urgent), feed=lambda: None)
        port = SimpleNamespace(batch=self.sent, peer=lambda handler: peer)
        codec = Codec(45, self.codec, 90000, 1, rtx=46)
        plan = MediaPlan(None, TrackPlan(0, codec, ()))
        tracks = (Track("audio", 48000), self.track)
        made = Viewer(port, Who("k", "n", "s"), plan, tracks, self.codec, lambda *_: None, lambda _: None)
        made.picture.flow = Purse(10**6)
        made.forwarder.repair.flow = made.picture.flow
        made.turn(self.layers.sources.get(rung, self.whole), self.now_s)
        self.viewers.append(made)
        return made

    def got(self, viewer: Viewer) -> list[int]:
        """Return the host's packets that a viewer got, in order of its numbers, which must close up."""
        mine = [(number, body) for stream, number, body in self.sent.packets if stream is viewer.picture]
        numbers = [number for number, _ in mine]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        return [int.from_bytes(body) for _, body in mine]

    def layers_of(self, packets: list[int]) -> list[int]:
        """Return the layer of each picture in a list of packets, which must be whole pictures."""
        assert len(packets) % PARTS == 0
        assert all(b == a + 1 for a, b in zip(packets[::PARTS], packets[1::PARTS], strict=True))
        return [PATTERN[packet // PARTS % 4] for packet in packets[::PARTS]]


@pytest.fixture
def lesson() -> Lesson:
    """A lesson under way: the host has sent a group of pictures."""
    made = Lesson()
    made.come(KEYFRAME_EACH * PARTS)
    return made


def test_down_with_the_next_picture_and_up_with_the_next_that_opens(lesson: Lesson) -> None:
    """FULL, HALF, BASE and back: whole pictures of the rung's layers in a row, no keyframe asked for."""
    viewer = lesson.viewer()
    lesson.come(8 * PARTS)
    asked = lesson.asked
    expected = [PATTERN[n % 4] for n in range(8)]
    for rung, limit in ((Rung.HALF, 1), (Rung.BASE, 0), (Rung.HALF, 1), (Rung.FULL, 2)):
        assert lesson.layers.go(viewer, lesson.layers.sources.get(rung, lesson.whole), lesson.now_s)
        lesson.come(8 * PARTS)
        expected += [PATTERN[n % 4] for n in range(8) if PATTERN[n % 4] <= limit]
    assert lesson.layers_of(lesson.got(viewer)) == expected
    assert lesson.asked == asked


def test_down_in_mid_picture_ends_the_picture_first(lesson: Lesson) -> None:
    """A picture of a dropped layer that has been begun is sent to its end, and nothing of the layer after it."""
    viewer = lesson.viewer()
    lesson.come(PARTS + 1)
    lesson.layers.go(viewer, lesson.layers.sources[Rung.BASE], lesson.now_s)
    lesson.come(7 + 8 * PARTS)
    assert lesson.layers_of(lesson.got(viewer)) == [0, 2, 0, 0, 0]


def test_up_only_where_nothing_is_missed(lesson: Lesson) -> None:
    """From BASE in the middle of a group of four, T1 and T2 come from the next T0 on."""
    viewer = lesson.viewer(Rung.BASE)
    lesson.come(5 * PARTS)
    lesson.layers.go(viewer, lesson.whole, lesson.now_s)
    lesson.come(7 * PARTS)
    assert lesson.layers_of(lesson.got(viewer)) == [0, 0, 0, 2, 1, 2]


def test_vp8_goes_up_a_layer_at_a_time() -> None:
    """VP8's T1 comes in with a T1 that needs the base alone, its T2 with such a T2, although T0 has gone before."""
    lesson = Lesson("VP8")
    lesson.come(KEYFRAME_EACH * PARTS)
    viewer = lesson.viewer(Rung.BASE)
    lesson.come(3 * PARTS)
    lesson.layers.go(viewer, lesson.whole, lesson.now_s)
    lesson.come(21 * PARTS)
    expected = [(n, PATTERN[n % 4]) for n in range(24)]
    first_t1, first_t2 = 10, 17
    kept = [t for n, t in expected if t == 0 or (t == 1 and n >= first_t1) or (t == 2 and n >= first_t2)]
    assert lesson.layers_of(lesson.got(viewer)) == kept


def test_what_waits_of_dropped_layers_is_left_out(lesson: Lesson) -> None:
    """A viewer whose link has stopped goes down at once: of the pictures that wait only the base is sent."""
    viewer = lesson.viewer()
    lesson.come(4 * PARTS)
    viewer.picture.flow.credit = 1
    lesson.come(9 * PARTS, pace=False)
    assert viewer.picture.behind
    lesson.layers.go(viewer, lesson.layers.sources[Rung.BASE], lesson.now_s)
    assert viewer.showing is lesson.layers.sources[Rung.BASE]
    viewer.picture.flow.credit = 10**6
    lesson.pace()
    assert lesson.layers_of(lesson.got(viewer)) == [0, 2, 1, 2, 0, 0, 0]


def test_repeats_reach_back_across_the_crossing(lesson: Lesson) -> None:
    """A request names the viewer's own numbers, from before and after the crossing, and gets the right packets."""
    viewer = lesson.viewer()
    lesson.come(4 * PARTS)
    lesson.layers.go(viewer, lesson.layers.sources[Rung.HALF], lesson.now_s)
    lesson.come(8 * PARTS)
    mine = [(number, body) for stream, number, body in lesson.sent.packets if stream is viewer.picture]
    wanted = dict((mine[3], mine[6], mine[9], mine[14]))
    viewer.forwarder.repeat(viewer.picture.ssrc, tuple(wanted), lesson.now_s)
    repeats = [body for stream, _, body in lesson.sent.packets if stream is viewer.forwarder.repair]
    assert {int.from_bytes(body[:2]): body[2:] for body in repeats} == wanted


def test_who_finds_no_picture_to_go_up_with_gets_a_keyframe(lesson: Lesson) -> None:
    """Where a stream says of no picture that it opens layers, a keyframe is asked for after a while, and no sooner."""
    lesson.told = lambda picture: Layer(PATTERN[picture % 4])
    viewer = lesson.viewer(Rung.BASE)
    lesson.come(2 * PARTS)
    asked = lesson.asked
    lesson.layers.go(viewer, lesson.whole, lesson.now_s)
    began_s = lesson.now_s
    while lesson.now_s - began_s < CROSSING_S - 0.1:
        lesson.come(PARTS)
        lesson.layers.tick(lesson.now_s)
    assert lesson.asked == asked
    lesson.come(4 * PARTS)
    lesson.layers.tick(lesson.now_s)
    assert lesson.asked > asked
    lesson.come(KEYFRAME_EACH * PARTS)
    assert viewer.showing is lesson.whole
    lesson.layers_of(lesson.got(viewer))


def test_rungs_cost_what_their_layers_carry(lesson: Lesson) -> None:
    """With layers of equal pictures HALF costs half of the host's picture and BASE a quarter, as measured."""
    lesson.come(60 * PARTS)
    costs = lesson.layers.costs(lesson.now_s, False, Rung.FULL)
    whole_bps = lesson.whole.meter.cost_bps(lesson.now_s)
    assert costs[Rung.HALF] == pytest.approx(whole_bps / 2, rel=0.1)
    assert costs[Rung.BASE] == pytest.approx(whole_bps / 4, rel=0.1)


def test_beside_the_servers_own_rungs_thinned_pictures_must_move(lesson: Lesson) -> None:
    """A camera of 15 pictures a second is not offered at 7 where MIDDLE shows 15; where there is no MIDDLE it is."""
    lesson.come(60 * PARTS)
    assert lesson.layers.costs(lesson.now_s, True, Rung.FULL) == {}
    assert set(lesson.layers.costs(lesson.now_s, False, Rung.FULL)) == {Rung.HALF, Rung.BASE}


def test_a_host_without_layers_has_no_thinner_twins() -> None:
    """Nothing is kept and nothing offered for a stream that tells of no layers."""
    lesson = Lesson()
    lesson.told = lambda _picture: None
    lesson.come(20)
    assert lesson.layers.sources == {} and lesson.layers.costs(lesson.now_s, False, Rung.FULL) == {}
