"""Pure: capital letters, digits and signs as chalk strokes, so that the demo needs no font file.

A glyph is polylines in a box one unit high; y grows downwards; the width is that of the widest point.
"""

from __future__ import annotations

import math

Point = tuple[float, float]
Stroke = tuple[Point, ...]

SPACING = 0.28
SPACE = 0.45


def arc(cx: float, cy: float, rx: float, ry: float, start_deg: float, end_deg: float, steps: int = 14) -> Stroke:
    """Return part of an ellipse; 0° points right, angles grow clockwise on the screen."""
    angles = [math.radians(start_deg + (end_deg - start_deg) * step / steps) for step in range(steps + 1)]
    return tuple((cx + rx * math.cos(angle), cy + ry * math.sin(angle)) for angle in angles)


_LEFT: Stroke = ((0, 0), (0, 1))
_RIGHT: Stroke = ((0.6, 0), (0.6, 1))
_MIDDLE: Stroke = ((0, 0.5), (0.6, 0.5))
_E: Stroke = ((0.55, 0), (0, 0), (0, 1), (0.55, 1))
_BOWL_LOW: Stroke = ((0, 0.45), *arc(0.3, 0.725, 0.28, 0.275, -90, 90), (0, 1))
_BOWL_HIGH: Stroke = ((0, 0), *arc(0.3, 0.26, 0.27, 0.26, -90, 90), (0, 0.52))
_YA_BOWL: Stroke = ((0.58, 0), *arc(0.28, 0.26, 0.27, 0.26, -90, -270), (0.58, 0.52))
_I: Stroke = ((0, 0), (0, 1), (0.6, 0), (0.6, 1))
_O: Stroke = arc(0.36, 0.5, 0.36, 0.5, -90, 270, 24)

