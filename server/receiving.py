"""Take the bytes of uploads as they come: straight into the file, a coroutine each, and never through a Flask thread.

One request writes to an upload at a time, the newest: a link that broke leaves a request behind that waits for bytes
that will never come, and whoever comes back must not wait for it. What it had taken counts (docs/uploads.md).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import structlog

from server import uploadfile
from server.intake import Receive, drain
from server.uploadfile import Busy, PartFile

IDLE_S = 60.0  # without a byte; whoever comes back later goes on from where it was
# So much is lost at most when the power goes: what comes is brought to the disk as often as this.
COMMIT_BYTES = 8 * 1024 * 1024
COMMIT_S = 5.0
MAX_WRITERS = 200  # requests that write at once; the next one is asked to come back
MAX_DIGESTS = 64  # digests of files in progress, the longest unused goes first: its file is then read once more

log = structlog.get_logger("server.receiving")


class Result(StrEnum):
    """How the bytes of a request were taken."""

    TAKEN = "taken"
    GONE = "gone"  # the client left; what had come counts, unless it waits for its checksum
    CONFLICT = "conflict"  # the offset is another
    CHECKSUM = "checksum"
    TOO_LONG = "too_long"
    STALLED = "stalled"
    REPLACED = "replaced"  # another request goes on with the upload
    BUSY = "busy"
    NO_ROOM = "no_room"
    FAILED = "failed"  # the disk


# Refused before the body was at its end: some of it is read and dropped, so that the client sees why.
MORE_TO_COME = (Result.CONFLICT, Result.TOO_LONG, Result.BUSY, Result.NO_ROOM, Result.FAILED)


@dataclass(frozen=True, slots=True)
class Order:
    """What Flask has allowed a request to do: append to an upload of `length` bytes from `offset` on."""

    upload_id: str
    offset: int
    length: int
    algorithm: str = ""
    digest: str = ""  # hex


@dataclass(frozen=True, slots=True)
class Taken:
    """How a request ended: the offset now, and the SHA-256 of the whole once it is there."""

    result: Result
    offset: int
    sha256: str = ""


@dataclass(eq=False, slots=True)
class Writer:
    """A request that writes. `limit` is what it waits under, so that a newer one can end its waiting."""

    limit: asyncio.Timeout | None = None
    replaced: bool = False
    has_all: bool = False  # the request's last byte came, whatever became of it
    done: asyncio.Event = field(default_factory=asyncio.Event)
    since_commit: int = 0
    committed_s: float = 0.0

    def replace(self) -> None:
        """End it at its next byte, or now if it waits for one."""
        self.replaced = True
        if self.limit is not None:
            with contextlib.suppress(RuntimeError):  # it is over at this very moment
                self.limit.reschedule(asyncio.get_running_loop().time())


class Receiver:
    """Takes the bytes of every upload of this process."""

    def __init__(self, folder: Path, has_room: Callable[[int], bool]) -> None:
        """Take where files lie, and who knows whether so many more bytes fit (it blocks)."""
        self._folder = folder
        self._has_room = has_room
        self._writers: dict[str, Writer] = {}
        self._digests: OrderedDict[str, tuple[int, hashlib._Hash]] = OrderedDict()

    async def take(self, order: Order, receive: Receive, *, waits: bool = False) -> Taken:
        """Append a request's body to an upload's file; `waits`: the client sends nothing before it is told to."""
        if len(self._writers) >= MAX_WRITERS and order.upload_id not in self._writers:
            return Taken(Result.BUSY, order.offset)
        writer = Writer()
        await self._claim(order.upload_id, writer)
        try:
            taken = await self._open_and_fill(order, writer, receive)
        finally:
            if self._writers.get(order.upload_id) is writer:
                del self._writers[order.upload_id]
            writer.done.set()
        if taken.result in MORE_TO_COME and not waits and not writer.has_all:
            await drain(receive)
        return taken

    async def end(self, upload_id: str) -> None:
        """Stop whoever writes to an upload, and forget it."""
        writer = self._writers.get(upload_id)
        if writer is not None:
            writer.replace()
            await writer.done.wait()
        self._digests.pop(upload_id, None)

    async def _claim(self, upload_id: str, writer: Writer) -> None:
        older = self._writers.get(upload_id)
        self._writers[upload_id] = writer
        if older is not None:
            older.replace()
            await older.done.wait()

    async def _open_and_fill(self, order: Order, writer: Writer, receive: Receive) -> Taken:
        try:
            part = await asyncio.to_thread(PartFile, self._folder, order.upload_id)
        except Busy:
            return Taken(Result.BUSY, order.offset)
        except OSError as error:
            return Taken(_fault(error, order.upload_id), order.offset)
        try:
            if writer.replaced or part.offset != order.offset:
                return Taken(Result.REPLACED if writer.replaced else Result.CONFLICT, part.offset)
            return await self._fill(order, writer, part, receive)
        finally:
            await asyncio.to_thread(part.close)

    async def _fill(self, order: Order, writer: Writer, part: PartFile, receive: Receive) -> Taken:
        check = hashlib.new(order.algorithm, usedforsecurity=False) if order.algorithm else None
        kept = self._digest_at(order.upload_id, part.offset)
        whole = kept.copy() if kept is not None else None
        try:
            await asyncio.to_thread(part.begin, checked=check is not None)
            result = await self._pieces(order, writer, part, receive, [one for one in (check, whole) if one])
            if result is Result.TOO_LONG or (check is not None and not _fits(check, order, result)):
                result = Result.CHECKSUM if result is Result.TAKEN else result
                await asyncio.to_thread(part.drop)
                whole = kept
            else:
                await asyncio.to_thread(part.commit)
        except OSError as error:
            result, whole = _fault(error, order.upload_id), None
            await asyncio.to_thread(_rescue, part, check is not None)
        if whole is not None:
            self._keep_digest(order.upload_id, part.offset, whole)
        sha256 = ""
        # However the request ended: whoever asks for the offset now hears that all is there, and sends no more.
        if part.offset == order.length and result not in (Result.NO_ROOM, Result.FAILED):
            sha256 = await self._whole(order.upload_id, whole)
        return Taken(result, part.offset, sha256)

    async def _pieces(
        self, order: Order, writer: Writer, part: PartFile, receive: Receive, digests: list[hashlib._Hash]
    ) -> Result:
        loop = asyncio.get_running_loop()
        writer.committed_s = loop.time()
        while True:
            try:
                async with asyncio.timeout(IDLE_S) as writer.limit:
                    message = await receive()
            except TimeoutError:
                return Result.REPLACED if writer.replaced else Result.STALLED
            finally:
                writer.limit = None
            if message["type"] == "http.disconnect":
                return Result.GONE
            piece = message.get("body", b"")
            writer.has_all = not message.get("more_body", False)
            if part.offset + len(piece) > order.length:
                return Result.TOO_LONG
            if piece:
                await asyncio.to_thread(_append, part, piece, digests)
                writer.since_commit += len(piece)
            if writer.has_all:
                return Result.TAKEN
            if writer.replaced:
                return Result.REPLACED
            if not order.algorithm and not await self._committed(order, writer, part, loop.time()):
                return Result.NO_ROOM

    async def _committed(self, order: Order, writer: Writer, part: PartFile, now_s: float) -> bool:
        """Bring a long request to the disk now and then; tell whether there is room for more."""
        if writer.since_commit < COMMIT_BYTES and now_s - writer.committed_s < COMMIT_S:
            return True
        writer.since_commit, writer.committed_s = 0, now_s
        await asyncio.to_thread(part.commit)
        return await asyncio.to_thread(self._has_room, min(COMMIT_BYTES, order.length - part.offset))

    def _digest_at(self, upload_id: str, offset: int) -> hashlib._Hash | None:
        """Return the digest of the first `offset` bytes, None where it is not known and the file must be read."""
        if offset == 0:
            return hashlib.sha256()
        known, digest = self._digests.get(upload_id, (-1, None))
        return digest if known == offset else None

    def _keep_digest(self, upload_id: str, offset: int, digest: hashlib._Hash) -> None:
        self._digests[upload_id] = (offset, digest)
        self._digests.move_to_end(upload_id)
        while len(self._digests) > MAX_DIGESTS:
            self._digests.popitem(last=False)

    async def _whole(self, upload_id: str, digest: hashlib._Hash | None) -> str:
        self._digests.pop(upload_id, None)
        if digest is not None:
            return digest.hexdigest()
        return await asyncio.to_thread(uploadfile.digest, self._folder, upload_id)


def _append(part: PartFile, piece: bytes, digests: list[hashlib._Hash]) -> None:
    part.write(piece)
    for digest in digests:
        digest.update(piece)


def _fits(check: hashlib._Hash, order: Order, result: Result) -> bool:
    return result is Result.TAKEN and hmac.compare_digest(check.hexdigest(), order.digest)


def _rescue(part: PartFile, checked: bool) -> None:
    """Leave a file whose disk has refused a write as it counts: whole pieces, and nothing that awaits its checksum."""
    try:
        if checked:
            part.drop()
        else:
            part.commit()
    except OSError as error:
        # What the file holds is found out when it is opened next.
        log.warning("upload_not_committed", offset=part.offset, reason=str(error))


def _fault(error: OSError, upload_id: str) -> Result:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Result.NO_ROOM
    log.error("upload_not_written", upload=upload_id, reason=str(error))
    return Result.FAILED
