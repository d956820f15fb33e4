"""Pure: draw the rows of a slow-link run as one SVG: voice concealed and frames per second, each beside its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, TOP, LEFT, PANEL = 760, 18, 14, 64, 110, 280
GOOD, BAD, LIMIT, TEXT = "#2f6f4f", "#b3402a", "#222222", "#333333"


@dataclass(frozen=True, slots=True)
class Bar:
    """One value beside its limit (None: nothing is asked); `good` colours it."""

    value: float
    limit: float | None
    good: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One link: its name and a bar for each panel."""

    name: str
    bars: tuple[Bar, ...]


def draw(title: str, panels: Sequence[str], lines: Sequence[Line]) -> str:
    """Return the SVG; the limit is a mark across its bar."""
    height = TOP + len(lines) * (BAR + GAP) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(10, 22, title, 15),
    ]
    for column, panel in enumerate(panels):
        left = LEFT + column * (PANEL + 40)
        parts.append(_text(left, 48, panel))
        bars = [line.bars[column] for line in lines]
        top = max([bar.value for bar in bars] + [bar.limit or 0 for bar in bars] + [1e-9]) * 1.05
        for index, bar in enumerate(bars):
            parts += _bar(left, TOP + index * (BAR + GAP), bar, top)
    for index, line in enumerate(lines):
        parts.append(_text(10, TOP + index * (BAR + GAP) + 13, line.name))
    parts.append(_text(10, height - 12, "Bar: the worst run, green within its limit. Black mark: the limit."))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(left: float, y: float, bar: Bar, top: float) -> list[str]:
    length = max(1.0, bar.value / top * (PANEL - 50))
    colour = GOOD if bar.good else BAD
    parts = [
        f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
        _text(left + length + 5, y + 13, f"{bar.value:.4g}"),
    ]
    if bar.limit is not None:
        x = left + bar.limit / top * (PANEL - 50)
        parts.append(f'<rect x="{x - 1:.1f}" y="{y - 4}" width="2" height="{BAR + 8}" fill="{LIMIT}"/>')
    return parts


def _text(x: float, y: float, words: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{TEXT}" font-size="{size}">{escape(words)}</text>'
