"""Pure: put packets back into order, waiting a bounded time for what a NACK may still bring."""

from __future__ import annotations

from media.rtp import RtpPacket, Unwrapper

MAX_PACKETS = 1024
RESTART_DISTANCE = 1000
"""What is later than this is no straggler: two such in a row mean a sender that began anew (RFC 3550 A.1)."""


class ReorderBuffer:
    """Hand packets out in order, each once.

    A hole is waited for at most `hold_s`, and while at most MAX_PACKETS stand behind it; then it is jumped over. What
    comes after that, and what was there before, is dropped and counted in `late`.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._unwrapper = Unwrapper()
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}
        self._next: int | None = None
        self._suspect: int | None = None
        self.late = 0

    def push(self, packet: RtpPacket, arrival_s: float) -> list[tuple[int, RtpPacket, float]]:
        """Take a packet; return what is ready as (unwrapped sequence, packet, its arrival)."""
        sequence = self._unwrapper.unwrap(packet.sequence)
        if self._next is None:
            self._next = sequence
        if sequence < self._next:
            if not self._restarted(sequence):
                self.late += 1
                return []
            sequence = self._begin_anew(packet)
        self._suspect = None
        self._waiting.setdefault(sequence, (packet, arrival_s))
        return self.ready(arrival_s)

    def ready(self, now_s: float) -> list[tuple[int, RtpPacket, float]]:
        """Return what may go on by now, jumping over holes that were waited for long enough."""
        out: list[tuple[int, RtpPacket, float]] = []
        while self._waiting:
            if self._next not in self._waiting:
                first = min(self._waiting)
                if len(self._waiting) <= MAX_PACKETS and self._waiting[first][1] + self._hold_s > now_s:
                    break
                self._next = first
            packet, arrival_s = self._waiting.pop(self._next)
            out.append((self._next, packet, arrival_s))
            self._next += 1
        return out

    def flush(self) -> list[tuple[int, RtpPacket, float]]:
        """Return everything that waits, in order."""
        return self.ready(float("inf"))

    def _restarted(self, sequence: int) -> bool:
        """Say whether this packet follows another one that was as far behind."""
        if self._next - sequence < RESTART_DISTANCE:
            return False
        followed, self._suspect = self._suspect == sequence, sequence + 1
        return followed

    def _begin_anew(self, packet: RtpPacket) -> int:
        """Forget the old numbering, but keep the new one ahead of it, so that the jump shows as a loss."""
        self._waiting.clear()
        self._unwrapper = Unwrapper()
        offset = self._next + RESTART_DISTANCE
        offset += (packet.sequence - offset) % 0x10000
        self._next = self._unwrapper.unwrap(offset)
        return self._next
