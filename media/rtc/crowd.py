"""Columns of numbers for all viewers, and the streams that share a source: what is written for many at one go.

A row of `Ledgers` is a viewer's account (media/cc/books.py), a row of `Streams` one RTP stream to one viewer. Tables
are as large as the process may have viewers; the kernel gives them memory only where rows are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import numpy as np

from media.cc.books import HISTORY, Books

STREAMS_PER_VIEWER = 3
"""Voice, picture, repair."""
NUMBERED = 1
"""Low half of `SendStream.extension` (RFC 8285 4.2: length less one) where it is a transport-wide number."""


class Ledgers:
    """What all viewers have been sent and may be sent."""

    def __init__(self, viewers: int) -> None:
        self.times = np.zeros((viewers, HISTORY))
        self.sizes = np.zeros((viewers, HISTORY), np.uint16)
        self.counts = np.zeros((viewers, 2), np.int64)
        self.purses = np.zeros(viewers)
        self.all_times, self.all_sizes = self.times.reshape(-1), self.sizes.reshape(-1)
        self.next, self.in_flight = self.counts[:, 0], self.counts[:, 1]
        self._free = list(range(viewers - 1, -1, -1))

    def open(self) -> Books:
        """Return empty books in a row of the tables; by themselves where all rows are in use."""
        if not self._free:
            return Books()
        row = self._free.pop()
        self.sizes[row] = 0
        self.counts[row] = 0
        self.purses[row] = 0.0
        return Books(
            memoryview(self.times[row]),
            memoryview(self.sizes[row]),
            memoryview(self.counts[row]),
            memoryview(self.purses[row : row + 1]),
            row,
        )

    def close(self, books: Books) -> None:
        """Give a row back, once."""
        if books.row is not None:
            self._free.append(books.row)
            books.row = None


class Streams:
    """What differs between the streams of one packet, a column each. `name` is the address in memory of a sockaddr."""

    def __init__(self, streams: int) -> None:
        self.payload_type = np.zeros(streams, np.uint8)
        self.extension = np.zeros(streams, np.uint8)
        self.behind = np.zeros(streams, np.bool_)
        self.sequence_delta = np.zeros(streams, np.uint16)
        self.timestamp_delta = np.zeros(streams, np.uint32)
        self.ssrc = np.zeros(streams, np.uint32)
        self.name = np.zeros(streams, np.uint64)
        self.packets = np.zeros(streams, np.int64)
        self.octets = np.zeros(streams, np.int64)
        # Single numbers are read and written faster through these than through numpy.
        self.behind_at, self.packets_at, self.octets_at = map(memoryview, (self.behind, self.packets, self.octets))
        self._free = list(range(streams - 1, -1, -1))

    def take(self) -> int | None:
        """Return a row for a stream that has sent nothing; None where all are in use."""
        if not self._free:
            return None
        row = self._free.pop()
        self.behind[row] = False
        self.packets[row] = self.octets[row] = 0
        return row

    def give_back(self, row: int) -> None:
        """Let a row be used again."""
        self._free.append(row)


class Flow(Protocol):
    """One viewer's rate control as the loop sees it.

    `credit` is in bytes on the wire; `refill` lets it grow up to now and returns it. `sent` notes a packet of so many
    bytes and returns its transport-wide number. `books` are where both stand, None where they stand nowhere.
    """

    credit: float
    books: Books | None
    sent: Callable[[int, float], int]

    def refill(self, now_s: float) -> float: ...


class Link(Protocol):
    """A path that is no address of the UDP socket: a TCP connection with a queue of its own."""

    def take(self, packet: bytes, urgent: bool) -> None: ...
    def flush(self) -> None: ...


class SendStream:
    """One RTP stream to one peer: what differs between viewers of the same packet, and where it goes.

    `sequence_delta` and `timestamp_delta` are added to the room's numbers (mod 2^16 and 2^32). `name` is where the
    peer's sockaddr stands in memory, None while nothing can be sent; `link` is set where the path is a connection, on
    which an `urgent` stream (voice) overtakes the others. Each change is written into the columns too.
    """

    __slots__ = (
        "crowd",
        "cursor",
        "extension",
        "first",
        "flow",
        "link",
        "name",
        "patience",
        "patience_left",
        "payload_type",
        "row",
        "sequence_delta",
        "session",
        "ssrc",
        "table",
        "timestamp_delta",
        "urgent",
    )

    def __init__(self, ssrc: int, payload_type: int, urgent: bool = False, table: Streams | None = None) -> None:
        """Take a row of `table`; where it is full, or there is none, a table of its own."""
        row = None if table is None else table.take()
        if row is None:
            table = Streams(1)
            row = table.take()
        self.table, self.row = table, row
        self.ssrc = ssrc
        self.urgent = urgent
        self.session: object = None
        self.name: int | None = None
        self.link: Link | None = None
        self.flow: Flow | None = None
        self.extension = 0
        self.cursor = 0
        self.first = 0
        self.crowd: Crowd | None = None
        self.patience = b""
        self.patience_left = 0
        self.sequence_delta = self.timestamp_delta = 0
        table.ssrc[row] = ssrc
        self.number(0)
        self.shift(0)
        self.carry(payload_type)

    def number(self, sequence_delta: int) -> None:
        """Let sequence numbers differ from the room's by this (0 to 65535)."""
        self.sequence_delta = self.table.sequence_delta[self.row] = sequence_delta

    def shift(self, timestamp_delta: int) -> None:
        """Let timestamps differ from the room's by this."""
        self.timestamp_delta = self.table.timestamp_delta[self.row] = timestamp_delta

    def carry(self, payload_type: int) -> None:
        """Let packets have this payload type."""
        self.payload_type = self.table.payload_type[self.row] = payload_type

    def account(self, flow: Flow | None, extension: int) -> None:
        """Let this flow decide what may be sent; `extension` is the first byte of the element that it writes, or 0."""
        self.flow = flow
        self.extension = self.table.extension[self.row] = extension
        self._changed()

    def ask_patience(self, element: bytes, packets: int) -> None:
        """Put this element of four bytes beside the number of so many packets."""
        self.patience, self.patience_left = element, packets
        self._changed()

    def asked_patience(self) -> None:
        """Note that a packet with the element has gone out."""
        self.patience_left -= 1
        if not self.patience_left:
            self._changed()

    def point(self, session: object, name: int | None, link: Link | None) -> None:
        """Encrypt by this session and send there."""
        self.session, self.name, self.link = session, name, link
        self.table.name[self.row] = name or 0
        self._changed()

    def close(self) -> None:
        """Give the row back; nothing is sent any more."""
        self.point(None, None, None)
        self.table.give_back(self.row)
        self.table, self.row = Streams(1), 0

    def _changed(self) -> None:
        if self.crowd is not None:
            self.crowd.stale = True

    @property
    def alike(self) -> bool:
        """Whether packets go over UDP, numbered, by books in the tables: as those of nearly everybody do."""
        books = None if self.flow is None else self.flow.books
        return (
            books is not None
            and books.row is not None
            and self.name is not None
            and self.link is None
            and self.extension & 0xF == NUMBERED
            and not self.patience_left
        )

    @property
    def behind(self) -> bool:
        """Whether packets wait; `cursor` is the track's number of the next one to send."""
        return self.table.behind_at[self.row]

    @behind.setter
    def behind(self, waits: bool) -> None:
        self.table.behind_at[self.row] = waits

    @property
    def packets(self) -> int:
        """How many packets have been sent."""
        return self.table.packets_at[self.row]

    @packets.setter
    def packets(self, count: int) -> None:
        self.table.packets_at[self.row] = count

    @property
    def octets(self) -> int:
        """How many bytes of payload have been sent (RFC 3550 6.4.1)."""
        return self.table.octets_at[self.row]

    @octets.setter
    def octets(self, count: int) -> None:
        self.table.octets_at[self.row] = count


