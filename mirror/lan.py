"""Serve the school's network: pages, files with ranges, packs; whoever is in the network may see them."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from mirror import packfile, pages, status
from mirror.folder import Folder
from mirror.shapes import Offer
from mirror.shelf import Shelf
from mirror.state import State
from mirror.texts import LANGUAGES, Words, words

STATIC = Path(__file__).resolve().parent.parent / "static"
STYLES = ("tropa.css", "tropa.svg")
COOKIE = "tropa_language"
MAX_QUERY_CHARS = 100
# Nothing of a page or a pack may ask another server, or be shown inside another page.
POLICY = "default-src 'self' 'unsafe-inline' data: blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
ID = re.compile(r"[0-9A-Za-z]{1,16}")


def make_app(folder: Folder) -> web.Application:
    """Build the application."""
    app = web.Application(client_max_size=1024, middlewares=[_guard])
    app[FOLDER], app[SHELF] = folder, Shelf(folder)
    app.router.add_get("/", lesson_list)
    app.router.add_get("/lesson/{id}", lesson)
    app.router.add_get("/files/{id}/{name}", file)
    app.router.add_get("/pack/{id}/{name:.*}", pack)
    app.router.add_get("/state", state)
    app.router.add_get("/language/{code}", language)
    app.router.add_get("/static/{name}", static)
    return app


def serve(folder: Folder, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until interrupted; `ready` is told the port. Raises OSError where it cannot be had."""
    asyncio.run(_serve(folder, host, port, ready))


def own_address() -> str:
    """Return this computer's address in its network, for people to type; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737: only the route is looked up
            return asked.getsockname()[0]
        except OSError:
            return "127.0.0.1"


async def _serve(folder: Folder, host: str, port: int, ready: Callable[[int], None]) -> None:
    runner = web.AppRunner(make_app(folder), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        ready(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


FOLDER = web.AppKey("folder", Folder)
SHELF = web.AppKey("shelf", Shelf)


@web.middleware
async def _guard(request: web.Request, handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status == 404:
            text = _words(request).gettext("There is no such page.")
            response = _html(pages.problem(_words(request), _school(request), text), 404)
        else:
            response = error
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Content-Security-Policy"] = POLICY
    return response


async def lesson_list(request: web.Request) -> web.Response:
    """Show what is here."""
    query = request.query.get("words", "").strip()[:MAX_QUERY_CHARS].replace("\0", "")
    number = request.query.get("page", "1")
    page = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 1
    found = await asyncio.to_thread(request.app[SHELF].lessons, query)
    return _html(pages.lesson_list(_words(request), _school(request), found, query, page))


async def lesson(request: web.Request) -> web.Response:
    """Show one lesson."""
    found = await asyncio.to_thread(request.app[SHELF].lesson, request.match_info["id"])
    if found is None:
        raise web.HTTPNotFound
    return _html(pages.lesson(_words(request), _school(request), found))


async def file(request: web.Request) -> web.StreamResponse:
    """Send a file, or the part asked for."""
    offer = await _offer(request, lambda one: one.filename == request.match_info["name"])
    response = web.FileResponse(request.app[FOLDER].lesson_path(offer))
    response.content_type = offer.content_type
    if request.query.get("download") == "1":
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(offer.name, safe='')}"
    return response


async def pack(request: web.Request) -> web.StreamResponse:
    """Send a file out of a lesson pack."""
    offer = await _offer(request, lambda one: one.kind == "pack")
    path, name = request.app[FOLDER].lesson_path(offer), request.match_info["name"]
    if not name:
        front = await asyncio.to_thread(packfile.front_page, path)
        if not front:
            raise web.HTTPNotFound
        raise web.HTTPFound(f"/pack/{offer.recording}/{front}")
    found = await asyncio.to_thread(packfile.read_entry, path, name)
    if found is None:
        raise web.HTTPNotFound
    return _part(request, *found)


async def state(request: web.Request) -> web.Response:
    """Say what the mirror does."""
    lines = await asyncio.to_thread(status.lines, request.app[FOLDER], _words(request))
    return _html(pages.state(_words(request), _school(request), lines))


async def language(request: web.Request) -> web.Response:
    """Change the language of the pages."""
    if request.match_info["code"] not in LANGUAGES:
        raise web.HTTPNotFound
    response = web.Response(status=303, headers={"Location": "/"})
    response.set_cookie(COOKIE, request.match_info["code"], max_age=365 * 86400, httponly=True, samesite="Lax")
    return response


async def static(request: web.Request) -> web.FileResponse:
    """Send the style sheet and the sign, the same as the server's."""
    if request.match_info["name"] not in STYLES:
        raise web.HTTPNotFound
    return web.FileResponse(STATIC / request.match_info["name"], headers={"Cache-Control": "max-age=3600"})


async def _offer(request: web.Request, wanted: Callable[[Offer], bool]) -> Offer:
    id = request.match_info["id"]
    found = await asyncio.to_thread(request.app[SHELF].lesson, id) if ID.fullmatch(id) else None
    offer = next((one for one in found.files if wanted(one)), None) if found is not None else None
    if offer is None:
        raise web.HTTPNotFound
    return offer


def _part(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """Answer with bytes, or the part asked for: browsers seek in sound by ranges."""
    headers = {"Content-Type": content_type, "Accept-Ranges": "bytes", "Cache-Control": "max-age=3600"}
    try:
        asked = request.http_range
    except ValueError:
        asked = slice(None)
    if asked.start is None and asked.stop is None:
        return web.Response(body=body, headers=headers)
    start, stop, _step = asked.indices(len(body))
    if start >= stop:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    return web.Response(status=206, body=body[start:stop], headers=headers)


def _words(request: web.Request) -> Words:
    chosen = request.cookies.get(COOKIE, "")
    if chosen not in LANGUAGES:
        chosen = "en" if request.headers.get("Accept-Language", "").lower().startswith("en") else "ru"
    return words(chosen)


def _school(request: web.Request) -> str:
    subscription = State.load(request.app[FOLDER]).subscription
    return subscription.school if subscription is not None else ""


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
