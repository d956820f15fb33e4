"""Static files: addressed by their digest, kept by browsers for a year, compressed once."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request

from server import access

YEAR_S = 31_536_000
MAX_NAME_CHARS = 200
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
        self._kept: dict[str, tuple[int, Asset]] = {}

    def get(self, name: str) -> Asset | None:
        """Return a file of the folder, None where there is none of that name."""
        if "\0" in name or len(name) > MAX_NAME_CHARS:
            return None
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            return None
        stamp = path.stat().st_mtime_ns
        kept = self._kept.get(name)
        if kept is None or kept[0] != stamp:
            kept = (stamp, _load(path))
            self._kept[name] = kept
        return kept[1]


def _load(path: Path) -> Asset:
    body = path.read_bytes()
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
