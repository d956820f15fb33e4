"""Bytes of uploads: what counts after cuts, kills, full disks and second writers."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from server import uploadfile
from server.receiving import Order, Receiver, Result
from server.uploadfile import PartFile

ID = "0123456789ab"
FILE = bytes(range(256)) * 40
SHA256 = hashlib.sha256(FILE).hexdigest()


def order(offset: int, *, piece: bytes | None = None) -> Order:
    """Allow appending to FILE from an offset on, with the checksum of a piece if it is given."""
    if piece is None:
        return Order(ID, offset, len(FILE))
    return Order(ID, offset, len(FILE), "sha1", hashlib.sha1(piece, usedforsecurity=False).hexdigest())


def body(*pieces: bytes, cut: bool = False) -> Callable:
    """Return an ASGI receive that brings these pieces, then ends or is cut off."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict:
        return messages.pop(0)

    return receive


@pytest.fixture
def receiver(tmp_path: Path) -> Receiver:
    """A receiver with room for everything."""
    return Receiver(tmp_path, lambda _size: True)


async def test_a_file_in_two_pieces_is_whole_and_hashed(receiver: Receiver, tmp_path: Path):
    """The last byte brings the SHA-256 of the whole."""
    first = await receiver.take(order(0), body(FILE[:100], FILE[100:5000]))
    assert (first.result, first.offset, first.sha256) == (Result.TAKEN, 5000, "")
    last = await receiver.take(order(5000), body(FILE[5000:]))
    assert (last.result, last.offset, last.sha256) == (Result.TAKEN, len(FILE), SHA256)
    assert (tmp_path / f"{ID}.part").read_bytes() == FILE


async def test_what_came_before_a_cut_counts(receiver: Receiver, tmp_path: Path):
    """The link breaks in the middle of a piece: the offset is what has come."""
    taken = await receiver.take(order(0), body(FILE[:777], cut=True))
    assert (taken.result, taken.offset) == (Result.GONE, 777)
    assert uploadfile.offset(tmp_path, ID) == 777


async def test_a_cut_behind_the_last_byte_finds_the_file_whole(receiver: Receiver):
    """Its sender asks for the offset, hears that all is there and never comes back, so it must be whole now."""
    taken = await receiver.take(order(0), body(FILE, cut=True))
    assert (taken.result, taken.offset, taken.sha256) == (Result.GONE, len(FILE), SHA256)


async def test_a_piece_with_a_checksum_counts_whole_or_not_at_all(receiver: Receiver, tmp_path: Path):
    """A wrong digest and a cut cost that piece; the next right one goes on from the same place."""
    await receiver.take(order(0), body(FILE[:50]))
    wrong = await receiver.take(order(50, piece=b"something else"), body(FILE[50:90]))
    assert (wrong.result, wrong.offset) == (Result.CHECKSUM, 50)
    cut = await receiver.take(order(50, piece=FILE[50:90]), body(FILE[50:70], cut=True))
    assert (cut.result, cut.offset, uploadfile.offset(tmp_path, ID)) == (Result.GONE, 50, 50)
    right = await receiver.take(order(50, piece=FILE[50:90]), body(FILE[50:70], FILE[70:90]))
    assert (right.result, right.offset) == (Result.TAKEN, 90)
    rest = await receiver.take(order(90, piece=FILE[90:]), body(FILE[90:]))
    assert rest.sha256 == SHA256


async def test_a_wrong_offset_is_answered_with_the_real_one(receiver: Receiver):
    """Nothing is written where the file does not go on."""
    await receiver.take(order(0), body(FILE[:50]))
    taken = await receiver.take(order(40), body(FILE[40:60]))
    assert (taken.result, taken.offset) == (Result.CONFLICT, 50)


async def test_more_than_the_file_was_said_to_have_is_not_taken(receiver: Receiver):
    """A body without a length that goes on and on is dropped."""
    taken = await receiver.take(order(0), body(FILE, b"!"))
    assert (taken.result, taken.offset) == (Result.TOO_LONG, 0)


