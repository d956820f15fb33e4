"""Pure: one direction of a link: when does a packet leave it, or why does it never.

A packet waits in a bounded queue, is sent at the link's rate (or takes the chances of a recorded trace), may be lost in
the air after it has cost its time, and arrives after delay and jitter, never before the packet in front of it. Sizes
are those of IP packets. Times are seconds of one clock that never goes back; chance comes in as a function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bench.linkemu.loss import Loss, LossProcess
from bench.linkemu.trace import Trace

UDP = 17
NO_LOSS = Loss()


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One direction. `rate_bps` or a `trace`; a queue of `queue_s` of waiting, or of `queue_bytes` where that is set.

    `jitter_s` adds an even chance from 0 to so much to the delay. `udp_blocked` swallows UDP before the queue, as a
    firewall does.
    """

    rate_bps: float = 0.0
    trace: Trace | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: Loss = NO_LOSS
    queue_s: float = 0.4
    queue_bytes: int | None = None
    udp_blocked: bool = False

    def __post_init__(self) -> None:
        if self.trace is None and self.rate_bps <= 0:
            raise ValueError("a link needs a rate above 0 or a trace")
        if min(self.delay_s, self.jitter_s, self.queue_s) < 0:
            raise ValueError("delay, jitter and queue are never below 0")

    @property
    def mean_bps(self) -> float:
        """Return the rate, or the trace's mean."""
        return self.trace.mean_bps if self.trace is not None else self.rate_bps


@dataclass(slots=True)
class LinkCounters:
    """What became of the packets. Every packet that arrived is delivered, dropped, lost, blocked or still inside."""

    arrived: int = 0
    arrived_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    dropped: int = 0
    lost: int = 0
    blocked: int = 0
    largest_queue_s: float = 0.0
    largest_queue_bytes: int = 0


@dataclass(slots=True)
class _Waiting:
    data: bytes
    left_bits: float


@dataclass(slots=True)
class Link:
    """The state of one direction; feed it packets with `arrive`, take out what is due with `deliver`."""

    spec: LinkSpec
    chance: Callable[[], float]
    counters: LinkCounters = field(default_factory=LinkCounters)
    _queue: deque[_Waiting] = field(default_factory=deque)
    _queued_bits: float = 0.0
    _flying: deque[tuple[float, bytes]] = field(default_factory=deque)
    _served_s: float = 0.0
    _loss: LossProcess = field(init=False)

    def __post_init__(self) -> None:
        self._loss = LossProcess(self.spec.loss)

    def arrive(self, now_s: float, packet: bytes, protocol: int = UDP) -> bool:
        """Take one IP packet in; False when it never gets into the queue."""
        self.advance(now_s)
        counters, spec = self.counters, self.spec
        counters.arrived += 1
        counters.arrived_bytes += len(packet)
        if spec.udp_blocked and protocol == UDP:
            counters.blocked += 1
            return False
        if not self._fits(len(packet)):
            counters.dropped += 1
            return False
        self._queue.append(_Waiting(packet, len(packet) * 8))
        self._queued_bits += len(packet) * 8
        counters.largest_queue_s = max(counters.largest_queue_s, self.queue_s)
        counters.largest_queue_bytes = max(counters.largest_queue_bytes, self.queue_bytes)
        return True

    def deliver(self, now_s: float) -> list[bytes]:
        """Return the packets that have reached the far end by now, in order."""
        self.advance(now_s)
        due = []
        while self._flying and self._flying[0][0] <= now_s:
            due.append(self._flying.popleft()[1])
        self.counters.delivered += len(due)
        self.counters.delivered_bytes += sum(map(len, due))
        return due

    def next_s(self) -> float | None:
        """Return when to ask again if nothing arrives before: a packet lands, or one leaves the queue. None: never."""
        moments = [self._flying[0][0]] if self._flying else []
        if self._queue:
            moments.append(self._head_leaves_s())
        return min(moments, default=None)

    def change(self, now_s: float, **fields: object) -> None:
        """Change the spec from now on; what is in the queue stays there and goes on at the new rate."""
        self.advance(now_s)
        self.spec = replace(self.spec, **fields)
        if "loss" in fields:
            self._loss = LossProcess(self.spec.loss)

    @property
    def queue_s(self) -> float:
        """How long what waits now takes to be sent at the present rate."""
        return self._queued_bits / self.spec.mean_bps

    @property
    def queue_bytes(self) -> int:
        """How much waits now, the rest of the packet on its way out included."""
        return round(self._queued_bits / 8)

    def _fits(self, size: int) -> bool:
        # By time: whoever would wait longer than allowed before being sent is dropped at the tail. The packet's own
        # sending time does not count, else a slow link would never take a full-sized packet.
        if self.spec.queue_bytes is not None:
            return not self._queue or self.queue_bytes + size <= self.spec.queue_bytes
        return self.queue_s <= self.spec.queue_s

    def advance(self, now_s: float) -> None:
        """Send what could be sent since the last call."""
        if self.spec.trace is None:
            self._serve_at_rate(now_s)
        else:
            self._serve_by_trace(self.spec.trace, now_s)
        self._served_s = max(self._served_s, now_s)

    def _head_leaves_s(self) -> float:
        if self.spec.trace is None:
            return self._served_s + self._queue[0].left_bits / self.spec.rate_bps
        return self.spec.trace.next_after(self._served_s)[0]

    def _serve_at_rate(self, now_s: float) -> None:
        at_s = self._served_s
        while self._queue and at_s < now_s:
            head = self._queue[0]
            leaves_s = at_s + head.left_bits / self.spec.rate_bps
            if leaves_s > now_s:
                self._send(head, (now_s - at_s) * self.spec.rate_bps)
                return
            self._send(head, head.left_bits)
            self._leave(leaves_s)
            at_s = leaves_s

    def _serve_by_trace(self, trace: Trace, now_s: float) -> None:
        at_s = self._served_s
        while self._queue:
            at_s, room = trace.next_after(at_s)
            if at_s > now_s:
                return
            bits = room * 8
            # A chance that nobody needs is gone; packets share one, and a packet may take several.
            while self._queue and bits > 0:
                head = self._queue[0]
                taken = min(bits, head.left_bits)
                self._send(head, taken)
                bits -= taken
                if head.left_bits <= 0:
                    self._leave(at_s)

    def _send(self, head: _Waiting, bits: float) -> None:
        head.left_bits -= bits
        self._queued_bits -= bits

    def _leave(self, at_s: float) -> None:
        packet = self._queue.popleft().data
        if not self._queue:
            self._queued_bits = 0.0
        if self._loss.lost(self.chance()):
            self.counters.lost += 1
            return
        lands_s = at_s + self.spec.delay_s + (self.spec.jitter_s * self.chance() if self.spec.jitter_s else 0.0)
        if self._flying:
            lands_s = max(lands_s, self._flying[-1][0])
        self._flying.append((lands_s, packet))
