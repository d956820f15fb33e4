"""Pure: what is written about a file for those who download it: the manifest, and Metalink 4 (RFC 5854)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from xml.etree import ElementTree

from rules.chunks import CHUNK_BYTES, ChunkList

METALINK_TYPE = "application/metalink4+xml"
METALINK = "urn:ietf:params:xml:ns:metalink"


@dataclass(frozen=True, slots=True)
class LessonFacts:
    """What a lesson is called and where it comes from; `date` is its ISO day at the host school."""

    title: str
    subject: str
    grades: str
    host_school: str
    date: str
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A published file as it is offered; `id` and `recording` are the origin's, `name` is what people save it under."""

    id: str
    recording: str
    kind: str
    bytes: int
    sha256: str
    type: str
    extension: str
    name: str
    lesson: LessonFacts

    def document(self) -> dict:
        """Return it as JSON writes it."""
        return asdict(self)


def manifest(facts: FileFacts, chunks: ChunkList) -> dict:
    """Write the manifest of a file: its facts, its size and digest, and the digest of every chunk in order."""
    return {**facts.document(), **chunks.document()}


def metalink(facts: FileFacts, chunks: ChunkList, url: str, origin: str) -> bytes:
    """Write a file's Metalink with the digests of its pieces, for download programs that know of it."""
    ElementTree.register_namespace("", METALINK)
    root = ElementTree.Element(f"{{{METALINK}}}metalink")
    _add(root, "generator", "Tropa")
    file = ElementTree.SubElement(root, f"{{{METALINK}}}file", name=facts.name)
    _add(file, "size", str(facts.bytes))
    _add(file, "description", facts.lesson.title)
    _add(file, "hash", chunks.sha256, type="sha-256")
    pieces = ElementTree.SubElement(file, f"{{{METALINK}}}pieces", length=str(CHUNK_BYTES), type="sha-256")
    for digest in chunks.chunks:
        _add(pieces, "hash", digest)
    ElementTree.SubElement(file, f"{{{METALINK}}}publisher", name=facts.lesson.host_school, url=origin)
    _add(file, "url", url)
    # The order of elements within a file is free (RFC 5854 4.1.2), and the namespace is declared once at the top.
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, f"{{{METALINK}}}{name}", attributes).text = text
