"""Pure: write and read transport-wide congestion control feedback.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1 (RTPFB, FMT 15). All of it is linear in the
packet's length, and a hostile packet raises MalformedFeedback, nothing else.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import NamedTuple

RTPFB = 205
FMT_TRANSPORT_CC = 15

REFERENCE_TICK_S = 0.064  # section 3.1: the reference time counts multiples of 64 ms
DELTA_TICK_S = 0.000_25  # section 3.1.5: receive deltas count multiples of 250 us
REFERENCE_TICKS = 256  # of the deltas in one of the reference
REFERENCE_WRAP = 1 << 24

# Packet status symbols, section 3.1.1.
LOST, SMALL_DELTA, LARGE_DELTA, RESERVED = 0, 1, 2, 3

_LARGE = struct.Struct("!h")
_BITS = tuple(tuple(byte >> shift & 1 for shift in range(7, -1, -1)) for byte in range(256))
_PAIRS = tuple(tuple(byte >> shift & 3 for shift in range(6, -1, -2)) for byte in range(256))
"""A byte of a status vector as its symbols of one bit, and of two: a table is read faster than bits are shifted."""

MAX_STATUS_COUNT = 4096  # about 50 s of a lesson's packets: no honest feedback spans more


class MalformedFeedback(ValueError):
    """Bytes that are no transport-cc feedback; count and drop."""


class Feedback(NamedTuple):
    """What one feedback tells: for each sequence number from `base_sequence` on, its arrival or None if lost.

    `arrivals_s` are on the receiver's clock, modulo REFERENCE_WRAP * REFERENCE_TICK_S (about 12 days).
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    count: int  # feedback packet count, modulo 256
    arrivals_s: tuple[float | None, ...]


def is_feedback(data: bytes) -> bool:
    """Say whether a datagram is one such feedback and nothing else: the usual case, told without parsing."""
    return (
        len(data) >= 20
        and data[1] == RTPFB
        and data[0] & 0x1F == FMT_TRANSPORT_CC
        and len(data) == (data[2] << 8 | data[3]) * 4 + 4
    )


def parse(data: bytes) -> Feedback:
    """Read one RTPFB packet of FMT 15, header included.

    Raises MalformedFeedback where chunks or deltas do not fit.
    """
    if len(data) < 20 or data[0] >> 6 != 2 or data[0] & 0x1F != FMT_TRANSPORT_CC or data[1] != RTPFB:
        raise MalformedFeedback("no transport-cc feedback")
    end = (struct.unpack_from("!H", data, 2)[0] + 1) * 4
    if end > len(data) or end < 20:
        raise MalformedFeedback("length beyond the packet")
    if data[0] & 0x20:
        padding = data[end - 1]
        if not 0 < padding <= end - 20:
            raise MalformedFeedback("padding beyond the packet")
        end -= padding
    sender, media, base, status_count, reference = struct.unpack_from("!IIHHI", data, 4)
    if not 0 < status_count <= MAX_STATUS_COUNT:
        raise MalformedFeedback("unlikely packet status count")
    symbols, offset = _symbols(data, 20, end, status_count)
    arrivals = _arrivals(data, offset, end, symbols, (reference >> 8) * REFERENCE_TICKS)
    return Feedback(sender, media, base, reference & 0xFF, arrivals)


def _arrivals(data: bytes, offset: int, end: int, symbols: list[int], ticks: int) -> tuple[float | None, ...]:
    """Sum the receive deltas at `offset` up, from the reference time in `ticks`; None for what was lost."""
    small = symbols.count(SMALL_DELTA)
    if offset + small + 2 * symbols.count(LARGE_DELTA) > end:
        raise MalformedFeedback("receive deltas cut off")
    if small == len(symbols):  # nearly always
        sums = accumulate(data[offset : offset + small], initial=ticks)
        next(sums)
        return tuple([at * DELTA_TICK_S for at in sums])
    arrivals: list[float | None] = []
    for symbol in symbols:
        if symbol == LOST:
            arrivals.append(None)
            continue
        if symbol == SMALL_DELTA:
            ticks += data[offset]
        else:
            ticks += _LARGE.unpack_from(data, offset)[0]
        offset += symbol  # as many bytes as its number says
        arrivals.append(ticks * DELTA_TICK_S)
    return tuple(arrivals)


