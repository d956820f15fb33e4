"""What a measurement says of links in virtual time, and what it costs them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from media.linkprobe import CEILING_BPS, LinkProbe, Phase, Result
from media.twcc import Feedback
from tests.media.virtual_link import Link

STEP_S = 0.01
FEEDBACK_S = 0.263
DEADLINE_S = 20.0


@dataclass
class Played:
    """How a measurement went: its result, how long, how much was sent, the longest queue but for its first second."""

    result: Result | None
    phase: Phase
    seconds: float
    sent_bytes: int
    longest_queue_s: float


def play(link: Link, rtt_s: float, deaf: bool = False) -> Played:
    """Measure a link whose other direction has no queue; feedback comes as often as browsers send it on slow links."""
    probe = LinkProbe(0.0)
    now_s, report_s, number, base, total, longest = 0.0, FEEDBACK_S, 0, 0, 0, 0.0
    arrivals: dict[int, float] = {}
    reports: list[tuple[float, Feedback]] = []
    while probe.phase not in (Phase.DONE, Phase.DEAF) and now_s < DEADLINE_S:
        while reports and reports[0][0] <= now_s:
            probe.on_feedback(reports.pop(0)[1], now_s)
        probe.tick(now_s)
        while size := probe.due(now_s):
            probe.sent(size, now_s)
            total += size
            at_s = link.send(size, now_s)
            if at_s is not None:
                arrivals[number] = at_s
            number += 1
        longest = max(longest, link.queue_s(now_s))
        if now_s >= report_s:
            report_s += FEEDBACK_S
            heard = [n for n, at_s in arrivals.items() if at_s <= now_s and n >= base]
            if heard and not deaf:
                told = tuple(a if (a := arrivals.get(n)) and a <= now_s else None for n in range(base, max(heard) + 1))
                reports.append((now_s + rtt_s - link.delay_s, Feedback(1, 1, base & 0xFFFF, 0, told)))
                base = max(heard) + 1
        now_s += STEP_S
    return Played(probe.result, probe.phase, now_s, total, longest)


@pytest.mark.parametrize("kbps", [24, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("rtt_s", [0.05, 0.08, 0.3, 0.6])
def test_the_rate_of_a_link_is_found(kbps: int, rtt_s: float):
    """A clean link's rate is right to a tenth, its round trip to a few hundredths, and no loss is invented."""
    found = play(Link(kbps * 1000, rtt_s / 2), rtt_s)
    assert found.result is not None and not found.result.at_least
    assert 0.9 * kbps <= found.result.down_bps / 1000 <= 1.1 * kbps
    assert rtt_s <= found.result.rtt_s <= rtt_s + 0.1
    assert found.result.loss < 0.01


@pytest.mark.parametrize(("loss", "burst"), [(0.02, 1), (0.02, 3), (0.05, 1)])
@pytest.mark.parametrize("kbps", [64, 256])
def test_loss_is_told_apart_from_a_full_queue(kbps: int, loss: float, burst: int):
    """Over many links the loss found is the link's, though the measurement fills the queue; the rate stays right."""
    found = [play(Link(kbps * 1000, 0.04, loss=loss, burst=burst, seed=seed), 0.08).result for seed in range(1, 11)]
    assert all(one is not None and 0.8 * kbps <= one.down_bps / 1000 <= 1.1 * kbps for one in found)
    assert 0.5 * loss < sum(one.loss for one in found) / len(found) < 1.6 * loss


def test_a_link_that_drops_instead_of_queueing_is_measured():
    """A policed link, whose queue holds next to nothing, is found within a fifth."""
    found = play(Link(256_000, 0.02, queue_limit_s=0.03), 0.04)
    assert found.result is not None and 0.8 < found.result.down_bps / 256_000 < 1.1


def test_a_fast_link_is_measured_as_at_least():
    """Beyond the ceiling nothing is asked for, and the result says that there may be more."""
    found = play(Link(50e6, 0.02), 0.04)
    assert found.result is not None and found.result.at_least
    assert 0.85 * CEILING_BPS < found.result.down_bps < 1.1 * CEILING_BPS


@pytest.mark.parametrize("kbps", [24, 64, 512, 2000, 50_000])
def test_a_measurement_is_short_and_bounded(kbps: int):
    """It ends within 13 s, sends 1.5 MB at most, and makes no queue of more than three quarters of a second."""
    found = play(Link(kbps * 1000, 0.04, queue_limit_s=5.0), 0.08)
    assert found.phase is Phase.DONE and found.seconds < 13
    assert found.sent_bytes < 1_500_000
    assert found.longest_queue_s < 0.75


def test_a_viewer_who_tells_nothing_is_given_up():
    """Without feedback nothing but a trickle is sent, and the end comes after four seconds."""
    found = play(Link(64_000, 0.04), 0.08, deaf=True)
    assert found.phase is Phase.DEAF and found.result is None
    assert found.seconds < 5 and found.sent_bytes < 10_000


def test_feedback_about_nothing_is_passed_over():
    """Numbers that were never sent, or were told of before, change nothing."""
    probe = LinkProbe(0.0)
    probe.on_feedback(Feedback(1, 1, 40_000, 0, (0.1, None, 0.2)), 0.5)
    probe.sent(90, 0.5)
    for _ in range(3):
        probe.on_feedback(Feedback(1, 1, 0, 0, (0.1,)), 0.6)
    assert probe.phase is Phase.QUIET
