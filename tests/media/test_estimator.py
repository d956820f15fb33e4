"""The estimator and the prober on scripted links in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from media import twcc
from media.cc.estimator import FLOOR_BPS, Estimator, Reason
from tests.media.virtual_link import Link, Run, least_target, mean_target, queue_at

SLOW = {"picture_bytes": 250, "voice_bytes": 135}


@pytest.mark.parametrize(
    ("rate_kbps", "rtt_s", "loss", "burst", "least_share", "sizes"),
    [
        (512, 0.08, 0.0, 1, 0.88, {}),
        (256, 0.08, 0.01, 1, 0.85, {}),
        (128, 0.08, 0.0, 1, 0.85, {}),
        (64, 0.08, 0.0, 1, 0.85, {}),
        (64, 0.3, 0.02, 3, 0.75, {}),
        (32, 0.2, 0.0, 1, 0.80, SLOW),
        (24, 0.6, 0.0, 1, 0.80, SLOW),
    ],
)
def test_a_steady_link_is_used_and_not_filled(rate_kbps, rtt_s, loss, burst, least_share, sizes):
    """After ten seconds most of the link is used, never more than it carries on average, and the queue stays short."""
    link = Link(rate_kbps * 1e3, rtt_s / 2, loss=loss, burst=burst)
    samples = Run(link, rtt_s, **sizes).samples(70)
    assert least_share <= mean_target(samples, 10, 70) / (rate_kbps * 1e3) <= 1.0
    # On the slowest link a picture packet with one of voice behind it takes 0.13 s, and feedback 0.6 s.
    assert queue_at(samples, 10, 70, 0.95) < (0.2 if rate_kbps > 24 else 0.32)
    assert queue_at(samples, 10, 70) < 0.4


def test_a_satellite_link_is_found_by_probes():
    """With 600 ms of round trip, 2 Mbit/s are known to carry a 600 kbit/s picture within ten seconds."""
    samples = Run(Link(2e6, 0.3), 0.6).samples(30)
    assert least_target(samples, 10, 30) > 600e3


def test_random_loss_alone_does_not_lower_the_rate():
    """Five per cent of random loss without a queue is for retransmission to mend, not for the rate to fear."""
    samples = Run(Link(512e3, 0.04, loss=0.05), 0.08).samples(60)
    assert mean_target(samples, 15, 60) > 0.8 * 512e3


def test_a_drop_is_followed_at_once_and_a_rise_within_fifteen_seconds():
    """512 to 64 and back: the queue is short again two seconds after the drop, the rate is back 15 s after the rise."""
    link = Link(lambda now_s: 512e3 if now_s < 20 or now_s > 50 else 64e3, 0.04)
    samples = Run(link, 0.08).samples(90)
    assert mean_target(samples, 10, 20) > 0.8 * 512e3
    assert queue_at(samples, 22, 50) < 0.4
    assert least_target(samples, 30, 50) > 0.6 * 64e3
    assert mean_target(samples, 22, 50) < 64e3
    assert least_target(samples, 65, 90) > 0.75 * 512e3


@pytest.mark.parametrize(
    ("phase_s", "feedback_s"), [(0.0, 0.24), (0.06, 0.24), (0.12, 0.24), (0.18, 0.24), (0.0, 0.05)]
)
def test_a_deep_queue_is_gone_two_seconds_after_a_drop(phase_s, feedback_s):
    """A host's whole picture, and the link falls to an eighth: two seconds later no queue is left of it."""
    link = Link(lambda now_s: 512e3 if now_s < 20 + phase_s else 64e3, 0.04, queue_limit_s=5.0)
    samples = Run(link, 0.08, feedback_s=feedback_s, wanted_bps=300e3).samples(40)
    assert queue_at(samples, 20, 22) > 0.4
    assert queue_at(samples, 22 + phase_s, 40) < 0.45
    assert mean_target(samples, 25, 40) > 0.75 * 64e3


@pytest.mark.parametrize("feedback_s", [0.05, 0.24])
@pytest.mark.parametrize(("rate_kbps", "wanted_bps", "keyframe_bytes"), [(64, 26e3, 2000), (128, 75e3, 4000)])
def test_keyframes_do_not_cost_the_rung_however_often_feedback_comes(rate_kbps, wanted_bps, keyframe_bytes, feedback_s):
    """A keyframe beside the voice queues for a moment on a link that was half idle: that tells its rate, not less."""
    link = Link(rate_kbps * 1e3, 0.04)
    run = Run(link, 0.08, feedback_s=feedback_s, wanted_bps=wanted_bps, keyframe_bytes=keyframe_bytes)
    samples = run.samples(90)
    assert least_target(samples, 10, 90) > 0.82 * rate_kbps * 1e3
    assert queue_at(samples, 10, 90) < 0.25


