"""Bring request targets to the one form that routes know (RFC 9112 3.2): a path that begins with a slash."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

Application = Callable[[dict, Callable, Callable], Awaitable[None]]


def origin_form(path: str) -> str:
    """Return the path of a target: absolute-form loses its authority; "*" and a bare authority are no page."""
    if path.startswith("/"):
        return path
    try:
        parts = urlsplit(path)
    except ValueError:
        return "/" + path
    if parts.scheme in ("http", "https"):
        return parts.path or "/"
    return "/" + path


class OriginForm:
    """Hand every request on with its target in origin-form, so that refusals too are our own pages."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/"):
            path = origin_form(scope["path"])
            scope = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")}
        await self._app(scope, receive, send)