GLYPHS: dict[str, tuple[Stroke, ...]] = {
    "А": (((0, 1), (0.33, 0), (0.66, 1)), ((0.12, 0.64), (0.54, 0.64))),
    "Б": (((0.55, 0), (0, 0), (0, 1)), _BOWL_LOW),
    "В": (_LEFT, _BOWL_HIGH, ((0, 0.52), *arc(0.3, 0.76, 0.3, 0.24, -90, 90), (0, 1))),
    "Г": (((0, 1), (0, 0), (0.52, 0)),),
    "Д": (((0.1, 0.85), (0.25, 0), (0.6, 0), (0.6, 0.85)), ((0, 1.1), (0, 0.85), (0.72, 0.85), (0.72, 1.1))),
    "Е": (_E, ((0, 0.5), (0.45, 0.5))),
    "Ё": (_E, ((0, 0.5), (0.45, 0.5)), ((0.14, -0.17), (0.17, -0.17)), ((0.4, -0.17), (0.43, -0.17))),
    "Ж": (((0.4, 0), (0.4, 1)), ((0, 0), (0.4, 0.5), (0.8, 0)), ((0, 1), (0.4, 0.5), (0.8, 1))),
    "З": ((*arc(0.24, 0.25, 0.28, 0.25, -150, 90), *arc(0.24, 0.75, 0.32, 0.25, -90, 150)),),
    "И": (_I,),
    "Й": (_I, arc(0.3, -0.2, 0.14, 0.1, 180, 0)),
    "К": (_LEFT, ((0.58, 0), (0, 0.52), (0.6, 1))),
    "Л": (((0, 1), (0.12, 0.9), (0.26, 0), (0.62, 0), (0.62, 1)),),
    "М": (((0, 1), (0.06, 0), (0.4, 0.75), (0.74, 0), (0.8, 1)),),
    "Н": (_LEFT, _RIGHT, _MIDDLE),
    "О": (_O,),
    "П": (((0, 1), (0, 0), (0.6, 0), (0.6, 1)),),
    "Р": (_LEFT, _BOWL_HIGH),
    "С": (arc(0.36, 0.5, 0.36, 0.5, -45, -315, 20),),
    "Т": (((0, 0), (0.68, 0)), ((0.34, 0), (0.34, 1))),
    "У": (((0, 0), (0.32, 0.6)), ((0.62, 0), (0.26, 0.85), (0.06, 1))),
    "Ф": (((0.42, -0.05), (0.42, 1.05)), arc(0.42, 0.42, 0.42, 0.3, -90, 270, 24)),
    "Х": (((0, 0), (0.62, 1)), ((0.62, 0), (0, 1))),
    "Ц": (((0, 0), (0, 0.95), (0.72, 0.95), (0.72, 1.15)), ((0.58, 0), (0.58, 0.95))),
    "Ч": (((0, 0), (0.02, 0.38), (0.2, 0.55), (0.56, 0.48)), ((0.58, 0), (0.58, 1))),
    "Ш": (((0, 0), (0, 1), (0.84, 1), (0.84, 0)), ((0.42, 0), (0.42, 1))),
    "Щ": (((0, 0), (0, 0.95), (0.96, 0.95), (0.96, 1.15)), ((0.41, 0), (0.41, 0.95)), ((0.82, 0), (0.82, 0.95))),
    "Ъ": (((-0.1, 0), (0.1, 0), (0.1, 1)), tuple((x + 0.1, y) for x, y in _BOWL_LOW)),
    "Ы": (_LEFT, _BOWL_LOW, ((0.8, 0), (0.8, 1))),
    "Ь": (_LEFT, _BOWL_LOW),
    "Э": (arc(0.2, 0.5, 0.36, 0.5, -130, 130, 20), ((0.2, 0.5), (0.56, 0.5))),
    "Ю": (_LEFT, ((0, 0.5), (0.25, 0.5)), arc(0.57, 0.5, 0.32, 0.5, 180, 540, 24)),
    "Я": (((0.58, 0), (0.58, 1)), _YA_BOWL, ((0.3, 0.52), (0, 1))),
    "0": (arc(0.3, 0.5, 0.3, 0.5, -90, 270, 24),),
    "1": (((0, 0.25), (0.26, 0), (0.26, 1)),),
    "2": ((*arc(0.28, 0.28, 0.28, 0.28, -160, 40), (0, 1), (0.6, 1)),),
    "3": ((*arc(0.24, 0.25, 0.28, 0.25, -150, 90), *arc(0.24, 0.75, 0.32, 0.25, -90, 150)),),
    "4": (((0.42, 1), (0.42, 0), (0, 0.68), (0.6, 0.68)),),
    "5": (((0.54, 0), (0.06, 0), (0.03, 0.45), *arc(0.25, 0.7, 0.33, 0.3, -110, 150)),),
    "6": (((0.45, 0), (0.1, 0.45), *arc(0.3, 0.7, 0.3, 0.3, 180, 540, 22)),),
    "7": (((0, 0), (0.58, 0), (0.2, 1)),),
    "8": (arc(0.3, 0.25, 0.24, 0.25, 90, 450, 20), arc(0.3, 0.75, 0.3, 0.25, -90, 270, 20)),
    "9": ((*arc(0.3, 0.3, 0.3, 0.3, 0, 360, 22), (0.5, 0.6), (0.15, 1)),),
    "+": (((0.05, 0.55), (0.6, 0.55)), ((0.325, 0.27), (0.325, 0.83))),
    "-": (((0.05, 0.55), (0.5, 0.55)),),
    "=": (((0.05, 0.42), (0.6, 0.42)), ((0.05, 0.68), (0.6, 0.68))),
    "·": (((0.1, 0.53), (0.14, 0.57)),),
    ".": (((0.04, 0.97), (0.07, 1)),),
    ",": (((0.08, 0.95), (0, 1.15)),),
    "!": (((0.05, 0), (0.05, 0.7)), ((0.04, 0.97), (0.06, 1))),
    "?": ((*arc(0.25, 0.25, 0.25, 0.25, -170, 70), (0.25, 0.72)), ((0.24, 0.97), (0.26, 1))),
    ":": (((0.05, 0.35), (0.07, 0.38)), ((0.05, 0.9), (0.07, 0.93))),
}  # fmt: skip


def width(text: str) -> float:
    """Return the width of a line in units of its height."""
    return sum(_advance(letter) for letter in text) - (SPACING if text else 0)


def write(text: str, x: float, y: float, height: float) -> list[Stroke]:
    """Return the strokes of one line whose top left corner is at (x, y); raises KeyError for an unknown letter."""
    strokes: list[Stroke] = []
    for letter in text:
        if letter != " ":
            strokes += [tuple((x + px * height, y + py * height) for px, py in stroke) for stroke in GLYPHS[letter]]
        x += _advance(letter) * height
    return strokes


def fraction(above: str, below: str, x: float, y: float, height: float) -> list[Stroke]:
    """Return the strokes of a common fraction; `height` is that of one number."""
    wide = max(width(above), width(below)) * height
    bar: Stroke = ((x - 4, y + height * 1.3), (x + wide + 4, y + height * 1.3))
    over = write(above, x + (wide - width(above) * height) / 2, y, height)
    under = write(below, x + (wide - width(below) * height) / 2, y + height * 1.6, height)
    return [*over, bar, *under]


def _advance(letter: str) -> float:
    if letter == " ":
        return SPACE + SPACING
    return max(x for stroke in GLYPHS[letter] for x, _ in stroke) + SPACING
