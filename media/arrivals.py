"""Pure: what arrives of a host's transport-wide numbers, told back to it so that its own rate control works.

The host's estimator wants to hear often (draft-ietf-rmcat-gcc-02 section 4), but on a slow link what we say must not
take the lesson's place: it is bounded to a share of what arrives.
"""

from __future__ import annotations

from media import twcc
from media.rtp import Unwrapper

INTERVAL_S = 0.1
SLOWEST_S = 0.5
SHARE = 0.05  # draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3: 5 % of the session's bit rate
FEEDBACK_WIRE_BYTES = 80  # IP, UDP, SRTCP trailer (14) and a feedback about ten packets
RATE_WINDOW_S = 0.5
KEPT_S = 0.5  # what was told is told again with a straggler that comes in front of it
SPAN = 1000  # numbers in one feedback; a jump further than this is a new beginning
LONGEST_STEP_S = 4.0  # a receive delta of two bytes reaches 8 s (section 3.1.5)


class Arrivals:
    """The arrivals of one host connection, and the feedbacks made of them."""

    def __init__(self) -> None:
        self._unwrap = Unwrapper()
        self._at: dict[int, float] = {}  # number → arrival, in order of arrival
        self._newest = 0
        self._first: int | None = None  # the lowest number that has not been told, None when all have
        self._next: int | None = None  # where the feedback after the last one begins
        self._due_s = 0.0
        self._count = 0
        self._bytes = 0
        self._since_s: float | None = None
        self._interval_s = INTERVAL_S

    def received(self, sequence: int, size_bytes: int, now_s: float) -> None:
        """Note a packet's 16-bit transport-wide number and its size on the wire."""
        self._bytes += size_bytes
        number = self._unwrap.unwrap(sequence)
        if self._at and (abs(number - self._newest) > SPAN or now_s - self._at[self._newest] > LONGEST_STEP_S):
            self._at.clear()
            self._first = self._next = None
        if number in self._at:
            return
        self._newest = number if not self._at else max(self._newest, number)
        self._at[number] = now_s
        begin = number if self._next is None else min(number, self._next)
        self._first = begin if self._first is None else min(begin, self._first)

    def feedback(self, sender_ssrc: int, media_ssrc: int, now_s: float) -> bytes | None:
        """Return the feedback that is due; None before that, or when nothing new has come."""
        if self._first is None or now_s < self._due_s:
            return None
        self._pace(now_s)
        self._due_s = now_s + self._interval_s
        first = max(self._first, self._newest - SPAN)
        told = [self._at.get(number) for number in range(first, self._newest + 1)]
        self._first, self._next = None, self._newest + 1
        data = twcc.serialize(sender_ssrc, media_ssrc, first & 0xFFFF, self._count & 0xFF, told)
        self._count += 1
        while len(self._at) > 1:
            oldest = next(iter(self._at))
            if oldest == self._newest or now_s - self._at[oldest] <= KEPT_S:
                break
            del self._at[oldest]
        return data

    def _pace(self, now_s: float) -> None:
        """Stretch the interval so that feedback keeps to its share of what arrives."""
        if self._since_s is None:
            self._since_s, self._bytes = now_s, 0
        elif now_s - self._since_s >= RATE_WINDOW_S:
            rate = self._bytes / (now_s - self._since_s)
            self._interval_s = min(max(INTERVAL_S, FEEDBACK_WIRE_BYTES / max(1.0, SHARE * rate)), SLOWEST_S)
            self._since_s, self._bytes = now_s, 0