@pytest.mark.parametrize("feedback_s", [0.05, 0.1, 0.24, 0.5])
def test_a_link_that_was_idle_is_judged_by_what_stood_in_its_queue(feedback_s):
    """Voice alone for two seconds, then more than the link carries: what to go on with is its rate."""
    estimator = Estimator(0.0)
    link, arrivals, told, report_s = Link(64e3, 0.04, queue_limit_s=9.0), [], 0, 0.0
    events = [(0.12 * n, 180) for n in range(17)] + [(2.0 + 0.03 * n, 400) for n in range(17)]
    lasting = []
    for step in range(700):
        now_s = step * 0.005
        while events and events[0][0] <= now_s:
            size = events.pop(0)[1]
            estimator.sent(size, now_s)
            arrivals.append(link.send(size, now_s))
        if now_s >= report_s:
            report_s += feedback_s
            ready = tuple(at for at in arrivals[told:] if at <= now_s - 0.04)
            if ready:
                estimator.on_feedback(twcc.Feedback(1, 2, told, 0, ready), now_s)
                told += len(ready)
            if estimator.reason is Reason.QUEUE:
                lasting.append(estimator.lasting_bps)
    assert lasting
    assert min(lasting) > 0.7 * 64e3
    assert estimator.target_bps < 64e3


@pytest.mark.parametrize("feedback_s", [0.05, 0.24])
def test_a_moment_in_which_nobody_sent_is_no_end_of_the_link(feedback_s):
    """A server that gets no processor for 0.25 s has sent late, not into a queue: the rate that lasts is kept."""

    def stall(now_s, link):
        if now_s % 10 < 0.005:
            link.free_s = max(link.free_s, now_s) + 0.25

    run = Run(Link(64e3, 0.04), 0.08, feedback_s=feedback_s, wanted_bps=26e3, keyframe_bytes=1500, meanwhile=stall)
    samples = run.samples(90)
    assert min(s.lasting_bps for s in samples if s.now_s > 10) > 0.75 * 64e3


def test_what_stands_in_a_queue_is_not_given_up():
    """Packets behind the newest arrival are on their way for seconds; those that a feedback passed over are lost."""
    estimator = Estimator(0.0)
    for number in range(30):
        estimator.sent(1000, 0.01 * number)
    estimator.on_feedback(twcc.Feedback(1, 2, 0, 0, (0.05, None, 0.07)), 0.35)
    assert estimator.in_flight_bytes == 28_000
    estimator.on_feedback(twcc.Feedback(1, 2, 3, 1, (1.5,)), 1.6)
    assert (estimator.in_flight_bytes, estimator.held) == (26_000, True)
    estimator.on_feedback(twcc.Feedback(1, 2, 4, 2, (6.0,)), 6.1)
    assert estimator.in_flight_bytes == 0


def test_a_link_that_carries_for_a_while_what_was_sent_gets_nothing_more():
    """While a queue stands `backlog_s` tells how long the link is still busy; it runs out by itself."""
    estimator = Estimator(0.0)
    assert estimator.backlog_s(1.0) == 0.0
    for number in range(100):
        estimator.sent(1000, 0.01 * number)
    estimator.on_feedback(twcc.Feedback(1, 2, 0, 0, tuple(0.04 + 0.01 * n for n in range(50))), 0.6)
    estimator.on_feedback(twcc.Feedback(1, 2, 50, 1, (0.7, 0.8, 0.9, 1.0, 1.1)), 1.15)
    assert estimator.queue_s > 0.3
    busy_s = estimator.backlog_s(1.15)
    assert busy_s > 3.0
    assert estimator.backlog_s(2.15) == pytest.approx(busy_s - 1.0)


def test_a_ramp_down_is_followed():
    """A link that loses its rate slowly never has a long queue."""
    link = Link(lambda now_s: max(64e3, 512e3 - now_s * 10e3), 0.04)
    samples = Run(link, 0.08).samples(60)
    assert queue_at(samples, 10, 60, 0.98) < 0.25


def test_bursts_of_other_traffic_are_survived():
    """A page loaded by somebody else each ten seconds takes the link for a second; the rate comes back in between."""

    def page(now_s, link):
        if now_s % 10 < 0.005:
            link.free_s = max(link.free_s, now_s) + 0.35

    samples = Run(Link(256e3, 0.04), 0.08, meanwhile=page).samples(80)
    assert mean_target(samples, 20, 80) > 0.5 * 256e3


def test_a_competing_download_does_not_starve_the_viewer():
    """A download that keeps the queue at 300 ms leaves the viewer more than the floor, and all of it when it ends."""

    def download(now_s, link):
        if 20 < now_s < 50:
            while link.queue_s(now_s) < 0.3:
                link.free_s = max(link.free_s, now_s) + 1500 * 8 / 256e3

    samples = Run(Link(256e3, 0.04), 0.08, meanwhile=download).samples(90)
    assert mean_target(samples, 35, 50) > 2 * FLOOR_BPS
    assert mean_target(samples, 60, 90) > 0.8 * 256e3


