"""The live plane forwards and records without decoding; the counter in /metrics is the truth about it."""

from __future__ import annotations

import ast

from media.decoding import frames_decoded, report_decoded
from tests.imports import sources


def decoders(tree: ast.Module) -> list[str]:
    """Find calls by which PyAV or aiortc decode."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            if name in ("demux", "get_decoder") or (name == "create" and "CodecContext" in ast.unparse(node.func)):
                found.append(ast.unparse(node))
    return found


def test_nobody_in_media_opens_a_decoder_unreported() -> None:
    """A file of the live plane that decodes must report to media/decoding.py, else the counter would lie."""
    files = sources("media")
    assert len(files) > 20
    silent = [s.path for s in files if decoders(s.tree) and "media.decoding.report_decoded" not in s.modules()]
    assert silent == []


def test_no_file_of_media_imports_codecs() -> None:
    """aiortc's encoders and decoders stay out of the process."""
    assert [s.path for s in sources("media") if any(m.startswith("aiortc.codecs") for m in s.modules())] == []


def test_the_walk_finds_decoders() -> None:
    """The check itself sees the ways by which PyAV and aiortc decode."""
    assert decoders(ast.parse("av.CodecContext.create('h264', 'r')"))
    assert decoders(ast.parse("get.get_decoder(codec)"))


def test_reports_add_up() -> None:
    """What is reported is counted."""
    before = frames_decoded()
    report_decoded(3)
    assert frames_decoded() == before + 3
