"""Pure: draw what a packet costs each server as one SVG, a group of bars for each load."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, TOP, LEFT, SPAN = 760, 18, 8, 40, 90, 560
OURS, OTHERS, TEXT = "#2f6f4f", "#8a8f98", "#333333"


def draw(values: Sequence[tuple[str, str, float]]) -> str:
    """Return the SVG for (load, server, microseconds per packet); loads stand together in the order given."""
    loads = list(dict.fromkeys(load for load, _, _ in values))
    height = TOP + len(values) * (BAR + GAP) + len(loads) * 34 + 10
    most = max(value for _, _, value in values)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(10, 22, "Processor time per packet sent, in microseconds", 15),
    ]
    y = TOP
    for load in loads:
        parts.append(_text(10, y + 16, f"{load} packets/s"))
        y += 26
        for _, server, value in (entry for entry in values if entry[0] == load):
            length = max(1.0, value / most * SPAN)
            colour = OURS if server == "ours" else OTHERS
            parts.append(_text(20, y + 13, server))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(_text(LEFT + length + 5, y + 13, f"{value:.3g}"))
            y += BAR + GAP
        y += 8
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{TEXT}" font-size="{size}">{escape(words)}</text>'