async def test_the_newest_writer_takes_over_and_what_had_come_counts(receiver: Receiver):
    """A request that waits on a dead link does not keep its sender out; no byte is written twice."""
    waits, messages = asyncio.Event(), [{"type": "http.request", "body": FILE[:300], "more_body": True}]

    async def dead() -> dict:
        if messages:
            return messages.pop(0)
        waits.set()
        return await asyncio.Event().wait()

    older = asyncio.create_task(receiver.take(order(0), dead))
    await waits.wait()
    newer = await receiver.take(order(300), body(FILE[300:]))
    replaced = await older
    assert (replaced.result, replaced.offset) == (Result.REPLACED, 300)
    assert (newer.result, newer.sha256) == (Result.TAKEN, SHA256)


async def test_another_process_that_writes_is_left_alone(receiver: Receiver, tmp_path: Path):
    """The lock belongs to the system: who cannot have it is asked to come back."""
    other = PartFile(tmp_path, ID)
    taken = await receiver.take(order(0), body(FILE))
    other.close()
    assert taken.result is Result.BUSY


@pytest.mark.parametrize(("checked", "kept"), [(False, 4096), (True, 100)])
async def test_a_full_disk_keeps_what_was_written(receiver, tmp_path, monkeypatch, checked, kept):
    """ENOSPC in the middle: what counts stays, and the file goes on once there is room, bit by bit the same."""
    await receiver.take(order(0), body(FILE[:100]))
    real = os.pwrite

    def full(fd: int, piece: bytes, offset: int) -> int:
        room = max(0, 4096 - offset)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, piece[:room], offset)

    monkeypatch.setattr(os, "pwrite", full)
    asked = order(100, piece=FILE[100:]) if checked else order(100)
    taken = await receiver.take(asked, body(FILE[100:2000], FILE[2000:]))
    assert (taken.result, taken.offset, uploadfile.offset(tmp_path, ID)) == (Result.NO_ROOM, kept, kept)
    monkeypatch.setattr(os, "pwrite", real)
    rest = await receiver.take(order(kept), body(FILE[kept:]))
    assert rest.sha256 == SHA256


async def test_a_long_request_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Room is asked for again as bytes come; those that came are kept."""
    monkeypatch.setattr("server.receiving.COMMIT_BYTES", 1000)
    receiver = Receiver(tmp_path, lambda _size: False)
    taken = await receiver.take(order(0), body(FILE[:600], FILE[600:1200], FILE[1200:]))
    assert (taken.result, taken.offset) == (Result.NO_ROOM, 1200)


@pytest.mark.parametrize(("boot", "checked", "counts"), [("", False, 500), ("another", False, 300), ("", True, 300)])
async def test_after_a_kill_the_file_itself_says_how_far_it_is(receiver, tmp_path, boot, checked, counts):
    """Killed after 500 bytes of which 300 were synced: all count, unless the machine fell too or they are unchecked."""
    (tmp_path / f"{ID}.part").write_bytes(FILE[:500])
    mark = {"committed": 300, "boot": boot or uploadfile.boot(), "checked": checked}
    (tmp_path / f"{ID}.json").write_text(json.dumps(mark))
    assert uploadfile.offset(tmp_path, ID) == counts
    taken = await receiver.take(order(counts), body(FILE[counts:]))
    assert (taken.result, taken.sha256) == (Result.TAKEN, SHA256)
    assert (tmp_path / f"{ID}.part").read_bytes() == FILE


async def test_a_damaged_mark_counts_for_nothing(receiver: Receiver, tmp_path: Path):
    """What cannot be read never lets bytes count that may not be there."""
    (tmp_path / f"{ID}.part").write_bytes(FILE[:500])
    (tmp_path / f"{ID}.json").write_text('{"committed": "many"}')
    assert uploadfile.offset(tmp_path, ID) == 0


async def test_a_removed_upload_has_no_writer(receiver: Receiver):
    """Ending an upload waits until nobody writes to it any more."""
    waits = asyncio.Event()

    async def dead() -> dict:
        waits.set()
        return await asyncio.Event().wait()

    writing = asyncio.create_task(receiver.take(order(0), dead))
    await waits.wait()
    await receiver.end(ID)
    assert (await writing).result is Result.REPLACED