def _symbols(data: bytes, offset: int, end: int, count: int) -> tuple[list[int], int]:
    """Expand the packet chunks (section 3.1.2-3.1.4) into `count` symbols and the offset behind them."""
    symbols: list[int] = []
    while len(symbols) < count:
        if offset + 2 > end:
            raise MalformedFeedback("packet chunks cut off")
        high, low = data[offset], data[offset + 1]
        offset += 2
        if not high & 0x80:
            symbol, run = high >> 5 & 3, (high & 0x1F) << 8 | low
            if symbol == RESERVED or run == 0:
                raise MalformedFeedback("reserved symbol or empty run")
            symbols += [symbol] * min(run, count - len(symbols))
        elif not high & 0x40:
            symbols += _BITS[high][2:]
            symbols += _BITS[low]
        else:
            symbols += _PAIRS[high][1:]
            symbols += _PAIRS[low]
    del symbols[count:]
    if RESERVED in symbols:
        raise MalformedFeedback("reserved symbol")
    return symbols, offset


def serialize(
    sender_ssrc: int, media_ssrc: int, base_sequence: int, count: int, arrivals_s: list[float | None]
) -> bytes:
    """Write one feedback for consecutive sequence numbers; the first given arrival sets the reference time.

    Raises ValueError where nothing arrived or a step between arrivals exceeds 8 s: split the report there.
    """
    first = next((arrival for arrival in arrivals_s if arrival is not None), None)
    if first is None or not 0 < len(arrivals_s) <= MAX_STATUS_COUNT:
        raise ValueError("a feedback tells of at least one arrival and of a bounded span")
    reference = int(first // REFERENCE_TICK_S)
    ticks_now = reference * 256
    symbols: list[int] = []
    deltas = bytearray()
    for arrival in arrivals_s:
        if arrival is None:
            symbols.append(LOST)
            continue
        ticks = round(arrival / DELTA_TICK_S) - ticks_now
        ticks_now += ticks
        if 0 <= ticks <= 255:
            symbols.append(SMALL_DELTA)
            deltas.append(ticks)
        elif -32768 <= ticks <= 32767:
            symbols.append(LARGE_DELTA)
            deltas += struct.pack("!h", ticks)
        else:
            raise ValueError("arrivals too far apart for one feedback")
    body = struct.pack("!IIHH", sender_ssrc, media_ssrc, base_sequence & 0xFFFF, len(arrivals_s))
    body += struct.pack("!I", (reference % REFERENCE_WRAP) << 8 | count & 0xFF)
    body += _chunks(symbols) + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes([padding])
    first_byte = 0x80 | (0x20 if padding else 0) | FMT_TRANSPORT_CC
    return struct.pack("!BBH", first_byte, RTPFB, len(body) // 4) + body


def _chunks(symbols: list[int]) -> bytes:
    """Pack symbols: a run where seven or more are alike, else a vector of seven two-bit symbols."""
    out = bytearray()
    at = 0
    while at < len(symbols):
        run = 1
        while at + run < len(symbols) and symbols[at + run] == symbols[at] and run < 0x1FFF:
            run += 1
        if run >= 7 or at + run == len(symbols):
            out += struct.pack("!H", symbols[at] << 13 | run)
            at += run
            continue
        vector = symbols[at : at + 7] + [LOST] * 7
        chunk = 0xC000
        for index in range(7):
            chunk |= vector[index] << (12 - 2 * index)
        out += struct.pack("!H", chunk)
        at += 7
    return bytes(out)