class Crowd:
    """The streams that have one source, in the order in which they came.

    `lane` is made anew when streams come, go or change: those of `table` that are alike, by columns, and all others.
    """

    def __init__(self) -> None:
        self.stale = False
        self._streams: dict[SendStream, None] = {}
        self._lane: Lane | None = None

    def __iter__(self) -> Iterator[SendStream]:
        return iter(self._streams)

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, stream: SendStream) -> None:
        """Let a stream have the source."""
        self._streams[stream] = None
        stream.crowd, self.stale = self, True

    def remove(self, stream: SendStream) -> None:
        """Let a stream have it no longer."""
        del self._streams[stream]
        stream.crowd, self.stale = None, True

    def lane(self, table: Streams) -> Lane:
        """Return how the streams stand in the columns of `table`."""
        if self._lane is None or self.stale:
            self.stale = False
            alike = [stream for stream in self._streams if stream.table is table and stream.alike]
            others = [stream for stream in self._streams if not (stream.table is table and stream.alike)]
            self._lane = Lane(
                alike,
                others,
                np.array([stream.row for stream in alike], np.intp),
                np.array([stream.flow.books.row for stream in alike], np.intp),
                [stream.session for stream in alike],
            )
        return self._lane


@dataclass(frozen=True, slots=True)
class Lane:
    """Streams that are alike, with their rows in `Streams` and `Ledgers` and their SRTP sessions; and the `others`."""

    alike: list[SendStream]
    others: list[SendStream]
    rows: np.ndarray
    books: np.ndarray
    sessions: list[object]

    def without(self, left_out: np.ndarray) -> Lane:
        """Return those for whom this array of truth values does not hold."""
        kept = ~left_out
        chosen = kept.tolist()
        return Lane(
            list(compress(self.alike, chosen)),
            self.others,
            self.rows[kept],
            self.books[kept],
            list(compress(self.sessions, chosen)),
        )
