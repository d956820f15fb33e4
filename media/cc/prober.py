"""Pure: when to ask a viewer's link for more, and with how much padding.

A short cluster is sent faster than the estimate; the spacing of its arrivals tells what the link carries (the idea of
packet pairs; draft-ietf-rmcat-gcc-02 leaves probing to the sender). A cluster that fails must not be heard: it is small
enough that the queue it leaves stays under COST_S. What else arrives in the midst of it has taken its share of the link
and counts: a packet of voice among six of padding would make 64 kbit/s look like 55.
"""

from __future__ import annotations

from dataclasses import dataclass

FACTOR = 2.0  # asked for, times the estimate
PACKETS = 6  # two more than judge_probe needs, as one may be lost
COST_S = 0.075  # of queue on a link that carries no more than the estimate: one voice frame and a little
SMALLEST_BYTES = 90  # headers, extension and tag are about 50 of them
LARGEST_BYTES = 1100
FIRST_S = 1.5  # after joining: the first feedbacks must have come
SUCCESS_S = 0.7  # after a probe that proved more
PAUSE_S = 3.0  # after the first that did not; then doubled
LONGEST_PAUSE_S = 6.0  # so that a link that got better is found out within the 15 s people wait
ENOUGH = 1.1  # times what is wanted: an estimate beyond it need not grow
GAIN = 1.15  # less is noise
OPENING_BYTES = 130  # six of them are 0.2 s of a 32 kbit/s link, and 10 ms of one of 512
ANSWER_S = 0.6  # beyond the round trip: two feedbacks of the slow kind


@dataclass(frozen=True, slots=True)
class Cluster:
    """Padding to send: `packets` of `size_bytes` on the wire, `interval_s` apart."""

    packets: int
    size_bytes: int
    interval_s: float


class Prober:
    """Plan the probes of one viewer."""

    __slots__ = ("_arrivals", "_asked_s", "_before_bps", "_next_s", "_others", "_pause_s", "_sizes", "_until_s")

    def __init__(self, now_s: float) -> None:
        self._next_s = now_s + FIRST_S
        self._pause_s = PAUSE_S
        self._sizes: dict[int, int] = {}
        self._arrivals: list[tuple[float, int]] = []
        self._others: list[tuple[float, int]] = []
        self._asked_s: float | None = None
        self._until_s = 0.0
        self._before_bps = 0.0

    def plan(self, now_s: float, target_bps: float, queue_s: float, rtt_s: float, wanted_bps: float) -> Cluster | None:
        """Return the cluster to send now, or None. `wanted_bps` is what the best rung needs: beyond it nobody asks."""
        if self._asked_s is not None or now_s < self._next_s or queue_s > 0.03 or target_bps > ENOUGH * wanted_bps:
            return None
        ask_bps = target_bps * FACTOR
        # What is left queued on a link of target_bps: the cluster's time there less the time it took to send.
        size = int(COST_S / PACKETS / (8 / target_bps - 8 / ask_bps))
        size = max(SMALLEST_BYTES, min(LARGEST_BYTES, size))
        interval_s = size * 8 / ask_bps
        self._begin(now_s, now_s + interval_s * PACKETS + rtt_s + ANSWER_S, target_bps)
        return Cluster(PACKETS, size, interval_s)

    def idle(self, target_bps: float, wanted_bps: float) -> bool:
        """Whether no probe is out and none is wanted."""
        return self._asked_s is None and target_bps > ENOUGH * wanted_bps

    def open(self, now_s: float, rtt_s: float) -> Cluster:
        """Return the cluster that a new viewer gets at once, all of it together: it measures the link first."""
        self._begin(now_s, now_s + rtt_s + ANSWER_S, 0.0)
        return Cluster(PACKETS, OPENING_BYTES, 0.0)

    def _begin(self, now_s: float, until_s: float, before_bps: float) -> None:
        self._asked_s, self._until_s, self._before_bps = now_s, until_s, before_bps
        self._sizes.clear()
        self._arrivals.clear()
        self._others.clear()

    def sent(self, sequence: int, size_bytes: int) -> None:
        """Note that a packet of the cluster went out under this transport-wide number."""
        self._sizes[sequence & 0xFFFF] = size_bytes

    @property
    def waiting(self) -> bool:
        """Whether some of a cluster has not been told of."""
        return bool(self._sizes)

    def on_arrivals(self, base_sequence: int, arrivals_s: tuple[float | None, ...], sizes: list[int]) -> None:
        """Pick the cluster's packets out of a feedback, and the others beside them with their `sizes` in bytes."""
        if not self._sizes:
            return
        for offset, arrival_s in enumerate(arrivals_s):
            if arrival_s is None:
                continue
            size = self._sizes.pop((base_sequence + offset) & 0xFFFF, None)
            if size is not None:
                self._arrivals.append((arrival_s, size))
            elif sizes[offset]:
                self._others.append((arrival_s, sizes[offset]))

    def due(self, now_s: float) -> list[tuple[float, int]] | None:
        """Return what arrived from the cluster's first packet to its last, once its answer must have come, else None.

        Where too few of the cluster came to be judged nothing is put with them.
        """
        if self._asked_s is None or (now_s < self._until_s and (self._sizes or not self._arrivals)):
            return None
        self._asked_s = None
        self._sizes.clear()
        if len(self._arrivals) < PACKETS - 2:
            return self._arrivals
        first_s, last_s = min(self._arrivals)[0], max(self._arrivals)[0]
        return sorted(self._arrivals + [other for other in self._others if first_s < other[0] < last_s])

    def judged(self, now_s: float, rate_bps: float | None) -> None:
        """Plan the next probe by what this one proved."""
        if rate_bps is not None and rate_bps > GAIN * self._before_bps:
            self._pause_s = PAUSE_S
            self._next_s = now_s + SUCCESS_S
            return
        self._next_s = now_s + self._pause_s
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
