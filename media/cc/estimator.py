"""Pure: how much a viewer's downlink carries, from transport-cc feedback.

Delay first, loss second. The delay signal is the standing queue: the least one-way delay of the last packets over the
least of the last ten seconds (the minimum over an interval tells a standing queue from a burst, RFC 8289 section 3; the
base of a path is a windowed minimum, draft-ietf-ccwg-bbr section 5.5.9). While a queue stands, what arrives is what the
link carries, so the estimate goes below the rate that arrives. Time is an argument; nothing here reads a clock.

Sums are kept per feedback, not per packet: a hundred viewers cost a few list writes for each packet sent.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from itertools import count
from operator import sub

from media.cc.books import HISTORY, IN_FLIGHT, MASK, NEXT, Books
from media.cc.lately import Heard, Lately
from media.twcc import Feedback

START_BPS = 96_000  # voice and the lowest picture at once; the first feedbacks raise it
FLOOR_BPS = 18_000  # low voice at 60 ms frames with its headers; below this nothing is left to give up
CEILING_BPS = 20_000_000

BASE_WINDOW_S = 10.0  # draft-ietf-ccwg-bbr, MinRTTFilterLen: long enough to see the link idle once
NEWEST_PACKETS = 6  # the least delay of so many newest packets is the standing queue; one big packet is no queue
LONGEST_QUEUE_S = 4.0  # what no feedback has told of for so long was dropped at the tail of a queue
LATE_PACKETS = 4  # so many overdue packets are a queue that no feedback shows yet: one more than a burst of losses
LATE_S = 0.04  # overdue: not told of so long after a round trip
QUEUED_SPAN_S = 0.1  # so long a span of arrivals out of a queue tells the rate of the link
UNKNOWN_DECREASE = 0.5  # where a queue is known to be and no arrival has told its rate yet
GUESS_S = 0.2  # and no second guess sooner, however often feedback comes
QUEUE_LIMIT_S = 0.06  # standing queue taken as overuse: the low end of the queue delay target in RFC 8298 section 4.1.1
PACKET_BITS = 4800  # and so much time as a packet of a low rung with a voice packet behind it takes: no queue
PACKET_LONGEST_S = 0.05  # packets are cut smaller on the slowest links
DECREASE = 0.85  # draft-ietf-rmcat-gcc-02 section 5.5: beta
INCREASE_PER_S = 1.08  # the same, section 5.5: eta
SLOW_INCREASE_PER_S = 1.03  # near the last known capacity, where an overshoot costs voice
NEAR = 0.85  # the fraction of the last known capacity from which the slow increase holds
APP_LIMIT = 1.2  # never far over what arrives (gcc-02 5.5 has 1.5): a picture that pauses proves nothing, a probe does
LOSS_HIGH = 0.10  # the same, section 6: from here on loss alone means congestion
SILENCE_S = 0.9  # feedback is due each 0.27 s on the slowest links: three missing mean a stalled link
SILENCE_DECREASE = 0.7
WINDOW_MARGIN_S = 0.1  # a late feedback, and the queue that is no overuse yet
SETTLE_S = 0.5  # after a cut the queue needs a round trip and this long to show the effect
CAPACITY_FADES_S = 20.0  # after so long without overuse the old capacity says nothing more
PROBE_MARGIN = 0.9  # of the rate at which a probe arrived; the rest is left for other traffic of the school
OPENING_BELIEVED_BPS = 1_500_000  # a kilobyte's spacing proves no more
PROBE_PACKETS = 4  # fewer arrivals give no rate


class Reason(StrEnum):
    """Why the estimate last moved; the watch page says it in words."""

    START = "start"
    STEADY = "steady"
    QUEUE = "queue"
    LOSS = "loss"
    SILENCE = "silence"
    PROBE = "probe"


class Estimator:
    """Follow one viewer's downlink: tell it what is sent and what feedback says; read `target_bps` and `reason`."""

    __slots__ = (
        "_acked_to",
        "_base",
        "_base_rtt",
        "_capacity_at_s",
        "_highest",
        "_last_cut_s",
        "_last_feedback_s",
        "_last_guess_s",
        "_last_loss_cut_s",
        "_last_update_s",
        "_lately",
        "_newest",
        "_queued_bytes",
        "_queued_from_s",
        "_queued_to_s",
        "_resume_bps",
        "_standing_s",
        "base_rtt_s",
        "books",
        "capacity_bps",
        "delivered_bps",
        "held",
        "loss",
        "queue_s",
        "reason",
        "rtt_s",
        "target_bps",
    )

    def __init__(self, now_s: float, books: Books | None = None, start_bps: float = START_BPS) -> None:
        self.books = books or Books()
        self.target_bps = float(start_bps)
        self.reason = Reason.START
        self.rtt_s = 0.2
        self.base_rtt_s = 0.2  # without a queue, the wait for feedback excluded as far as it ever was
        self.queue_s = 0.0
        self.loss = 0.0
        self.delivered_bps = 0.0
        self.held = False  # what is overdue may be a burst or a link that has fallen: the next feedback tells
        self.capacity_bps: float | None = None  # what arrived while a queue stood
        self._acked_to = 0  # everything before it is told of or given up
        self._lately = Lately()
        self._base: deque[tuple[float, float]] = deque(maxlen=256)  # (arrival, least delay), delays increasing
        self._base_rtt: deque[tuple[float, float]] = deque(maxlen=256)  # (feedback, round trip), round trips increasing
        self._highest = -1  # the newest number that arrived
        self._queued_from_s: float | None = None  # packets have stood in a queue since this arrival
        self._queued_to_s = 0.0
        self._resume_bps: float | None = None  # what a link that had a queue carries, to go on with when that is gone
        self._standing_s = 0.0
        self._queued_bytes = 0  # arrived since then
        self._newest: deque[float] = deque(maxlen=NEWEST_PACKETS)
        self._capacity_at_s = now_s
        self._last_feedback_s = now_s
        self._last_update_s = now_s
        self._last_cut_s = -1e9
        self._last_guess_s = -1e9
        self._last_loss_cut_s = -1e9

    def sent(self, size_bytes: int, now_s: float) -> int:
        """Note one packet of `size_bytes` on the wire; return its 16-bit transport-wide sequence number."""
        return self.books.sent(size_bytes, now_s)

    @property
    def next_sequence(self) -> int:
        """Return the full number of the next packet: probes are named by the numbers of their packets."""
        return self.books.counts[NEXT]

    @property
    def in_flight_bytes(self) -> int:
        """Return what has been sent and no feedback has told of yet."""
        return self.books.counts[IN_FLIGHT]

    @property
    def queue_limit_s(self) -> float:
        """Return from which standing queue on the link is overused: a single packet is one on a slow link."""
        return QUEUE_LIMIT_S + min(PACKET_BITS / self.target_bps, PACKET_LONGEST_S)

    @property
    def lasting_bps(self) -> float:
        """Return the rate to choose by: while a queue runs out the target is lower than what will be sent after it."""
        return max(self.target_bps, self._resume_bps or 0.0)

    def window_bytes(self, feedback_interval_s: float) -> float:
        """Return how much may be in flight before all but voice waits: round trip, feedback interval and a margin."""
        if self.held:
            return 0.0
        return max(2500.0, self.target_bps / 8 * (self.base_rtt_s + feedback_interval_s + WINDOW_MARGIN_S))

    def backlog_s(self, now_s: float) -> float:
        """Return how long the link is still busy with what was sent, as far as a queue stands; else 0.0."""
        if self.queue_s <= self.queue_limit_s or not self.capacity_bps:
            return 0.0
        told_s = now_s - self._last_feedback_s + self.base_rtt_s / 2
        return max(0.0, self.in_flight_bytes * 8 / self.capacity_bps - told_s)

    def sizes(self, feedback: Feedback) -> list[int]:
        """Return the bytes of the packets that a feedback is about; 0 for those that an earlier one told of."""
        return self.books.span(feedback.base_sequence, len(feedback.arrivals_s))[0]

    def on_feedback(self, feedback: Feedback, now_s: float) -> None:
        """Take in one feedback that arrived at `now_s`; unknown sequence numbers are ignored."""
        end = self.books.counts[NEXT]
        delta = (feedback.base_sequence - end) & 0xFFFF
        base = end + (delta - 0x10000 if delta >= 0x8000 else delta)
        if base < 0 or base + len(feedback.arrivals_s) > end or base < end - HISTORY:
            return
        delays, size, first, last, newest, newest_sent = self._take(base, feedback.arrivals_s)
        self._last_feedback_s = now_s
        if delays:
            self._newest.extend(delays)
            self._highest = max(self._highest, newest)
            self._note_round_trip(max(0.001, now_s - newest_sent), now_s)
            self._lately.add(Heard(first, last, size, len(delays), self._give_up(now_s)))
            self._note_delay(min(delays), last)
            self._update(now_s)

    def _take(
        self, base: int, arrivals_s: tuple[float | None, ...]
    ) -> tuple[list[float], int, float, float, int, float]:
        """Take the packets from number `base` on as told of, and follow the queue that they stood in.

        Returns their one-way delays and bytes, the first and the last arrival, the last one's number and moment of
        sending. Each packet sent to each viewer passes here: mostly all are told of for the first time and none
        stood in a queue, and then nothing is looked at one by one.
        """
        books, told = self.books, len(arrivals_s)
        sizes, times = books.span(base, told)
        queued_s = self._base[0][1] + self.queue_limit_s if self._base else 1e9
        if None not in arrivals_s and 0 not in sizes:
            delays = list(map(sub, arrivals_s, times))
            if max(delays) < queued_s:
                books.settle(base, told)
                if self._acked_to == base:
                    self._acked_to = base + told
                size = sum(sizes)
                books.counts[IN_FLIGHT] -= size
                self._queued_from_s = None
                return delays, size, arrivals_s[0], arrivals_s[-1], base + told - 1, times[-1]
        return self._take_each(base, arrivals_s, sizes, times, queued_s)

    def _take_each(
        self,
        base: int,
        arrivals_s: tuple[float | None, ...],
        sizes: list[int],
        times: list[float],
        queued_s: float,
    ) -> tuple[list[float], int, float, float, int, float]:
        """Do the same where packets were lost, are told of again, or stood in a queue: were later than `queued_s`."""
        size, first, last, newest, newest_sent = 0, 0.0, 0.0, 0, 0.0
        delays: list[float] = []
        queued_from_s, queued_to_s, queued_bytes = self._queued_from_s, self._queued_to_s, self._queued_bytes
        for number, arrival_s, packet, sent_s in zip(count(base), arrivals_s, sizes, times, strict=False):
            if arrival_s is None or not packet:
                continue
            self.books.sizes[number & MASK] = 0
            delay = arrival_s - sent_s
            if delay < queued_s:
                queued_from_s = None
            elif queued_from_s is None:
                queued_from_s, queued_bytes = arrival_s, 0
            else:
                queued_bytes += packet
                queued_to_s = arrival_s
            if not delays:
                first = arrival_s
            delays.append(delay)
            last, newest, newest_sent = arrival_s, number, sent_s
            size += packet
        self.books.counts[IN_FLIGHT] -= size
        self._queued_from_s, self._queued_to_s, self._queued_bytes = queued_from_s, queued_to_s, queued_bytes
        return delays, size, first, last, newest, newest_sent

    def _note_round_trip(self, sample_s: float, now_s: float) -> None:
        self.rtt_s = sample_s if self.rtt_s > 2 * sample_s else 0.875 * self.rtt_s + 0.125 * sample_s
        while self._base_rtt and self._base_rtt[-1][1] >= sample_s:
            self._base_rtt.pop()
        self._base_rtt.append((now_s, sample_s))
        while self._base_rtt[0][0] < now_s - BASE_WINDOW_S:
            self._base_rtt.popleft()
        self.base_rtt_s = self._base_rtt[0][1]

    def _overdue_s(self, now_s: float) -> float:
        """Return how long the oldest of the packets behind the newest arrival is overdue; 0.0 where few are."""
        due_s = now_s - self.base_rtt_s
        last, times = self._highest + LATE_PACKETS, self.books.times
        if last >= self.books.counts[NEXT] or times[last & MASK] > due_s - LATE_S:
            return 0.0
        return due_s - times[(self._highest + 1) & MASK]

    def _give_up(self, now_s: float) -> int:
        """Count as lost what a feedback passed over and none will tell of any more; return how many packets.

        What lies behind the newest arrival may still stand in a queue of seconds.
        """
        lost, sizes, counts = 0, self.books.sizes, self.books.counts
        end = counts[NEXT]
        oldest = max(self._acked_to, end - HISTORY)
        while oldest < end:
            slot = oldest & MASK
            if sizes[slot]:
                age_s = now_s - self.books.times[slot]
                if age_s < (self.rtt_s + SETTLE_S if oldest < self._highest else LONGEST_QUEUE_S):
                    break
                counts[IN_FLIGHT] -= sizes[slot]
                sizes[slot] = 0
                lost += 1
            oldest += 1
        self._acked_to = oldest
        return lost

    def _note_delay(self, least_s: float, arrival_s: float) -> None:
        base = self._base
        while base and base[-1][1] >= least_s:
            base.pop()
        base.append((arrival_s, least_s))
        while base[0][0] < arrival_s - BASE_WINDOW_S:
            base.popleft()

    def _measure(self, now_s: float) -> None:
        self._standing_s = min(self._newest) - self._base[0][1]
        overdue_s = self._overdue_s(now_s)
        self.queue_s = self._standing_s
        if overdue_s > self.queue_limit_s + LATE_S:  # a burst of the pacer or a probe is no queue
            self.queue_s = max(self.queue_s, overdue_s)
        self.held = overdue_s > QUEUE_LIMIT_S
        self.delivered_bps, self.loss = self._lately.rate_bps, self._lately.loss

    def _update(self, now_s: float) -> None:
        self._measure(now_s)
        elapsed = min(now_s - self._last_update_s, 1.0)
        self._last_update_s = now_s
        limit_s = self.queue_limit_s
        if self.queue_s > limit_s:
            self._cut(now_s)
        elif self.loss > LOSS_HIGH:
            if now_s - self._last_loss_cut_s > self.rtt_s + SETTLE_S and self._lately.loss_since_mark > LOSS_HIGH:
                self._last_loss_cut_s = now_s
                self._lately.mark()
                self._set(self.target_bps * (1 - 0.5 * self.loss), Reason.LOSS)  # gcc-02 section 6
        elif self.queue_s < limit_s / 2:
            if self._resume_bps is not None:
                self._set(max(self.target_bps, self._resume_bps), Reason.QUEUE)
                self._resume_bps = None
            self._grow(now_s, elapsed)

    def _cut(self, now_s: float) -> None:
        """Go below what arrives, the lower the longer the queue, so that it is gone in about a second.

        While too little of it has arrived to tell a rate, pictures wait; behind a long one half is a first guess. What
        lasts is not guessed: it may have been a moment in which nobody sent.
        """
        lasting_bps, carried_bps = self.lasting_bps, self._carried_bps()
        if carried_bps is None:
            self.held = self.in_flight_bytes > 0
            if self.queue_s < 2 * self.queue_limit_s or now_s - self._last_guess_s < GUESS_S:
                return
            self._last_guess_s = now_s
            carried_bps = min(self.delivered_bps, self.target_bps * UNKNOWN_DECREASE)
            self._resume_bps = lasting_bps
        else:
            self._resume_bps = carried_bps * DECREASE
        self.capacity_bps = carried_bps
        self._capacity_at_s = self._last_cut_s = now_s
        drain = max(0.5, 1.0 - self.queue_s)
        self._set(min(self.target_bps, carried_bps * min(DECREASE, drain)), Reason.QUEUE)

    def _carried_bps(self) -> float | None:
        """Return what the link carries, by the packets that stood in its queue: idle time before them tells nothing."""
        span_s = self._queued_to_s - self._queued_from_s if self._queued_from_s is not None else 0.0
        if span_s >= QUEUED_SPAN_S:
            return self._queued_bytes * 8 / span_s
        if self._standing_s > self.queue_limit_s and self.queue_s >= 2 * self.queue_limit_s:
            return self.delivered_bps
        return None

    def _grow(self, now_s: float, elapsed: float) -> None:
        if now_s - self._last_cut_s < self.rtt_s + SETTLE_S:
            return
        if self.capacity_bps is not None and now_s - self._capacity_at_s > CAPACITY_FADES_S:
            self.capacity_bps = None
        near = self.capacity_bps is not None and self.target_bps > NEAR * self.capacity_bps
        grown = self.target_bps * (SLOW_INCREASE_PER_S if near else INCREASE_PER_S) ** elapsed
        if grown < APP_LIMIT * self.delivered_bps:
            self._set(grown, Reason.STEADY)

    def judge_probe(self, arrivals: list[tuple[float, int]]) -> float | None:
        """Raise the target to what a probe proved: (arrival, bytes) of its packets in order.

        Returns the rate in bit/s at which it arrived, None where too few packets did.
        """
        if len(arrivals) < PROBE_PACKETS or arrivals[-1][0] <= arrivals[0][0]:
            return None
        rate = sum(size for _, size in arrivals[1:]) * 8 / (arrivals[-1][0] - arrivals[0][0])
        proven = rate * PROBE_MARGIN
        if proven > self.target_bps and self.queue_s < 2 * self.queue_limit_s:
            self._set(proven, Reason.PROBE)
            self.capacity_bps = None
        return rate

    def judge_opening(self, arrivals: list[tuple[float, int]]) -> float | None:
        """Set the target to what the first cluster proved, up or down; returns its rate as `judge_probe` does."""
        if len(arrivals) < PROBE_PACKETS:
            return None
        # Packets that were read in one go came at the highest rate that is still believed.
        span_s = max(arrivals[-1][0] - arrivals[0][0], 1e-6)
        rate = min(sum(size for _, size in arrivals[1:]) * 8 / span_s, OPENING_BELIEVED_BPS)
        self._set(rate * PROBE_MARGIN, Reason.PROBE)
        return rate

    @property
    def silent_at_s(self) -> float:
        """Return from when on it is silence if no feedback comes."""
        return max(self._last_feedback_s, self._last_cut_s) + SILENCE_S + self.rtt_s

    def tick(self, now_s: float) -> None:
        """Notice silence: packets are out and no feedback comes; call it a few times a second."""
        if self.in_flight_bytes > 0 and now_s > self.silent_at_s:
            self._last_cut_s = now_s
            self._resume_bps, self.held = None, False
            self._set(self.target_bps * SILENCE_DECREASE, Reason.SILENCE)

    def _set(self, bps: float, reason: Reason) -> None:
        self.target_bps = min(max(bps, FLOOR_BPS), CEILING_BPS)
        self.reason = reason
