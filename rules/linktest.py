"""Decide what a measured link gets of a lesson, what to advise, and which figures of a measurement are believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Gets(IntEnum):
    """What a wire budget buys, worst first (the table of docs/rate-control.md)."""

    NOTHING = 0  # not even the voice for certain
    VOICE = 1  # voice and slides
    STILL = 2  # and a still picture now and then
    MOVING = 3  # 5 pictures a second
    BETTER = 4  # 10 pictures a second
    SMOOTH = 5  # 360 lines, 12 pictures a second
    FULL = 6  # the host's own picture


class Way(StrEnum):
    """How a link was measured: over the media port, or beside it."""

    UDP = "udp"
    TCP = "tcp"
    HTTP = "http"


class Advice(StrEnum):
    """What somebody with this link should do."""

    SLOW_DOWN = "slow_down"
    SLOW_UP = "slow_up"
    LOSS = "loss"
    DELAY = "delay"
    BLOCKED = "blocked"
    NO_MEDIA = "no_media"
    FINE = "fine"


NEEDS_KBPS = {
    Gets.VOICE: 24,
    Gets.STILL: 32,
    Gets.MOVING: 64,
    Gets.BETTER: 128,
    Gets.SMOOTH: 256,
    Gets.FULL: 512,
}
TOLERANCE = 0.88
"""A link that was sold as 64 kbit/s measures a little less; it is still the one that the table means."""
LOSSY_PERCENT = 3.0
VOICE_ONLY_LOSS_PERCENT = 15.0
"""From here on repeats take what a picture would need."""
SLOW_ROUND_TRIP_MS = 400

CEILING_KBPS = 2000
"""More is not measured: the figure then means "or more"."""
LONGEST_RTT_MS = 10_000
SHORTEST_MS = 20
LONGEST_MS = 60_000
TCP_WIRE = 1500 / 1448
"""IP packets over what TCP carries in them: headers of 40 bytes and time stamps of 12 (RFC 7323 3)."""
SLOW_START_SHARE = 0.25
"""So much of an upload is not judged: TCP looks for the link's rate in it."""
SHORTEST_SPAN_S = 0.03


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a link; rates in kbit/s of IP packets, None where not measured."""

    down_kbps: int | None
    up_kbps: int | None
    rtt_ms: int | None
    loss_percent: float | None
    way: Way


@dataclass(frozen=True, slots=True)
class Tally:
    """How many schools get what; those never measured are counted apart."""

    schools: int
    by_gets: dict[Gets, int]
    unmeasured: int


def gets(kbps: int, loss_percent: float | None = None) -> Gets:
    """Return what a link of this rate gets, towards a viewer or from a host."""
    lost = loss_percent or 0.0
    usable = kbps * (1 - lost / 100)
    best = max((one for one, needs in NEEDS_KBPS.items() if usable >= needs * TOLERANCE), default=Gets.NOTHING)
    return min(best, Gets.VOICE) if lost >= VOICE_ONLY_LOSS_PERCENT else best


def advise(found: Measured) -> list[Advice]:
    """List what to do, most pressing first; FINE where there is nothing."""
    said = []
    if found.down_kbps is not None and gets(found.down_kbps) < Gets.MOVING:
        said.append(Advice.SLOW_DOWN)
    if found.loss_percent is not None and found.loss_percent >= LOSSY_PERCENT:
        said.append(Advice.LOSS)
    if found.up_kbps is not None and gets(found.up_kbps) < Gets.MOVING:
        said.append(Advice.SLOW_UP)
    if found.rtt_ms is not None and found.rtt_ms >= SLOW_ROUND_TRIP_MS:
        said.append(Advice.DELAY)
    if found.way is Way.TCP:
        said.append(Advice.BLOCKED)
    elif found.way is Way.HTTP:
        said.append(Advice.NO_MEDIA)
    return said or [Advice.FINE]


def tally(rates_kbps: Iterable[int | None]) -> Tally:
    """Count schools by what their measured link gets."""
    rates = list(rates_kbps)
    known = [rate for rate in rates if rate is not None]
    return Tally(len(rates), dict(Counter(gets(rate) for rate in known)), len(rates) - len(known))


def claimed_kbps(size_bytes: int, took_ms: float, most_bytes: int) -> int | None:
    """Return the rate of a download as the browser tells of it; None for what cannot have been.

    `most_bytes` is what was given out: nobody received more.
    """
    if not 0 < size_bytes <= most_bytes or not SHORTEST_MS <= took_ms <= LONGEST_MS:
        return None
    return bounded_kbps(size_bytes * 8 / took_ms * TCP_WIRE)


def arrival_kbps(arrivals: Sequence[tuple[float, int]]) -> int | None:
    """Return the rate of an upload from (seconds, bytes so far) as its pieces came; None for too few to tell.

    An upload that was there at once has a rate beyond the ceiling.
    """
    if len(arrivals) < 3:
        return None
    total = arrivals[-1][1]
    begin = next((one for one in arrivals if one[1] >= total * SLOW_START_SHARE), arrivals[0])
    span_s, size = arrivals[-1][0] - begin[0], total - begin[1]
    if size <= 0:
        return None
    return bounded_kbps(size * 8 / 1000 / max(span_s, SHORTEST_SPAN_S) * TCP_WIRE)


def bounded_kbps(kbps: float) -> int:
    """Bring a rate into the range that is told."""
    return max(1, min(round(kbps), CEILING_KBPS))


def believed_rtt_ms(rtt_ms: int | None) -> int | None:
    """Return a round trip that the browser tells of, None for what none is."""
    return rtt_ms if rtt_ms is not None and 0 < rtt_ms <= LONGEST_RTT_MS else None