def test_silence_lowers_the_rate():
    """A viewer who is heard no more gets less and less, down to the voice."""
    samples = Run(Link(512e3, 0.04), 0.08, silent=(20, 40)).samples(60)
    assert least_target(samples, 35, 40) == FLOOR_BPS
    assert any(s.reason == Reason.SILENCE for s in samples)
    assert mean_target(samples, 55, 60) > 0.5 * 512e3


def test_feedback_about_packets_never_sent_is_ignored():
    """A liar's feedback moves nothing."""
    estimator = Estimator(0.0)
    before = estimator.target_bps
    estimator.on_feedback(twcc.Feedback(1, 2, 4000, 0, (1.0, 1.1, 1.2)), 1.0)
    assert (estimator.target_bps, estimator.in_flight_bytes) == (before, 0)


def test_what_is_in_flight_is_known():
    """Bytes are in flight until a feedback tells of them or they are given up."""
    estimator = Estimator(0.0)
    for number in range(4):
        assert estimator.sent(100, 0.01 * number) == number
    assert estimator.in_flight_bytes == 400
    estimator.on_feedback(twcc.Feedback(1, 2, 0, 0, (5.0, None, 5.02)), 0.1)
    assert estimator.in_flight_bytes == 200
    estimator.on_feedback(twcc.Feedback(1, 2, 3, 1, (5.03,)), 2.0)
    assert estimator.in_flight_bytes == 0


class OneByOne(Estimator):
    """An estimator that looks at each packet, whatever the feedback is like."""

    __slots__ = ()

    def _take(
        self, base: int, arrivals_s: tuple[float | None, ...]
    ) -> tuple[list[float], int, float, float, int, float]:
        sizes, times = self.books.span(base, len(arrivals_s))
        queued_s = self._base[0][1] + self.queue_limit_s if self._base else 1e9
        return self._take_each(base, arrivals_s, sizes, times, queued_s)


@pytest.mark.parametrize("seed", range(6))
def test_feedback_read_at_one_go_means_what_it_means_packet_by_packet(seed: int) -> None:
    """Losses, repeats of feedback, queues that come and go: both ways end in the same estimate and accounts."""
    chance = random.Random(seed)
    quick, slow = Estimator(0.0), OneByOne(0.0)
    now_s, queue_s, told = 0.0, 0.0, 0
    for number in range(600):
        now_s += 0.25
        arrivals: list[float | None] = []
        for _ in range(chance.randint(1, 30)):
            size = chance.randint(60, 1200)
            assert quick.sent(size, now_s) == slow.sent(size, now_s)
            queue_s = max(0.0, queue_s + chance.uniform(-0.02, 0.025 if number % 50 > 40 else 0.01))
            lost = number % 7 == 0 and chance.random() < 0.1
            arrivals.append(None if lost else now_s + 0.04 + queue_s)
        feedback = twcc.Feedback(1, 2, told & 0xFFFF, number & 0xFF, tuple(arrivals))
        for _ in range(1 + (number % 11 == 0)):
            quick.on_feedback(feedback, now_s + 0.1 + queue_s)
            slow.on_feedback(feedback, now_s + 0.1 + queue_s)
        told += len(arrivals)
        for one in (quick, slow):
            one.tick(now_s)
        kept = [(e.target_bps, e.reason, e.queue_s, e.loss, e.held, e.in_flight_bytes, e.rtt_s) for e in (quick, slow)]
        assert kept[0] == kept[1]
    assert quick.queue_s >= 0 and quick.capacity_bps == slow.capacity_bps


def loss_cuts(lost: Callable[[int], bool], seconds: float) -> int:
    """Play packets each 40 ms on a link of which no queue ever tells; return how often losses lowered the target."""
    estimator, cuts, told = Estimator(0.0), 0, 0
    for interval in range(round(seconds / 0.24)):
        now_s = interval * 0.24
        arrivals = [None if lost(told + index) else now_s + index * 0.04 + 0.15 for index in range(6)]
        for index in range(6):
            estimator.sent(300, now_s + index * 0.04)
        before_bps = estimator.target_bps
        estimator.on_feedback(twcc.Feedback(1, 2, told & 0xFFFF, interval & 0xFF, tuple(arrivals)), now_s + 0.5)
        cuts += estimator.target_bps < before_bps and estimator.reason is Reason.LOSS
        told += 6
    return cuts


def test_one_burst_of_losses_is_paid_for_once():
    """Fifteen of eighteen packets lost are 12 % of five seconds, each of which sees them: the rate falls once."""
    assert loss_cuts(lambda number: 240 <= number < 258 and number % 6 != 5, 30) == 1


def test_losses_that_go_on_lower_the_rate_again_and_again():
    """Every fourth packet lost for ten seconds is no burst."""
    assert loss_cuts(lambda number: number >= 240 and number % 4 == 1, 20) >= 5
