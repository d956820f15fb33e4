"""Stand in front of Flask for uploads: have the headers judged, take the bytes, have the end written down."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from config import Settings
from rules.space import Work
from server import problems, tus, uploadfile
from server.intake import Receive
from server.operations import uploads as operations
from server.receiving import Order, Receiver, Result, Taken
from server.shell import Answer, Send, Shell
from store import database, space, uploads
from store.database import ID_CHARS

PATH = re.compile(rf"/uploads/([0-9a-z]{{{ID_CHARS}}})?")
METHODS = ("OPTIONS", "HEAD", "PATCH", "DELETE")
OVERRIDE = b"x-http-method-override"
ORDER = tus.HEADER.lower().encode()
log = structlog.get_logger("server.uploading")
# Who asks and in which language: all that the end of a request depends on.
KEPT = (b"authorization", b"cookie", b"accept", b"accept-language", b"host", b"tus-resumable")


class Uploads:
    """The ASGI application around the shell: tus at /uploads/, and everything else as it was."""

    def __init__(self, app: Flask, settings: Settings, shell: Shell) -> None:
        """Take Flask for its database, and the shell that everything else goes to."""
        self._app = app
        self._shell = shell
        self._folder: Path = uploads.folder(settings)
        self._receiver = Receiver(self._folder, lambda size: space.room_for(settings, size, Work.UPLOAD).fits)

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        """Answer one request."""
        match = PATH.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if match is None:
            return await self._shell(scope, receive, send)
        scope = _overridden(scope)
        creates = scope["method"] == "POST" and match[1] is None
        if not creates and scope["method"] not in METHODS:
            return await self._shell(scope, receive, send)
        answer = await self._shell.ask(scope)
        ordered = dict(answer.headers).get(ORDER)
        if ordered is not None:
            order = Order(**json.loads(ordered))
            waits = any(name == b"expect" for name, _value in scope["headers"])
            taken = await self._receiver.take(order, receive, waits=waits)
            ended = await asyncio.to_thread(self._ended, scope, order, taken, creates)
            answer = _without_order(answer) if scope["method"] == "HEAD" else ended
            if taken.result is Result.GONE:
                return None
        elif scope["method"] == "DELETE" and answer.status == 204:
            await self._receiver.end(match[1])
            await asyncio.to_thread(uploads.remove_files, self._folder, match[1])
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        body = b"" if scope["method"] == "HEAD" else bytes(answer.body)
        await send({"type": "http.response.body", "body": body})

    async def complete(self) -> None:
        """Hand over files that were whole when the process was killed; run once, at the start."""
        try:
            for order in await asyncio.to_thread(self._whole):
                taken = await self._receiver.take(order, _nothing_more)
                if taken.sha256:
                    await asyncio.to_thread(self._note_whole, order.upload_id, taken.sha256)
        except (SQLAlchemyError, OSError) as error:
            # Nothing is lost: whoever asks for the offset of such a file hands it over too.
            log.error("uploads_not_completed", reason=str(error))

    def _whole(self) -> list[Order]:
        with self._app.app_context():
            waiting = uploads.unfinished()
        return [Order(id, length, length) for id, length in waiting if uploadfile.offset(self._folder, id) == length]

    def _note_whole(self, upload_id: str, sha256: str) -> None:
        with self._app.app_context():
            operations.finish(upload_id, sha256, database.utc_now())

    def _ended(self, scope: dict, order: Order, taken: Taken, created: bool) -> Answer:
        """Write the end of a request down and answer it, as a view would. Blocks."""
        kept = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name in KEPT]
        environ = EnvironBuilder(scope["path"], method=scope["method"], headers=kept).get_environ()
        with self._app.request_context(environ):
            try:
                response = tus.ended(order, taken, created)
            except HTTPException as error:
                response = problems.answer(error)
            except Exception as error:  # noqa: BLE001 - the wall of this request; its bytes are safe in the file
                response = self._app.handle_user_exception(error)
            response = self._app.process_response(self._app.make_response(response))
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
        return Answer(response.status_code, headers, bytearray(response.get_data()))


async def _nothing_more() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


def _without_order(answer: Answer) -> Answer:
    return Answer(answer.status, [pair for pair in answer.headers if pair[0] != ORDER], answer.body)


def _overridden(scope: dict) -> dict:
    """Take the method that a client behind a narrow proxy means: X-HTTP-Method-Override."""
    if scope["method"] != "POST":
        return scope
    meant = next((value for name, value in scope["headers"] if name == OVERRIDE), b"POST").decode("latin-1").upper()
    return {**scope, "method": meant} if meant in METHODS else scope
