"""Pure: which packets are missing, when to ask for them again, and when to give up.

One NACK is not enough: a request or its answer is lost as easily as the packet was. Requests are repeated with a
growing pause until the packet comes or is too old to be of use.
"""

from __future__ import annotations

from dataclasses import dataclass

REORDER_S = 0.01
"""A packet that merely changed places gets this long before it is asked for."""
FIRST_REPEAT_S = 0.04
BACK_OFF = 1.5
MAX_TRIES = 8
MIN_AGE_S = 1.0
RTTS_UNTIL_LOST = 3.5
MAX_MISSING = 512
"""More missing packets than this are an outage, not loss: all are given up at once."""
INITIAL_RTT_S = 0.1
MAX_RTT_S = 2.0


@dataclass(slots=True)
class _Missing:
    since_s: float
    due_s: float
    asked_s: float = 0.0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Requests:
    """What to ask for now (extended sequence numbers, rising), and how many packets have just been given up."""

    ask: tuple[int, ...]
    given_up: int


class LossTracker:
    """Follow the extended sequence numbers of one source."""

    def __init__(self) -> None:
        self.highest: int | None = None
        self.rtt_s = INITIAL_RTT_S
        self.lost = 0
        self.repaired = 0
        self._missing: dict[int, _Missing] = {}
        self._dropped = 0

    def __len__(self) -> int:
        return len(self._missing)

    def received(self, number: int, now_s: float) -> None:
        """Take note of an arrival, in order, late or repeated."""
        if self.highest is None:
            self.highest = number
        elif number > self.highest:
            self._gap(self.highest + 1, number, now_s)
            self.highest = number
        else:
            found = self._missing.pop(number, None)
            if found is not None and found.tries:
                self.repaired += 1
            if found is not None and found.tries == 1:
                # Only a first request tells the round trip: later answers may belong to earlier requests (Karn).
                sample = min(now_s - found.asked_s, MAX_RTT_S)
                self.rtt_s += (sample - self.rtt_s) / 8

    def _gap(self, first: int, end: int, now_s: float) -> None:
        if end - first + len(self._missing) > MAX_MISSING:
            self._dropped += len(self._missing) + end - first
            self._missing.clear()
            return
        for number in range(first, end):
            self._missing[number] = _Missing(since_s=now_s, due_s=now_s + REORDER_S)

    def due(self, now_s: float) -> Requests:
        """Return what is to be asked for at this moment, and count what has become too old."""
        ask, gone = [], []
        keep_s = max(MIN_AGE_S, RTTS_UNTIL_LOST * self.rtt_s)
        for number, missing in self._missing.items():
            if now_s - missing.since_s > keep_s or missing.tries >= MAX_TRIES:
                gone.append(number)
            elif now_s >= missing.due_s:
                ask.append(number)
                missing.asked_s = now_s
                pause_s = max(FIRST_REPEAT_S, 1.25 * self.rtt_s)
                missing.due_s = now_s + pause_s * BACK_OFF**missing.tries
                missing.tries += 1
        for number in gone:
            del self._missing[number]
        given_up, self._dropped = len(gone) + self._dropped, 0
        self.lost += given_up
        return Requests(tuple(sorted(ask)), given_up)
