"""Draw what must differ from one stream to another."""

from __future__ import annotations

import secrets


def sources() -> dict[str, int]:
    """Draw three different SSRCs (RFC 3550 8): of a viewer's voice, picture and repairs."""
    drawn: set[int] = set()
    while len(drawn) < 3:
        drawn.add(secrets.randbelow(0xFFFFFFFE) + 1)
    return dict(zip(("audio", "video", "rtx"), drawn, strict=True))


def small_start() -> int:
    """Draw a first sequence number far from the wrap, so that both ends agree on the rollover count from the start."""
    return 1000 + secrets.randbelow(15000)
