"""Pure: measure one downlink in eleven seconds with padding: what it carries, its round trip, what it loses.

First a trickle, which shows the path without a queue; then more and more, until a queue stands on the link or packets
are lost; then so much that a short queue stays, because a link that always has something to send shows what it carries
by the spacing of arrivals behind one another (RFC 6349 measures a saturated path too); at last less than it carries,
where every loss is the link's own. What a lesson's estimator (media/cc) may not do, to fill the link on purpose, is the
point here. Rates are those of IP packets. Time is an argument; nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from media.twcc import Feedback

QUIET_BPS = 12_000  # fits 24 kbit/s, and six samples a feedback
QUIET_S = 1.5
DEAF_S = 4.0  # no feedback for so long after the beginning: this viewer tells nothing
START_BPS = 20_000
CEILING_BPS = 2_000_000  # four times what a lesson ever needs; more is not asked for
DOUBLING_S = 0.7  # and not faster than feedback can tell: round trip, its interval, a margin
FEEDBACK_S = 0.45
RAMP_S = 7.0
AT_CEILING_S = 0.8
QUEUE_LIMIT_S = 0.1  # a standing queue beyond this ends the ramp
LOSS_LIMIT = 0.3  # of LOSS_SAMPLES packets in each of two feedbacks: a link without a queue drops instead
LOSS_SAMPLES = 8
HOLD_S = 2.5
DRAIN_S = 0.3
STEADY_S = 2.5
STEADY_SHARE = 0.7
STEADY_BPS = 256_000  # loss is counted well enough at fifty packets a second
STEADY_GAP_S = 0.02
SMALLEST_BYTES = 90
LARGEST_BYTES = 310  # a padding-only packet holds 255 bytes (RFC 3550 5.1)
BUSY_QUEUE_S = 0.03  # a packet that waited so long came right behind the one before it
BUSY_ENOUGH_S = 0.6
BURST_S = 0.03  # what a late pass of the loop may make up for
WINDOW_S = 0.6
LEAST_BPS = 16_000
HISTORY = 8192


class Phase(StrEnum):
    """Where a measurement stands."""

    QUIET = "quiet"
    RAMP = "ramp"
    HOLD = "hold"
    DRAIN = "drain"
    STEADY = "steady"
    WAIT = "wait"
    DONE = "done"
    DEAF = "deaf"


@dataclass(frozen=True, slots=True)
class Result:
    """What a downlink carries (bit/s; `at_least`: it may be more), its round trip, the share of packets it loses."""

    down_bps: float
    at_least: bool
    rtt_s: float
    loss: float


@dataclass(slots=True)
class _Packet:
    sent_s: float
    size_bytes: int
    phase: Phase


class LinkProbe:
    """Send what `due` says, tell `on_feedback` what comes back, until `phase` is DONE (then `result`) or DEAF."""

    books = None

    def __init__(self, now_s: float) -> None:
        self.credit = 0.0  # nothing waits in front of a measurement; the batch counts it down all the same
        self.phase = Phase.QUIET
        self.result: Result | None = None
        self._began_s = self._phase_s = self._next_s = now_s
        self._rate_bps = float(QUIET_BPS)
        self._ceiling_s: float | None = None
        self._packets: dict[int, _Packet] = {}
        self._number = 0
        self._oldest = 0
        self._in_flight_bytes = 0
        self._base_s: float | None = None
        self._delays: deque[float] = deque(maxlen=4)
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=2048)
        self._rtt_s: float | None = None
        self._last_arrival_s: float | None = None
        self._dropping = False
        self._busy_s, self._busy_bytes = 0.0, 0
        self._held: list[tuple[float, int]] = []
        self._capacity_bps = 0.0
        self._counted, self._came = 0, 0

    # Sending.

    def due(self, now_s: float) -> int:
        """Return the size on the wire of a packet to send now, 0 for none; call until it says 0."""
        if now_s < self._next_s or self.phase in (Phase.DRAIN, Phase.WAIT, Phase.DONE, Phase.DEAF):
            return 0
        if self._in_flight_bytes > self._window_bytes():
            self._next_s = now_s
            return 0
        return self._size_bytes()

    def sent(self, size_bytes: int, now_s: float) -> int:
        """Note a packet of so many bytes on the wire; return its 16-bit transport-wide number."""
        number = self._number
        self._packets[number] = _Packet(now_s, size_bytes, self.phase)
        self._in_flight_bytes += size_bytes
        self._number += 1
        self._next_s = max(self._next_s, now_s - BURST_S) + size_bytes * 8 / self._rate_bps
        if len(self._packets) > HISTORY:
            self._forget(self._oldest)
        return number & 0xFFFF

    def _size_bytes(self) -> int:
        if self.phase is Phase.QUIET:
            return SMALLEST_BYTES
        gap_s = STEADY_GAP_S if self.phase is Phase.STEADY else 0.02
        return int(min(max(self._rate_bps / 8 * gap_s, SMALLEST_BYTES), LARGEST_BYTES))

    def _window_bytes(self) -> float:
        """Return how much may be on its way: what is not told of within this is waiting in a queue."""
        return max(3000.0, 2.5 * self._delivered_bps() / 8 * (self._round_trip_s() + 0.35))

    def _round_trip_s(self) -> float:
        return self._rtt_s if self._rtt_s is not None else 0.3

    @property
    def rtt_s(self) -> float | None:
        """Return the shortest round trip so far, None before the first feedback."""
        return self._rtt_s

    # Hearing.

    def on_feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take in one feedback; numbers that were never sent are passed over."""
        delta = (feedback.base_sequence - self._number) & 0xFFFF
        base = self._number + (delta - 0x10000 if delta >= 0x8000 else delta)
        newest_s, told, missing = None, 0, 0
        for number, arrival_s in enumerate(feedback.arrivals_s, base):
            packet = self._packets.get(number)
            if packet is None:
                continue
            told += 1
            if arrival_s is None:
                missing += 1
                continue
            newest_s = packet.sent_s
            self._arrived(number, packet, arrival_s)
        if newest_s is not None:
            sample_s = max(0.001, now_s - newest_s)
            self._rtt_s = sample_s if self._rtt_s is None else min(self._rtt_s, sample_s)
        if self.phase is Phase.RAMP:
            dropped = told >= LOSS_SAMPLES and missing >= LOSS_LIMIT * told
            overrun, self._dropping = dropped and self._dropping, dropped
            if overrun or self._queue_s() > QUEUE_LIMIT_S + self._longest_s():
                self._enter(Phase.HOLD, now_s)
        if self.phase is Phase.HOLD:
            self._rate_bps = min(max(self._delivered_bps(), LEAST_BPS) * self._push(), CEILING_BPS)

    def _arrived(self, number: int, packet: _Packet, arrival_s: float) -> None:
        delay_s = arrival_s - packet.sent_s
        self._base_s = delay_s if self._base_s is None else min(self._base_s, delay_s)
        self._delays.append(delay_s)
        self._arrivals.append((arrival_s, packet.size_bytes))
        if packet.phase in (Phase.RAMP, Phase.HOLD) and self.phase is Phase.HOLD:
            self._held.append((arrival_s, packet.size_bytes))
            waited_s = delay_s - self._base_s - self._longest_s()
            if self._last_arrival_s is not None and waited_s > BUSY_QUEUE_S and arrival_s > self._last_arrival_s:
                self._busy_s += arrival_s - self._last_arrival_s
                self._busy_bytes += packet.size_bytes
        self._last_arrival_s = arrival_s
        if packet.phase in (Phase.QUIET, Phase.STEADY):
            self._came += 1
        self._forget(number)

    def _forget(self, number: int) -> None:
        packet = self._packets.pop(number, None)
        if packet is None:
            return
        self._in_flight_bytes -= packet.size_bytes
        if packet.phase in (Phase.QUIET, Phase.STEADY):
            self._counted += 1
        while self._oldest < self._number and self._oldest not in self._packets:
            self._oldest += 1

    def _queue_s(self) -> float:
        return min(self._delays) - self._base_s if self._delays else 0.0

    def _longest_s(self) -> float:
        """Return what a large packet takes longer on this link than the small ones of the beginning."""
        return (LARGEST_BYTES - SMALLEST_BYTES) * 8 / max(self._delivered_bps(), LEAST_BPS)

    def _delivered_bps(self) -> float:
        if len(self._arrivals) < 2:
            return 0.0
        newest_s = self._arrivals[-1][0]
        recent = [(at_s, size) for at_s, size in self._arrivals if at_s >= newest_s - WINDOW_S]
        return sum(size for _, size in recent[1:]) * 8 / max(newest_s - recent[0][0], 0.05)

    def _push(self) -> float:
        """Return how much of what arrives is sent, so that a short queue stays on the link and no long one."""
        queue_s = self._queue_s() - self._longest_s()
        if queue_s < 0.08:
            return 1.25
        if queue_s < 0.2:
            return 1.05
        return 0.85 if queue_s < 0.35 else 0.5

    # Time.

    def tick(self, now_s: float) -> None:
        """Go from one phase to the next; call in every pass of the loop."""
        self._give_up(now_s)
        passed_s = now_s - self._phase_s
        match self.phase:
            case Phase.QUIET if passed_s >= QUIET_S and self._rtt_s is not None:
                self._enter(Phase.RAMP, now_s)
            case Phase.QUIET if passed_s >= DEAF_S:
                self._enter(Phase.DEAF, now_s)
            case Phase.RAMP:
                self._climb(now_s, passed_s)
            case Phase.HOLD if passed_s >= HOLD_S + self._round_trip_s():
                self._capacity_bps = self._carried_bps()
                self._enter(Phase.DRAIN, now_s)
            case Phase.DRAIN if passed_s >= DRAIN_S + self._queue_s():
                self._enter(Phase.STEADY, now_s)
            case Phase.STEADY if passed_s >= STEADY_S:
                self._enter(Phase.WAIT, now_s)
            case Phase.WAIT if passed_s >= self._round_trip_s() + FEEDBACK_S:
                self._finish(now_s)

    def _climb(self, now_s: float, passed_s: float) -> None:
        doubling_s = max(DOUBLING_S, self._round_trip_s() + FEEDBACK_S)
        self._rate_bps = min(START_BPS * 2 ** (passed_s / doubling_s), CEILING_BPS)
        if self._rate_bps >= CEILING_BPS and self._ceiling_s is None:
            self._ceiling_s = now_s
        there = self._ceiling_s is not None and now_s - self._ceiling_s > AT_CEILING_S + self._round_trip_s()
        if there or passed_s >= RAMP_S:
            self._capacity_bps = self._delivered_bps()
            self._enter(Phase.DRAIN, now_s)

    def _enter(self, phase: Phase, now_s: float) -> None:
        if phase is Phase.HOLD:
            self._rate_bps = max(self._delivered_bps(), LEAST_BPS)
        elif phase is Phase.STEADY:
            self._rate_bps = min(max(self._capacity_bps * STEADY_SHARE, QUIET_BPS), STEADY_BPS)
        self.phase, self._phase_s, self._next_s = phase, now_s, now_s

    def _give_up(self, now_s: float) -> None:
        """Count as lost what no feedback can tell of any more."""
        oldest_s = now_s - self._round_trip_s() - 1.5
        while self._oldest in self._packets and self._packets[self._oldest].sent_s < oldest_s:
            self._forget(self._oldest)

    def _carried_bps(self) -> float:
        """Return what the full link carried; where it never had a queue, what came through."""
        if self._busy_s >= BUSY_ENOUGH_S:
            return self._busy_bytes * 8 / self._busy_s
        if len(self._held) < 2 or self._held[-1][0] <= self._held[0][0]:
            return self._delivered_bps()
        return sum(size for _, size in self._held[1:]) * 8 / (self._held[-1][0] - self._held[0][0])

    def _finish(self, now_s: float) -> None:
        for number in list(self._packets):
            self._forget(number)
        lost = self._counted - self._came
        loss = lost / self._counted if self._counted else 0.0
        self.result = Result(self._capacity_bps, not self._held, self._round_trip_s(), loss)
        self._enter(Phase.DONE, now_s)
