"""Pure: what the demo's teacher draws on the board: three pages on fractions, and a clock that never stands still."""

from __future__ import annotations

import math
from collections.abc import Iterator

from supervisor.demo.board import BLUE, RED, WHITE, YELLOW, Canvas, Drawn, pictures
from supervisor.demo.letters import Stroke, arc, fraction, width, write

FPS = 12
PAGE_S = 20
SECONDS = 3 * PAGE_S
DRAW_S = 15
CLOCK = (592.0, 46.0, 30.0)


def centred(text: str, y: float, height: float, middle: float = 300) -> list[Stroke]:
    """Return a line of text around a vertical axis."""
    return write(text, middle - width(text) * height / 2, y, height)


def circle(x: float, y: float, radius: float) -> Stroke:
    """Return a full circle."""
    return arc(x, y, radius, radius, -90, 270, 48)


def pie(x: float, y: float, radius: float, parts: int, taken: int) -> list[Drawn]:
    """Return a pie cut into parts, some of them hatched."""
    cuts: list[Stroke] = []
    for part in range(parts):
        angle = math.radians(-90 + 360 * part / parts)
        cuts.append(((x, y), (x + radius * math.cos(angle), y + radius * math.sin(angle))))
    hatching: list[Stroke] = []
    for share in range(5, 360 * taken // parts, 10):
        angle = math.radians(-90 + share)
        end = (x + (radius - 4) * math.cos(angle), y + (radius - 4) * math.sin(angle))
        hatching.append(((x + 8 * math.cos(angle), y + 8 * math.sin(angle)), end))
    return [Drawn([circle(x, y, radius), *cuts]), Drawn(hatching, YELLOW)]


def title_page() -> list[Drawn]:
    """Return the first page: the topic."""
    return [
        Drawn(centred("ДРОБИ И ДОЛИ", 46, 40), YELLOW),
        Drawn([((60, 108), (540, 108))], RED),
        Drawn(centred("МАТЕМАТИКА · 5+6 КЛАСС", 130, 22)),
        *pie(200, 260, 66, 4, 1),
        *pie(400, 260, 66, 8, 3),
    ]


def sum_page() -> list[Drawn]:
    """Return the second page: a sum of two fractions."""
    return [
        Drawn(centred("СЛОЖИМ ДОЛИ", 34, 26), YELLOW),
        *pie(110, 150, 52, 2, 1),
        *pie(300, 150, 52, 4, 1),
        *pie(490, 150, 52, 4, 3),
        Drawn(fraction("1", "2", 97, 238, 34)),
        Drawn(write("+", 190, 265, 34), RED),
        Drawn(fraction("1", "4", 287, 238, 34)),
        Drawn(write("=", 383, 265, 34), RED),
        Drawn(fraction("3", "4", 478, 238, 34), YELLOW),
    ]


def problem_page() -> list[Drawn]:
    """Return the third page: a trail to school, with a question."""
    trail: Stroke = tuple((60 + step * 8, 190 + 22 * math.sin(step / 7)) for step in range(56))
    firs = [stroke for x in (130, 250, 350) for stroke in fir(x, 158)]
    house: list[Stroke] = [
        ((508, 200), (508, 160), (560, 160), (560, 200), (508, 200)),
        ((502, 162), (534, 134), (566, 162)),
        ((528, 200), (528, 178), (542, 178), (542, 200)),
    ]
    return [
        Drawn(centred("ЗАДАЧА", 34, 26), YELLOW),
        Drawn([trail], YELLOW),
        Drawn(firs, BLUE),
        Drawn(house, RED),
        Drawn(write("ТРОПА ДО ШКОЛЫ - 6 КМ.", 50, 240, 22)),
        Drawn([*write("ПРОШЛИ", 50, 302, 22), *fraction("2", "3", 186, 286, 20)]),
        Drawn(write("ПУТИ. СКОЛЬКО ЕЩЁ?", 224, 302, 22)),
    ]


def fir(x: float, y: float) -> list[Stroke]:
    """Return a small fir whose foot is at (x, y)."""
    crowns = [
        ((x - wide, y - low), (x, y - low - 26), (x + wide, y - low)) for wide, low in ((20, 8), (16, 24), (11, 40))
    ]
    return [*crowns, ((x, y - 8), (x, y))]


def clock(canvas: Canvas, frame: int) -> None:
    """Draw the clock with its second hand on one picture."""
    x, y, radius = CLOCK
    canvas.line(circle(x, y, radius), WHITE, 1.0)
    for hour in range(12):
        angle = math.radians(30 * hour)
        inner, outer = radius - 5, radius - 2
        canvas.line(
            (
                (x + inner * math.cos(angle), y + inner * math.sin(angle)),
                (x + outer * math.cos(angle), y + outer * math.sin(angle)),
            ),
            WHITE,
            0.8,
        )
    angle = math.radians(-90 + 360 * frame / (SECONDS * FPS))
    canvas.line(((x, y), (x + (radius - 7) * math.cos(angle), y + (radius - 7) * math.sin(angle))), YELLOW, 1.2)


def frames() -> Iterator[bytes]:
    """Yield every picture of the lesson; after the last, the first may follow."""
    number = 0
    for page in (title_page(), sum_page(), problem_page()):
        for canvas in pictures(page, PAGE_S * FPS, DRAW_S * FPS):
            shown = canvas.copy()
            clock(shown, number)
            yield shown.frame()
            number += 1
