"""Render a PDF's pages into images and read their text: a program of its own, since a PDF may come from anywhere.

    python -m workers.deckpages deck.pdf folder pages

It limits its own memory, processor time and files before it opens the PDF, writes page-0001.png … and pages.json, and
ends with one of the codes below. Whoever starts it limits the time on the wall.
"""

from __future__ import annotations

import errno
import json
import resource
import sys
from pathlib import Path

import pypdfium2

OK, DAMAGED, LOCKED, TOO_MANY, NO_ROOM = 0, 3, 4, 5, 6
MEMORY_BYTES = 1_500_000_000
CPU_S = 120
FILE_BYTES = 30_000_000
MAX_WIDTH, MAX_HEIGHT = 1280, 1280
MAX_TEXT_CHARS = 20_000
# PDFium's number for "a password is needed" (FPDF_ERR_PASSWORD).
PASSWORD_NEEDED = 4


def limit_self() -> None:
    """Give up what a hostile file could use; nothing of it can be taken back."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
        # No process besides this one.
        (resource.RLIMIT_NPROC, 0),
    ):
        resource.setrlimit(what, (most, most))


def render(path: Path, folder: Path, most_pages: int) -> int:
    """Render every page; returns the exit code."""
    try:
        document = pypdfium2.PdfDocument(str(path))
    except pypdfium2.PdfiumError as trouble:
        return LOCKED if getattr(trouble, "err_code", None) == PASSWORD_NEEDED else DAMAGED
    if len(document) > most_pages:
        return TOO_MANY
    texts = []
    for number in range(len(document)):
        try:
            texts.append(_page(document, number, folder / f"page-{number + 1:04d}.png"))
        except (pypdfium2.PdfiumError, ValueError, MemoryError):
            return DAMAGED
    (folder / "pages.json").write_text(json.dumps(texts), "utf-8")
    return OK if texts else DAMAGED


def _page(document: pypdfium2.PdfDocument, number: int, target: Path) -> str:
    page = document[number]
    width, height = page.get_size()
    if width <= 0 or height <= 0:
        raise ValueError("a page without a size")
    scale = min(MAX_WIDTH / width, MAX_HEIGHT / height)
    page.render(scale=scale).to_pil().convert("RGB").save(target, compress_level=1)
    textpage = page.get_textpage()
    text = textpage.get_text_range()[:MAX_TEXT_CHARS]
    textpage.close()
    page.close()
    return "".join(char for char in text.replace("\r", "") if char.isprintable() or char == "\n")


def main() -> None:
    """Run as a program."""
    path, folder, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    limit_self()
    try:
        sys.exit(render(path, folder, most))
    except OSError as trouble:
        sys.exit(NO_ROOM if trouble.errno in (errno.ENOSPC, errno.EDQUOT) else DAMAGED)


if __name__ == "__main__":
    main()
