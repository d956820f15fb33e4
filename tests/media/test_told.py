"""Viewers who tell no arrivals: their rate by REMB and by shares lost, and the rungs that follow."""

from __future__ import annotations

import math
import re
from pathlib import Path

from media import flow, ladder
from media import viewer as viewers
from media.cc.told import CEILING_BPS, Carried, Told
from media.flow import Flow
from media.rtcp import ReportBlock
from rules.rungs import Rung, Voice, begin

COSTS = {Rung.STILL: 6e3, Rung.LOW: 30e3, Rung.MIDDLE: 75e3, Rung.FULL: 300e3}
VOICE = Voice(24e3, 19e3)


class Watching:
    """A viewer behind a link of `link_bps`, in virtual time: sees what arrives and tells of it each second."""

    def __init__(self, link_bps: float, by_remb: bool = True, loss: float = 0.0) -> None:
        self.link_bps, self.by_remb, self.loss = link_bps, by_remb, loss
        self.told, self.flow = Told(), None
        self.now_s = self.picture = self.voice = 0.0
        self.sequence = 0

    @property
    def rung(self) -> Rung:
        """Return what is sent: everything, until a rung is chosen."""
        return Rung.FULL if self.flow is None else self.flow.standing.rung

    def pass_time(self, seconds: float) -> list[Rung]:
        """Play it and return the rung of each tenth of a second."""
        seen, end_s = [], self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.1
            self.picture += COSTS.get(self.rung, 0.0) / 80
            self.voice += VOICE.full_bps / 80
            if round(self.now_s * 10) % 10 == 0:
                self.tell()
            if self.flow is None and self.told.short:
                self.flow = Flow(self.now_s, self.told)
                self.flow.standing = begin(self.now_s, Rung.FULL)
            if self.flow is not None:
                self.flow.decide(COSTS, VOICE, self.now_s)
            seen.append(self.rung)
        return seen

    def tell(self) -> None:
        """Send REMB as clients reckon it, or a report of what was lost."""
        sent_bps = COSTS.get(self.rung, 0.0) + VOICE.full_bps
        carried = Carried(int(self.picture), int(self.voice))
        if self.by_remb:
            estimate = 0.85 * self.link_bps if sent_bps > self.link_bps else 1.5 * sent_bps + 10e3
            self.told.on_remb(estimate, True, carried, self.now_s)
            return
        self.sequence += 50
        lost = max(self.loss, 1 - self.link_bps / sent_bps)
        self.told.on_report(ReportBlock(22, round(lost * 256), 0, self.sequence, 0, 0, 0), carried, self.now_s)


def test_on_a_good_link_nothing_is_chosen() -> None:
    """REMB beyond what is sent, and losses of 5 %, leave a viewer with all the host's pictures."""
    for one in (Watching(2e6), Watching(2e6, by_remb=False, loss=0.05)):
        assert set(one.pass_time(60)) == {Rung.FULL}
        assert one.flow is None and one.told.target_bps == CEILING_BPS


def test_remb_below_what_is_sent_brings_the_rung_that_fits() -> None:
    """On 64 kbit/s LOW, on 128 MIDDLE is found in three seconds and mostly kept; a link that heals brings FULL back.

    More is tried now and then, as nothing else tells whether the link carries it, and the more seldom the longer.
    """
    for link_bps, rung in ((64e3, Rung.LOW), (128e3, Rung.MIDDLE)):
        viewer = Watching(link_bps)
        seen = viewer.pass_time(120)
        assert all(one <= rung for one in seen[30:40])
        assert sum(one is rung for one in seen[30:]) > 0.8 * len(seen[30:])
        assert sum(one > rung for one in seen[600:]) < 0.1 * len(seen[600:])
        viewer.link_bps = 2e6
        viewer.pass_time(90)
        assert viewer.rung is Rung.FULL


def test_losses_bring_a_rung_that_fits() -> None:
    """Without REMB a link that drops what it does not carry leads down until less than a tenth is lost."""
    viewer = Watching(128e3, by_remb=False)
    viewer.pass_time(30)
    assert viewer.rung in (Rung.MIDDLE, Rung.LOW)
    viewer.link_bps = 2e6
    viewer.pass_time(90)
    assert viewer.rung is Rung.FULL


def test_remb_of_the_picture_alone_leaves_the_voice_its_own() -> None:
    """Where the voice is not in the message's sources its rate is added, and it is not asked to fit twice."""
    told = Told()
    for second in range(4):
        told.on_remb(150e3, False, Carried(25_000 * second, 3_000 * second), float(second))
    assert told.target_bps == 150e3 + 24e3


def test_one_report_of_few_packets_says_nothing() -> None:
    """Half of eight packets lost is no rate of loss."""
    told = Told()
    for second, highest in ((0.0, 100), (1.0, 104), (2.0, 108)):
        told.on_report(ReportBlock(1, 128, 0, highest, 0, 0, 0), Carried(0, int(second * 3000)), second)
    assert told.target_bps == CEILING_BPS


def test_to_the_egress_loop_it_is_a_purse_without_a_bottom_and_a_clock() -> None:
    """Credit never runs out, and the moments of sending wrap each 64 s in steps of a millisecond."""
    told = Told()
    told.credit -= 10**9
    assert told.credit == told.refill(3.0) == math.inf
    assert (told.sent(100, 1.5), told.sent(100, 65.5)) == (1536, 1536)


def test_it_has_all_that_is_asked_of_an_estimator() -> None:
    """Whatever the shells read of an estimator is here too, but for what feedback and probes need."""
    unasked = {"on_feedback", "sizes", "judge_opening", "judge_probe", "next_sequence"}
    unasked |= {"held", "queue_limit_s", "silent_at_s"}
    asked: set[str] = set()
    for module in (flow, ladder, viewers):
        asked |= set(re.findall(r"\bestimator\.(\w+)", Path(module.__file__).read_text("utf-8")))
    assert asked - unasked and {name for name in asked - unasked if not hasattr(Told(), name)} == set()


def test_no_probes_go_where_nothing_answers_them() -> None:
    """A flow by what was told plans no padding, is never deaf, and chooses at once."""
    flow = Flow(0.0, Told())
    flow.plan_probe(1e6, 1.0)
    assert flow.padding_due(2.0) == 0 and not flow.deaf(60.0)
    assert flow.decide(COSTS, VOICE, 0.1).rung is Rung.FULL
