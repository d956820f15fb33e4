"""Pure: find where the parts of a fragmented MP4 or a live WebM begin and end.

A part is moof + mdat (ISO 14496-12 8.8) or a Cluster (RFC 9559 5.1.3). What stands before the first is the head.
"""

from __future__ import annotations

from dataclasses import dataclass

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
PROBE_BYTES = 32
"""Enough to read the headers of a moof or a Cluster."""


class BrokenContainer(ValueError):
    """Bytes that are not the container they were taken for."""


@dataclass(frozen=True, slots=True)
class Element:
    """A box or EBML element: its name or number, and its length with the header; None where that is left open."""

    kind: bytes | int
    header_bytes: int
    size: int | None


def read_box(data: bytes | memoryview) -> Element | None:
    """Read the header of an MP4 box (ISO 14496-12 4.2), None when there are too few bytes. Raises BrokenContainer."""
    if len(data) < 8:
        return None
    size, kind, header_bytes = int.from_bytes(data[:4]), bytes(data[4:8]), 8
    if size == 1:
        if len(data) < 16:
            return None
        size, header_bytes = int.from_bytes(data[8:16]), 16
    if size < header_bytes:
        raise BrokenContainer(f"box {kind!r} of {size} bytes")
    return Element(kind, header_bytes, size)


def _vint_bytes(first: int, most: int) -> int:
    width = 9 - first.bit_length()
    if width > most:
        raise BrokenContainer(f"EBML number beginning with {first:#x}")
    return width


def read_ebml(data: bytes | memoryview) -> Element | None:
    """Read id and size of an EBML element (RFC 8794 4 to 6), None for too few bytes. Raises BrokenContainer."""
    if not data:
        return None
    id_bytes = _vint_bytes(data[0], 4)
    if len(data) <= id_bytes:
        return None
    size_bytes = _vint_bytes(data[id_bytes], 8)
    header_bytes = id_bytes + size_bytes
    if len(data) < header_bytes:
        return None
    mask = (1 << 7 * size_bytes) - 1
    size = int.from_bytes(data[id_bytes:header_bytes]) & mask
    return Element(int.from_bytes(data[:id_bytes]), header_bytes, None if size == mask else header_bytes + size)


def part_bytes(container: str, probe: bytes) -> int | None:
    """Return the length of what the part beginning with `probe` surely has: the moof alone, or the whole Cluster.

    None when no part begins here.
    """
    try:
        element = read_box(probe) if container == "mp4" else read_ebml(probe)
    except BrokenContainer:
        return None
    if element is None or element.kind != (b"moof" if container == "mp4" else CLUSTER):
        return None
    return element.size


def is_mdat(probe: bytes, size: int) -> bool:
    """Say whether an mdat of exactly `size` bytes begins here."""
    try:
        element = read_box(probe)
    except BrokenContainer:
        return False
    return element is not None and element.kind == b"mdat" and element.size == size


class PartSplitter:
    """Cut what a muxer writes into whole parts."""

    def __init__(self, container: str) -> None:
        self._read = read_box if container == "mp4" else read_ebml
        self._begins = b"moof" if container == "mp4" else CLUSTER
        self._ends = b"mdat" if container == "mp4" else CLUSTER
        self._buffer = bytearray()
        self._scanned = 0
        self.head_bytes: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the parts that are now whole. The first has the head (`head_bytes`) in front of it."""
        self._buffer += data
        pieces: list[bytes] = []
        while (
            element := self._read(memoryview(self._buffer)[self._scanned : self._scanned + PROBE_BYTES])
        ) is not None:
            if element.kind == SEGMENT:
                self._scanned += element.header_bytes  # its children follow; live files leave its size open
                continue
            if element.size is None:
                raise BrokenContainer(f"element {element.kind} of unknown size")
            if self._scanned + element.size > len(self._buffer):
                break
            if self.head_bytes is None and element.kind == self._begins:
                self.head_bytes = self._scanned
            self._scanned += element.size
            if element.kind == self._ends:
                pieces.append(bytes(self._buffer[: self._scanned]))
                del self._buffer[: self._scanned]
                self._scanned = 0
        return pieces
