"""Pure: what a GET or HEAD of an immutable file is answered with (RFC 9110 sections 13 and 14, RFC 9530, RFC 6266)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from werkzeug.http import parse_etags, parse_if_range_header, parse_range_header, unquote_etag


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """Status, headers, and the bytes [start, stop) to send; none where start equals stop."""

    status: int
    headers: dict[str, str]
    start: int
    stop: int


def answer_file(request: Mapping[str, str], size: int, sha256_hex: str) -> FileAnswer:
    """Decide status, headers and bytes of a file by the request's headers.

    The file never changes under its name, so its digest is a strong ETag. Several ranges in one request are answered
    with the whole file, as RFC 9110 14.2 allows: no downloader of ours asks for them.
    """
    etag = f'"{sha256_hex}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256_hex)).decode()}:",
    }
    if_match = request.get("If-Match")
    if if_match is not None and not parse_etags(if_match).contains(sha256_hex):
        return FileAnswer(412, headers, 0, 0)
    if_none_match = request.get("If-None-Match")
    # If-None-Match compares weakly (RFC 9110 13.1.2).
    if if_none_match is not None and parse_etags(if_none_match).contains_weak(sha256_hex):
        return FileAnswer(304, headers, 0, 0)
    whole = FileAnswer(200, {**headers, "Content-Length": str(size)}, 0, size)
    wanted = _parsed_range(request.get("Range"))
    if wanted is None or not _range_applies(request.get("If-Range"), sha256_hex):
        return whole
    if wanted.units != "bytes" or len(wanted.ranges) != 1:
        return whole
    begin, end = wanted.ranges[0]
    # A suffix longer than the file means the whole file (RFC 9110 14.1.2); Werkzeug would refuse it.
    bounds = (0, size) if end is None and begin < -size < 0 else wanted.range_for_length(size)
    if bounds is None:
        return FileAnswer(416, {**headers, "Content-Range": f"bytes */{size}", "Content-Length": "0"}, 0, 0)
    start, stop = bounds
    partial = {"Content-Range": f"bytes {start}-{stop - 1}/{size}", "Content-Length": str(stop - start)}
    return FileAnswer(206, {**headers, **partial}, start, stop)


def _parsed_range(value: str | None):
    try:
        return parse_range_header(value) if value else None
    except ValueError:
        # A Range that cannot be understood is ignored (RFC 9110 14.2).
        return None


def _range_applies(if_range: str | None, sha256_hex: str) -> bool:
    """Tell whether If-Range lets the range through: only our ETag does; there is no date to compare with."""
    if if_range is None:
        return True
    if unquote_etag(if_range)[1]:
        return False
    return parse_if_range_header(if_range).etag == sha256_hex


def disposition(kind: str, name: str) -> str:
    """Return Content-Disposition with an ASCII name for old readers and the real one beside it (RFC 6266, RFC 8187)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
