"""Streams written by columns: the same bytes, numbers and accounts as one after the other."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass

import pylibsrtp
import pytest

from media.cc.books import HISTORY, MASK, Books
from media.flow import Flow
from media.rtc import srtp
from media.rtc.crowd import Crowd, Ledgers, SendStream, Streams
from media.rtc.names import Name
from media.rtc.srtp import Batch, srtp_handle
from media.rtp import parse_rtp

VIEWERS = 40
NUMBERED = 3 << 4 | 1


@dataclass
class Hall:
    """A batch with viewers on one source; everything that is sent comes to `ear`."""

    batch: Batch
    ear: socket.socket
    crowd: Crowd
    streams: list[SendStream]
    keep: list[object]

    def heard(self) -> list[bytes]:
        """Send what waits, and return it."""
        self.batch.flush()
        found = []
        while True:
            try:
                found.append(self.ear.recv(2048))
            except BlockingIOError:
                return found


def hall(ear: socket.socket, out: socket.socket, viewers: int = VIEWERS, tables: int = VIEWERS) -> Hall:
    """Let viewers with different numbers and keys have one source."""
    rng = random.Random(7)
    batch, crowd, streams, keep = Batch(out, tables), Crowd(), [], []
    for number in range(viewers):
        policy = pylibsrtp.Policy(key=bytes([number]) * 30, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        session, name = pylibsrtp.Session(policy), Name()
        name.write(socket.AF_INET, ear.getsockname())
        stream = SendStream(rng.randrange(1 << 32), 96 + number % 8, table=batch.table)
        stream.number(rng.randrange(1 << 16))
        stream.shift(rng.randrange(1 << 32))
        stream.point(srtp_handle(session), name.at, None)
        stream.account(Flow(0.0, books=batch.ledgers.open()), NUMBERED)
        crowd.add(stream)
        streams.append(stream)
        keep += [session, name]
    return Hall(batch, ear, crowd, streams, keep)


@pytest.fixture
def sockets():
    """Yield a socket that hears everything, and one to send by."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out,
    ):
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        yield ear, out


def account(stream: SendStream) -> tuple:
    """Return all that is kept of a stream and its viewer."""
    books = stream.flow.books
    sent = [(books.sizes[slot], books.times[slot]) for slot in range(200)]
    return stream.packets, stream.octets, stream.behind, list(books.counts), books.purse[0], sent


def test_columns_write_what_single_streams_get(sockets) -> None:
    """Whatever numbers, markers, padding and sizes: every datagram and every account are the same either way."""
    together, alone = hall(*sockets), hall(*sockets)
    rng = random.Random(1)
    heard: dict[str, list[bytes]] = {"together": [], "alone": []}
    for number in range(100):
        packet = (
            65_500 + number,
            (1 << 32) - 50_000 + number * 960,
            number % 3 == 0,
            rng.randbytes(rng.randrange(1, 1300)),
        )
        padding = number % 5 == 0
        together.batch.fan_out(*packet, together.crowd, padding, number / 50)
        heard["together"] += together.heard()
        alone.batch.fan_out(*packet, list(alone.crowd), padding, number / 50)
        heard["alone"] += alone.heard()
    assert len(heard["together"]) == 100 * VIEWERS and heard["together"] == heard["alone"]
    assert [account(one) for one in together.streams] == [account(one) for one in alone.streams]
    assert together.batch.counters == alone.batch.counters


def test_pictures_wait_by_columns_as_they_do_one_by_one(sockets) -> None:
    """Who has no credit waits from that packet on; who waits gets nothing; who has earned some meanwhile goes on."""
    together, alone = hall(*sockets), hall(*sockets)
    for one in (together, alone):
        for index, stream in enumerate(one.streams):
            stream.flow.credit = (-5_000.0, -1.0, 300.0, 5_000.0)[index % 4]
            stream.behind = index % 7 == 0
    for number in range(6):
        together.batch.fan_out(number, 0, True, bytes(700), together.crowd, 0, number * 0.02, True)
        alone.batch.fan_out(number, 0, True, bytes(700), list(alone.crowd), 0, number * 0.02, True)
    waiting = [stream.behind for stream in together.streams]
    assert any(waiting) and not all(waiting)
    assert [(s.cursor, *account(s)) for s in together.streams] == [(s.cursor, *account(s)) for s in alone.streams]
    assert together.heard() == alone.heard()


def test_streams_that_are_not_alike_are_served_beside_the_others(sockets) -> None:
    """No numbers, no books in the tables, a TCP connection, no address: each is sent to as if it were alone."""
    one = hall(*sockets, viewers=VIEWERS, tables=VIEWERS - 5)
    taken: list[bytes] = []

    class Link:
        def take(self, packet: bytes, urgent: bool) -> None:
            taken.append(packet)

        def flush(self) -> None:
            """Nothing waits."""

    plain, linked, gone = one.streams[0], one.streams[1], one.streams[2]
    plain.account(None, 0)
    linked.point(linked.session, linked.name, Link())
    gone.point(gone.session, None, None)
    one.batch.fan_out(1, 2, False, b"voice" * 20, one.crowd, 0, 0.0)
    heard = one.heard()
    assert len(one.crowd.lane(one.batch.table).alike) == VIEWERS - 5 - 3
    assert (len(heard), len(taken), gone.packets) == (VIEWERS - 2, 1, 0)
    assert {int.from_bytes(data[8:12]) for data in (*heard, *taken)} == {
        stream.ssrc for stream in one.streams if stream is not gone
    }


