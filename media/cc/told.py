"""Pure: the rate of a viewer who does not tell of each packet's arrival, by what he tells: REMB, and shares lost.

His side reckons with what arrives: REMB is at most 1.5 times that (draft-alvestrand-rmcat-remb-03 leaves it open, both
known senders of it do so), so one well above it means that nothing was short. The share lost in receiver reports is
taken as draft-ietf-rmcat-gcc-02 section 6 takes it. Neither sees a queue that the viewer's side does not see.

Until something is short he is sent whatever there is: only then does REMB say what a link carries.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from media.cc.estimator import FLOOR_BPS, Reason
from media.rtcp import ReportBlock

AMPLE = 1.2  # REMB beyond so much of what is sent names no limit
GROWTH_PER_S = 1.05  # gcc-02 section 6: by 5 % with each report, of which there is one a second
REMB_GROWTH_PER_S = 1.08  # the same, section 5.5: the receiver's own estimate grows no faster
REMB_HOLDS_S = 5.0  # the losses of who sends REMB are his own estimator's business
FALLS = 0.97  # REMB that stays where it was is no news of a shortage, whatever burst has just been sent
LOSS_LOW, LOSS_HIGH = 0.02, 0.10  # the same section
LOSS_PACKETS = 20  # a share of fewer says nothing
LOSS_LEAST_S, LOSS_LONGEST_S = 1.0, 3.0
RATE_WINDOW_S = 2.0
SHORT, SHORT_S = 0.65, 1.0  # of what is sent, for so long: a client's first REMB is no more than what came, or less
CEILING_BPS = 8e6
SEND_TIME_PER_S = 1024
"""abs-send-time is 6.18 fixed point in 24 bits; a millisecond is 1/1024 s in the upper 16, the lower 8 stay zero."""


@dataclass(frozen=True, slots=True)
class Carried:
    """Bytes of RTP payload sent to a viewer since the start: some clients count headers into REMB, some do not."""

    picture: int
    voice: int


class Told:
    """What one viewer has told; to the egress loop a purse without a bottom, to `Flow` an estimator."""

    books = None
    in_flight_bytes = 0.0
    queue_s = 0.0
    rtt_s = 0.1

    def __init__(self) -> None:
        self.credit = math.inf
        self.reason = Reason.START
        self._remb_bps: float | None = None
        self._last_remb_bps = 0.0
        self._remb_s: float | None = None
        self._loss_bps = math.inf
        self._loss_s: float | None = None
        self._expected = self._lost = 0.0
        self._highest: dict[int, int] = {}
        self._short_s = 0.0
        self._weighed_s: float | None = None
        self._carried: deque[tuple[float, Carried]] = deque()

    @property
    def target_bps(self) -> float:
        """Return what may be sent; a large number while nothing was short."""
        told_bps = CEILING_BPS if self._remb_bps is None else self._remb_bps
        return max(FLOOR_BPS, min(told_bps, self._loss_bps, CEILING_BPS))

    @property
    def lasting_bps(self) -> float:
        """Return the rate to choose by."""
        return self.target_bps

    @property
    def short(self) -> bool:
        """Whether what is sent has been more than the viewer gets, for a while."""
        return self._short_s >= SHORT_S

    def refill(self, now_s: float) -> float:
        """Return the credit of one who is not measured."""
        return self.credit

    def sent(self, size_bytes: int, now_s: float) -> int:
        """Return the moment as abs-send-time has it, in its upper 16 bits."""
        return int(now_s * SEND_TIME_PER_S) & 0xFFFF

    def window_bytes(self, feedback_interval_s: float) -> float:
        """Return no bound: what is in flight is not told."""
        return math.inf

    def backlog_s(self, now_s: float) -> float:
        """Return no wait: what has arrived is not told."""
        return 0.0

    def tick(self, now_s: float) -> None:
        """Nothing changes by time alone."""

    def on_remb(self, rate_bps: float, with_voice: bool, carried: Carried, now_s: float) -> None:
        """Take the viewer's estimate, of all that is sent or of the picture alone."""
        self._note(carried, now_s)
        picture_bps, voice_bps = self._rates()
        covered_bps = picture_bps + (voice_bps if with_voice else 0.0)
        told_bps = rate_bps + (0.0 if with_voice else voice_bps)
        if rate_bps >= AMPLE * covered_bps:
            if self._remb_bps is not None:
                since_s = now_s - self._remb_s
                self._remb_bps = min(CEILING_BPS, max(told_bps, self._remb_bps * REMB_GROWTH_PER_S**since_s))
        elif self._remb_bps is None or told_bps > self._remb_bps:
            self._remb_bps = told_bps
        elif rate_bps < FALLS * self._last_remb_bps:
            self._remb_bps, self.reason = told_bps, Reason.QUEUE
        self._last_remb_bps, self._remb_s = rate_bps, now_s
        self._weigh(now_s)

    def on_report(self, block: ReportBlock, carried: Carried, now_s: float) -> None:
        """Take the share lost of one stream; a judgement needs packets enough, and a second."""
        before = self._highest.get(block.ssrc)
        self._highest[block.ssrc] = block.highest_sequence
        self._note(carried, now_s)
        if before is None:
            return
        expected = max(0, block.highest_sequence - before)
        self._expected += expected
        self._lost += expected * block.fraction_lost / 256
        since_s = now_s - (self._loss_s if self._loss_s is not None else -math.inf)
        if self._expected >= LOSS_PACKETS and since_s >= LOSS_LEAST_S:
            if self._remb_s is None or now_s - self._remb_s > REMB_HOLDS_S:
                self._judge(self._lost / self._expected, min(since_s, LOSS_LONGEST_S))
            self._expected, self._lost, self._loss_s = 0.0, 0.0, now_s
        self._weigh(now_s)

    def _weigh(self, now_s: float) -> None:
        """Follow for how long there has been a shortage."""
        since_s = 0.0 if self._weighed_s is None else now_s - self._weighed_s
        self._weighed_s = now_s
        self._short_s = self._short_s + since_s if self.target_bps < SHORT * sum(self._rates()) else 0.0

    def _judge(self, share: float, since_s: float) -> None:
        if share > LOSS_HIGH:
            self._loss_bps = min(self.target_bps, sum(self._rates())) * (1 - share / 2)
            self.reason = Reason.LOSS
        elif share < LOSS_LOW:
            self._loss_bps = min(CEILING_BPS, self._loss_bps * GROWTH_PER_S**since_s)

    def _note(self, carried: Carried, now_s: float) -> None:
        self._carried.append((now_s, carried))
        while len(self._carried) > 2 and now_s - self._carried[1][0] > RATE_WINDOW_S:
            self._carried.popleft()

    def _rates(self) -> tuple[float, float]:
        """Return what has been sent lately, pictures and voice, in bit/s."""
        if len(self._carried) < 2:
            return 0.0, 0.0
        (began_s, first), (ended_s, last) = self._carried[0], self._carried[-1]
        span_s = max(0.1, ended_s - began_s)
        return (last.picture - first.picture) * 8 / span_s, (last.voice - first.voice) * 8 / span_s
