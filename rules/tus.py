"""Read the headers of tus 1.0 (https://tus.io/protocols/resumable-upload), and say how long an upload's file is."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

VERSION = "1.0.0"
EXTENSIONS = ("creation", "creation-with-upload", "termination", "checksum", "expiration")
# By tus' name and by Python's; the first two are what the protocol asks for and what browsers can compute.
ALGORITHMS: Mapping[str, str] = {"sha1": "sha1", "sha256": "sha256", "sha512": "sha512", "md5": "md5"}
DIGEST_BYTES: Mapping[str, int] = {"sha1": 20, "sha256": 32, "sha512": 64, "md5": 16}
CHUNK_TYPE = "application/offset+octet-stream"

MAX_METADATA_CHARS = 16 * 1024
MAX_DIGITS = 16  # of a length or an offset; what is longer counts as 10 petabytes, which is too much for everybody


class Why(StrEnum):
    """Why a header cannot be used; server/tus.py has the words."""

    MISSING = "missing"
    NUMBER = "number"
    ALGORITHM = "algorithm"
    DIGEST = "digest"  # of another length than its algorithm's
    BASE64 = "base64"
    UTF8 = "utf8"
    KEY = "key"  # of metadata: none, or not ASCII
    TWICE = "twice"
    LONG = "long"
    UNSPOKEN = "unspoken"  # it belongs to an extension that is not offered


class TusError(ValueError):
    """A header that cannot be used; `header` names it."""

    def __init__(self, header: str, why: Why) -> None:
        super().__init__(f"{header}: {why}")
        self.header = header
        self.why = why


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a chunk must hash to: an algorithm of hashlib and the digest."""

    algorithm: str
    digest: bytes


def number(header: str, text: str | None) -> int:
    """Read a length or an offset: digits and nothing else."""
    if text is None or text == "":
        raise TusError(header, Why.MISSING)
    if not re.fullmatch("[0-9]+", text):
        raise TusError(header, Why.NUMBER)
    digits = text.lstrip("0")
    return int(digits or "0") if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS


def refuse_unspoken(headers: Mapping[str, str]) -> None:
    """Raise TusError where a client relies on an extension that is not offered, as some do without asking.

    A part for a concatenation would become a lesson of its own, and a checksum behind the bytes would not be looked at.
    """
    for name in ("Upload-Concat", "Upload-Defer-Length"):
        if name in headers:
            raise TusError(name, Why.UNSPOKEN)
    if "upload-checksum" in headers.get("Trailer", "").lower():
        raise TusError("Trailer", Why.UNSPOKEN)


def checksum(text: str | None) -> Checksum | None:
    """Read Upload-Checksum, "sha1 <base64>"; None where there is none."""
    if text is None:
        return None
    name, _space, encoded = text.strip().partition(" ")
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise TusError("Upload-Checksum", Why.ALGORITHM)
    digest = _decoded("Upload-Checksum", encoded.strip())
    if len(digest) != DIGEST_BYTES[name]:
        raise TusError("Upload-Checksum", Why.DIGEST)
    return Checksum(algorithm, digest)


def metadata(text: str | None) -> dict[str, str]:
    """Read Upload-Metadata, "key base64,key base64,key"; a key alone has an empty value. Values are UTF-8."""
    found: dict[str, str] = {}
    if not text or not text.strip():
        return found
    if len(text) > MAX_METADATA_CHARS:
        raise TusError("Upload-Metadata", Why.LONG)
    for pair in text.split(","):
        key, _space, encoded = pair.strip().partition(" ")
        if not key or not key.isascii():
            raise TusError("Upload-Metadata", Why.KEY)
        if key in found:
            raise TusError("Upload-Metadata", Why.TWICE)
        try:
            found[key] = _decoded("Upload-Metadata", encoded.strip()).decode()
        except UnicodeDecodeError:
            raise TusError("Upload-Metadata", Why.UTF8) from None
    return found


def _decoded(header: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TusError(header, Why.BASE64) from None


@dataclass(frozen=True, slots=True)
class Mark:
    """What is written beside a file that grows: how many bytes are known to be on the disk, during which start of the
    machine, and whether what stands behind them waits for its checksum.
    """

    committed: int = 0
    boot: str = ""
    checked: bool = False


def counted(mark: Mark, size: int, boot: str) -> int:
    """Return how many bytes of a file count: its offset.

    While the machine has not been started anew everything written is in the file, synced or not, whatever became of
    the process; after a power cut only what was synced is certain. What waits for its checksum never counts.
    """
    if not mark.checked and mark.boot and mark.boot == boot:
        return size
    return min(mark.committed, size)


def stem(filename: str) -> str:
    """Return a file's name without its folder and extension, for a title."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    before, dot, after = name.rpartition(".")
    return before if dot and before.strip(". ") and re.fullmatch("[0-9A-Za-z]{1,5}", after) else name
