"""Static files: addressed by their digest, kept by browsers for a year, compressed once."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

import rjsmin
from flask import Flask, Response, abort, request

from server import access, joined

YEAR_S = 31_536_000
MAX_NAME_CHARS = 200
JOINED = "joined/"
"""In front of a module's name it means the module and all that it imports, as one script without comments."""
# JavaScript and fonts have types that some systems' registries get wrong.
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
COMPRESSIBLE = (".js", ".css", ".svg", ".json", ".txt", ".webmanifest")


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file in memory: raw and, where it helps, gzipped bytes."""

    body: bytes
    gzipped: bytes | None
    digest: str
    content_type: str


class Assets:
    """Keep the files of a folder in memory; a file that changed on disk is read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._kept: dict[str, tuple[tuple[int, ...], tuple[Path, ...], Asset]] = {}

    def get(self, name: str) -> Asset | None:
        """Return a file of the folder, None where there is none of that name."""
        if "\0" in name or len(name) > MAX_NAME_CHARS:
            return None
        path = self._path(name.removeprefix(JOINED))
        if path is None or (name.startswith(JOINED) and path.suffix != ".js"):
            return None
        kept = self._kept.get(name)
        if kept is None or kept[0] != _stamps(kept[1]):
            paths, asset = self._join(name.removeprefix(JOINED)) if name.startswith(JOINED) else ((path,), _load(path))
            kept = (_stamps(paths), paths, asset)
            self._kept[name] = kept
        return kept[2]

    def _path(self, name: str) -> Path | None:
        path = (self._folder / name).resolve()
        return path if path.is_relative_to(self._folder) and path.is_file() else None

    def _join(self, name: str) -> tuple[tuple[Path, ...], Asset]:
        text, names = joined.join(name, lambda part: (self._folder / part).read_text("utf-8"))
        return tuple(self._folder / part for part in names), _asset(rjsmin.jsmin(text).encode(), self._folder / name)


def _stamps(paths: tuple[Path, ...]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in paths)


def _load(path: Path) -> Asset:
    return _asset(path.read_bytes(), path)


def _asset(body: bytes, path: Path) -> Asset:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    gzipped = gzip.compress(body, 9, mtime=0) if path.suffix in COMPRESSIBLE else None
    return Asset(body, gzipped, hashlib.sha256(body).hexdigest()[:12], kind)


def init_app(app: Flask, folder: Path) -> None:
    """Serve /static/<name> and give templates asset(name), an address with the file's digest."""
    assets = Assets(folder)

    def address(name: str) -> str:
        asset = assets.get(name)
        if asset is None:
            raise FileNotFoundError(f"static/{name}")
        return f"/static/{name}?v={asset.digest}"

    @app.get("/static/<path:name>", endpoint="static")
    @access.public
    def static(name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            abort(404)
        return _answer(asset)

    @app.get("/favicon.ico", endpoint="favicon")
    @access.public
    def favicon() -> Response:
        return static("tropa.svg")

    app.jinja_env.globals["asset"] = address


def _answer(asset: Asset) -> Response:
    zipped = asset.gzipped if asset.gzipped and "gzip" in request.accept_encodings else None
    response = Response(zipped or asset.body, content_type=asset.content_type)
    if response.mimetype.startswith("text/"):
        response.headers["Content-Type"] += "; charset=utf-8"
    if zipped:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.set_etag(asset.digest + ("-gz" if zipped else ""))
    fresh = request.args.get("v") == asset.digest
    response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable" if fresh else "public, max-age=300"
    return response.make_conditional(request)
