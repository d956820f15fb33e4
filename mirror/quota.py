"""Pure: count what goes over the wire in a month, and stop before the school's megabytes are used up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

MEGABYTE = 1_000_000
# IPv4 and TCP headers with timestamps, on Ethernet-sized packets; an acknowledgement goes back for every second one.
SEGMENT_BYTES = 1448
HEADER_BYTES = 52
# Opening and closing a connection: seven packets; with TLS about a dozen more and two certificates.
OPEN_BYTES = 7 * 60
TLS_OPEN_BYTES = 6_000
# TLS adds a header and a tag to every record of at most 16 KB, and servers send smaller ones too.
TLS_SHARE = 0.004
# Between two looks at the count no more than this is read, so that it is also what is kept back.
RESERVE_BYTES = 64_000
# The count on the disk runs ahead of the real one by up to this, so that a power cut makes it larger, never smaller.
AHEAD_BYTES = 500_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on the wire in one calendar month of the school's zone ("2026-11")."""

    month: str = ""
    wire_bytes: int = 0


def month_of(now: datetime, zone: ZoneInfo) -> str:
    """Name the month at a moment (aware) by the school's clock."""
    return now.astimezone(zone).strftime("%Y-%m")


def turned(usage: Usage, month: str) -> Usage:
    """Begin a new count when a month is over. A clock that went back goes on with the count that is there."""
    return Usage(month, 0) if month > usage.month else usage


def corrected(usage: Usage, month: str) -> Usage:
    """Bring a count back whose month lies ahead, after the origin has told the date: nothing used is forgotten."""
    return Usage(month, usage.wire_bytes) if usage.month > month else turned(usage, month)


def on_wire(received: int, sent: int, *, opened: bool = False, tls: bool = False) -> int:
    """Estimate the bytes on the wire, both directions, of bytes received and sent over TCP, and of opening."""
    if tls:
        received, sent = int(received * (1 + TLS_SHARE)), int(sent * (1 + TLS_SHARE))
    packets_in, packets_out = -(-received // SEGMENT_BYTES), -(-sent // SEGMENT_BYTES)
    headers = (packets_in + packets_out) * HEADER_BYTES * 3 // 2
    return received + sent + headers + (OPEN_BYTES + (TLS_OPEN_BYTES if tls else 0) if opened else 0)


def left(usage: Usage, monthly_mb: int | None) -> int | None:
    """Say how many bytes may still go over the wire this month, some kept back; None where there is no limit."""
    if monthly_mb is None:
        return None
    return max(0, monthly_mb * MEGABYTE - RESERVE_BYTES - usage.wire_bytes)
