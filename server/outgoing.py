"""Sending stored files: Flask writes the headers and names the bytes, the shell sends them without holding a thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

import structlog
from flask import Response, request

from config import Settings
from server.bothwords import Headers, both, refusal
from server.problems import Problem
from server.ranges import answer_file
from store import uploads
from store.files import Files

log = structlog.get_logger("server.outgoing")

HEADER = b"x-tropa-part"
CHUNK_BYTES = 64 * 1024
STALL_S = 300.0  # a player that pauses comes back with a range; a reader that is gone is let go

MISSING_RETRY_S = 60
MISSING = (
    both("The file cannot be read at the moment"),
    both("The storage does not answer. What was downloaded so far can be continued later."),
)

Opener = Callable[[str], IO[bytes]]  # opens a stored file by its key, for reading and seeking; blocks
# Before an upload's id: its file beside the storage, whose keys hold no colon.
UPLOAD = "upload:"


def opener(settings: Settings) -> Opener:
    """Return what opens files of the storage by their keys, and uploads that were not taken by UPLOAD and their id."""
    storage = Files(settings.storage_url)

    def open_kept(key: str) -> IO[bytes]:
        upload_id = key.removeprefix(UPLOAD)
        return storage.open(key) if upload_id == key else uploads.part_path(settings, upload_id).open("rb")

    return open_kept


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes of a stored file that an answer consists of."""

    key: str
    offset: int
    length: int


def stored_file(key: str, size: int, sha256_hex: str, content_type: str, open_stored: Opener) -> Response:
    """Answer with a stored file: whole, the range asked for (206) or not modified (304), with ETag and Repr-Digest.

    The caller adds the name. The bytes follow by the shell, or from here without one (tests). 412 and 416 are raised.
    """
    decided = answer_file(request.headers, size, sha256_hex)
    if decided.status >= 400:
        kept = {name: value for name, value in decided.headers.items() if name != "Content-Length"}
        raise Problem(decided.status, "", headers=kept)
    response = Response(status=decided.status, content_type=content_type)
    if decided.status != 304:
        part = Part(key, decided.start, decided.stop - decided.start)
        if request.environ.get("tropa.shell"):
            response.headers[HEADER.decode()] = json.dumps(asdict(part))
        elif request.method != "HEAD":
            response.response = _pieces(part, open_stored)
            response.direct_passthrough = True
    response.headers.update(decided.headers)
    return response


def _pieces(part: Part, open_stored: Opener) -> Iterator[bytes]:
    with open_stored(part.key) as file:
        file.seek(part.offset)
        left = part.length
        while left and (piece := file.read(min(CHUNK_BYTES, left))):
            left -= len(piece)
            yield piece


def missing(asked: Headers) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Write the refusal for a file that cannot be opened, for a request with these headers."""
    return refusal(503, *MISSING, asked, MISSING_RETRY_S)


async def send_part(
    part: Part,
    status: int,
    headers: list[tuple[bytes, bytes]],
    missing: tuple[list[tuple[bytes, bytes]], bytes],
    open_stored: Opener,
    receive: Callable[[], Awaitable[dict]],
    send: Callable[[dict], Awaitable[None]],
) -> None:
    """Send bytes of a stored file, until done, until the client is gone, or until it takes nothing for STALL_S.

    `missing` is what is answered instead where the file cannot be opened.

    A file that turns out shorter than promised breaks the connection off, so that no download passes for whole.
    """
    try:
        file = await asyncio.to_thread(open_stored, part.key)
    except (LookupError, OSError) as error:
        log.error("file_missing", key=part.key, reason=type(error).__name__)
        await send({"type": "http.response.start", "status": 503, "headers": missing[0]})
        await send({"type": "http.response.body", "body": missing[1]})
        return
    gone = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.to_thread(file.seek, part.offset)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        left = part.length
        while left and not gone.done():
            piece = await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))
            if not piece:
                log.error("file_too_short", key=part.key, missing_bytes=left)
                return
            left -= len(piece)
            async with asyncio.timeout(STALL_S):
                await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
        if not part.length:
            await send({"type": "http.response.body", "body": b""})
    except (TimeoutError, OSError) as error:
        log.info("download_broken_off", key=part.key, reason=type(error).__name__)
    finally:
        gone.cancel()
        file.close()


async def _until_gone(receive: Callable[[], Awaitable[dict]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
