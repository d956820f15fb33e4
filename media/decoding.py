"""The count of frames that this process has decoded. Whoever opens a decoder in `media/` reports here.

Forwarding and recording need none, and `tests/media/test_decodes_nothing.py` walks the code for decoders that do not.
"""

from __future__ import annotations

_frames = 0


def report_decoded(frames: int) -> None:
    """Add to the count."""
    global _frames
    _frames += frames


def frames_decoded() -> int:
    """Return the count since the start."""
    return _frames