def test_changes_of_a_stream_count_from_the_next_packet_on(sockets) -> None:
    """A peer that moves, is renumbered, leaves the source or closes is neither forgotten nor sent to as before."""
    one = hall(*sockets)
    one.batch.fan_out(1, 0, False, bytes(50), one.crowd, 0, 0.0)
    assert len(one.heard()) == VIEWERS
    moved, gone, closed = one.streams[:3]
    moved.number((moved.sequence_delta + 3) & 0xFFFF)
    moved.carry(77)
    one.crowd.remove(gone)
    closed.close()
    one.batch.fan_out(2, 0, False, bytes(50), one.crowd, 0, 0.1)
    heard = {int.from_bytes(data[8:12]): data for data in one.heard()}
    number = (2 + moved.sequence_delta) & 0xFFFF
    assert heard.keys() == {stream.ssrc for stream in one.streams} - {gone.ssrc, closed.ssrc}
    assert (heard[moved.ssrc][1], int.from_bytes(heard[moved.ssrc][2:4])) == (77, number)


def test_what_cannot_be_encrypted_takes_nothing_from_the_others(sockets) -> None:
    """A session that refuses a packet (its number is too old) is left out; the others' bytes and addresses hold."""
    one = hall(*sockets)
    for stream in one.streams[3:9:2]:
        stream.number(0)
    one.batch.fan_out(40_000, 0, False, bytes(50), one.crowd, 0, 0.0)
    assert len(one.heard()) == VIEWERS
    for stream in one.streams[3:9:2]:
        stream.number((1 << 16) - 2_000)
    one.batch.fan_out(40_001, 0, False, bytes(50), one.crowd, 0, 0.1)
    heard = {int.from_bytes(data[8:12]) for data in one.heard()}
    assert heard == {stream.ssrc for index, stream in enumerate(one.streams) if index not in (3, 5, 7)}
    assert one.batch.counters.dropped_srtp == 3


def test_more_viewers_than_slots_are_sent_to_in_several_batches(sockets, monkeypatch) -> None:
    """Nobody is left out where one packet fills the slots more than once."""
    monkeypatch.setattr(srtp, "SLOTS", 16)
    one = hall(*sockets)
    for number in range(3):
        one.batch.fan_out(number, 0, False, bytes(50), one.crowd, 0, 0.0)
    assert len(one.heard()) == 3 * VIEWERS
    assert {stream.packets for stream in one.streams} == {3}


def test_books_are_used_again_empty() -> None:
    """A row that is given back holds nothing of the viewer before; more viewers than rows have books of their own."""
    ledgers = Ledgers(1)
    books = ledgers.open()
    books.sent(500, 1.0)
    assert ledgers.open().row is None
    ledgers.close(books)
    ledgers.close(books)
    again = ledgers.open()
    assert (again.row, list(again.counts), max(again.sizes)) == (0, [0, 0], 0)
    assert ledgers.open().row is None


@pytest.mark.parametrize("books", [Books, lambda: Ledgers(1).open()])
def test_books_tell_spans_across_the_end_of_the_ring(books) -> None:
    """Sizes and moments are found where the ring begins anew, and are settled there."""
    kept = books()
    for number in range(HISTORY + 10):
        assert kept.sent(100 + number % 50, number / 100) == number & 0xFFFF
    sizes, times = kept.span(HISTORY - 5, 10)
    assert sizes == [100 + number % 50 for number in range(HISTORY - 5, HISTORY + 5)]
    assert times == [number / 100 for number in range(HISTORY - 5, HISTORY + 5)]
    kept.settle(HISTORY - 5, 10)
    assert kept.span(HISTORY - 6, 12)[0][1:-1] == [0] * 10
    assert all(kept.sizes[(HISTORY + 5 + offset) & MASK] for offset in range(5))


def test_a_table_that_is_full_leaves_streams_to_themselves() -> None:
    """One stream too many counts by itself, and rows that were given back are taken again with nothing in them."""
    table = Streams(1)
    first, second = SendStream(1, 96, table=table), SendStream(2, 96, table=table)
    first.packets = 9
    assert (first.table is table, second.table is table, second.packets) == (True, False, 0)
    first.close()
    third = SendStream(3, 96, table=table)
    assert (third.table is table, third.packets, first.packets) == (True, 0, 0)


def test_a_request_to_wait_stands_beside_the_number_in_a_few_packets(sockets) -> None:
    """A parser finds both elements; the others of the crowd get what they always get; then all is as before."""
    one = hall(*sockets)
    asked = one.streams[4]
    asked.ask_patience(b"\x52\x03\x8f\xff", 2)
    found: list[tuple[bytes | None, int]] = []
    for number in range(3):
        one.batch.fan_out(number, 0, False, bytes(50), one.crowd, 0, 0.0)
        heard = [parse_rtp(data) for data in one.heard()]
        assert len(heard) == VIEWERS
        assert sum(packet.extension(5) is not None for packet in heard) == (number < 2)
        found += [(p.extension(5), int.from_bytes(p.extension(3))) for p in heard if p.ssrc == asked.ssrc]
    assert found == [(b"\x03\x8f\xff", 0), (b"\x03\x8f\xff", 1), (None, 2)]
