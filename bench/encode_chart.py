"""Pure: draw bytes and quality of small videos as one SVG, a group of bars for each clip."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH, BAR, GAP, TOP, LEFT, SPAN = 820, 18, 8, 40, 170, 470
OURS, OTHERS, TEXT = "#2f6f4f", "#8a8f98", "#333333"


def draw(rows: Sequence[tuple[str, str, float, float]]) -> str:
    """Return the SVG for (clip, preset, kbit/s, VMAF); clips stand together in the order given."""
    clips = list(dict.fromkeys(clip for clip, _, _, _ in rows))
    height = TOP + len(rows) * (BAR + GAP) + len(clips) * 34 + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(10, 22, "Rate of small videos in kbit/s, sound included; beside it their VMAF", 15),
    ]
    y = TOP
    for clip in clips:
        parts.append(_text(10, y + 16, clip, 14))
        y += 26
        group = [row for row in rows if row[0] == clip]
        most = max(kbps for _, _, kbps, _ in group)
        for _, preset, kbps, vmaf in group:
            length = max(1.0, kbps / most * SPAN)
            colour = OURS if preset.startswith("tropa") else OTHERS
            parts.append(_text(20, y + 13, preset))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
            parts.append(_text(LEFT + length + 6, y + 13, f"{kbps:.1f} kbit/s, VMAF {vmaf:.1f}"))
            y += BAR + GAP
        y += 8
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y}" fill="{TEXT}" font-size="{size}">{escape(words)}</text>'
