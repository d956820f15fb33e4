"""A link in virtual time and a viewer behind it: rate, delay, loss, bounded queue, feedback; nothing sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from media import twcc
from media.cc.estimator import Estimator
from media.cc.prober import Prober
from media.flow import CLOGGED_S, FEEDBACK_INTERVAL_S

STEP_S = 0.005
VOICE_S = 0.06
KEYFRAME_S = 4.0


@dataclass
class Link:
    """One direction: `rate_bps` is a number or a function of time; a full queue drops what comes last."""

    rate_bps: float | Callable[[float], float]
    delay_s: float
    queue_limit_s: float = 0.4
    loss: float = 0.0
    burst: int = 1
    seed: int = 1
    free_s: float = 0.0
    _left: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def rate(self, now_s: float) -> float:
        """Return the bit rate of this moment."""
        return self.rate_bps(now_s) if callable(self.rate_bps) else self.rate_bps

    def queue_s(self, now_s: float) -> float:
        """Return how long a packet that comes now waits."""
        return max(0.0, self.free_s - now_s)

    def send(self, size_bytes: int, now_s: float) -> float | None:
        """Return the arrival time, or None for a packet that is lost."""
        lost = self._left > 0 or self._random.random() < self.loss / self.burst
        self._left = self._left - 1 if self._left else (self.burst - 1 if lost else 0)
        if self.queue_s(now_s) > self.queue_limit_s:
            return None
        self.free_s = max(self.free_s, now_s) + size_bytes * 8 / self.rate(now_s)
        return None if lost else self.free_s + self.delay_s


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of a run."""

    now_s: float
    target_bps: float
    lasting_bps: float
    queue_s: float
    reason: str


@dataclass
class Run:
    """A viewer who gets voice each 60 ms and pictures up to the target or `wanted_bps`, whichever is less."""

    link: Link
    rtt_s: float
    feedback_s: float = 0.24
    wanted_bps: float = 600_000
    voice_bytes: int = 180
    picture_bytes: int = 500
    keyframe_bytes: int = 0  # added to what waits each KEYFRAME_S
    meanwhile: Callable[[float, Link], None] | None = None
    silent: tuple[float, float] = (0.0, 0.0)  # no feedback leaves the viewer in this span

    def samples(self, seconds: float) -> list[Sample]:
        """Play it and return a sample for each step."""
        estimator, prober = Estimator(0.0), Prober(0.0)
        now_s, voice_s, report_s, credit, backlog = 0.0, 0.0, self.feedback_s, 0.0, 0.0
        arrived: list[tuple[float, int]] = []
        reports: list[tuple[float, bytes]] = []
        highest, key_s = -1, KEYFRAME_S
        cluster, left, next_probe_s = None, 0, 0.0
        made = []

        def send(size: int) -> int:
            number = estimator.next_sequence
            estimator.sent(size, now_s)
            arrival_s = self.link.send(size, now_s)
            if arrival_s is not None:
                arrived.append((arrival_s, number))
            return number

        while now_s < seconds:
            estimator.tick(now_s)
            if self.meanwhile is not None:
                self.meanwhile(now_s, self.link)
            if now_s >= voice_s:
                voice_s += VOICE_S
                if estimator.backlog_s(now_s) < CLOGGED_S:
                    send(self.voice_bytes)
                    credit -= self.voice_bytes
            credit = min(credit + estimator.target_bps / 8 * STEP_S, 1500)
            backlog = min(backlog + min(self.wanted_bps, estimator.target_bps) / 8 * STEP_S, 3000)
            if now_s >= key_s:
                key_s += KEYFRAME_S
                backlog += self.keyframe_bytes
            if cluster is not None:
                while left and now_s >= next_probe_s:
                    prober.sent(send(cluster.size_bytes), cluster.size_bytes)
                    left -= 1
                    next_probe_s += cluster.interval_s
                cluster = cluster if left else None
            elif min(credit, backlog) > self.picture_bytes and estimator.in_flight_bytes < estimator.window_bytes(
                max(self.feedback_s, FEEDBACK_INTERVAL_S)
            ):
                send(self.picture_bytes)
                credit -= self.picture_bytes
                backlog -= self.picture_bytes
            if cluster is None:
                cluster = prober.plan(now_s, estimator.target_bps, estimator.queue_s, estimator.rtt_s, self.wanted_bps)
                if cluster is not None:
                    left, next_probe_s = cluster.packets, now_s
            if now_s >= report_s:
                report_s += self.feedback_s
                ready = {number: at for at, number in arrived if at <= now_s}
                arrived[:] = [(at, number) for at, number in arrived if at > now_s]
                if ready and not self.silent[0] <= now_s < self.silent[1]:
                    first, last = min(highest + 1, min(ready)), max(ready)
                    highest = max(highest, last)
                    told = [ready.get(number) for number in range(first, last + 1)]
                    reports.append((now_s + self.rtt_s / 2, twcc.serialize(1, 2, first, 0, told)))
            while reports and reports[0][0] <= now_s:
                feedback = twcc.parse(reports.pop(0)[1])
                prober.on_arrivals(feedback.base_sequence, feedback.arrivals_s, estimator.sizes(feedback))
                estimator.on_feedback(feedback, now_s)
            answer = prober.due(now_s)
            if answer is not None:
                prober.judged(now_s, estimator.judge_probe(answer))
            rates = estimator.target_bps, estimator.lasting_bps
            made.append(Sample(now_s, *rates, self.link.queue_s(now_s), estimator.reason))
            now_s += STEP_S
        return made


def mean_target(samples: list[Sample], from_s: float, to_s: float) -> float:
    """Return the mean target in bit/s."""
    chosen = [s.target_bps for s in samples if from_s <= s.now_s < to_s]
    return sum(chosen) / len(chosen)


def least_target(samples: list[Sample], from_s: float, to_s: float) -> float:
    """Return the least target in bit/s."""
    return min(s.target_bps for s in samples if from_s <= s.now_s < to_s)


def queue_at(samples: list[Sample], from_s: float, to_s: float, share: float = 1.0) -> float:
    """Return the queue in seconds that `share` of the samples do not exceed."""
    chosen = sorted(s.queue_s for s in samples if from_s <= s.now_s < to_s)
    return chosen[min(len(chosen) - 1, int(len(chosen) * share))]
