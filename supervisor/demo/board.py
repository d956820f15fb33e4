"""Pure: a blackboard as YUV 4:2:0 planes, on which chalk strokes appear bit by bit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from supervisor.demo.letters import Point, Stroke

WIDTH, HEIGHT = 640, 360
CHALK_RADIUS = 1.5
STEP = 0.7


@dataclass(frozen=True, slots=True)
class Chalk:
    """A colour in BT.601 limited range (ITU-R BT.601-7)."""

    luma: int
    blue: int
    red: int


BOARD = Chalk(62, 122, 116)
WHITE = Chalk(224, 127, 127)
YELLOW = Chalk(205, 70, 146)
RED = Chalk(150, 108, 178)
BLUE = Chalk(165, 160, 104)


class Canvas:
    """The planes of one picture; drawing only ever adds chalk."""

    def __init__(self) -> None:
        """Start with a clean board."""
        self.luma = bytearray([BOARD.luma]) * (WIDTH * HEIGHT)
        self.blue = bytearray([BOARD.blue]) * (WIDTH * HEIGHT // 4)
        self.red = bytearray([BOARD.red]) * (WIDTH * HEIGHT // 4)

    def copy(self) -> Canvas:
        """Return a canvas that can be drawn on without touching this one."""
        other = Canvas.__new__(Canvas)
        other.luma, other.blue, other.red = self.luma[:], self.blue[:], self.red[:]
        return other

    def frame(self) -> bytes:
        """Return the picture as planar YUV 4:2:0."""
        return bytes(self.luma + self.blue + self.red)

    def dot(self, x: float, y: float, chalk: Chalk, radius: float = CHALK_RADIUS) -> None:
        """Press the chalk on one point; its edge is smoothed over one pixel."""
        reach = radius + 1
        for row in range(max(0, math.ceil(y - reach)), min(HEIGHT - 1, math.floor(y + reach)) + 1):
            for column in range(max(0, math.ceil(x - reach)), min(WIDTH - 1, math.floor(x + reach)) + 1):
                cover = min(1.0, radius + 0.5 - math.hypot(column - x, row - y))
                if cover <= 0:
                    continue
                place = row * WIDTH + column
                value = round(BOARD.luma + (chalk.luma - BOARD.luma) * cover)
                self.luma[place] = max(self.luma[place], value)
                if cover > 0.5:
                    half = (row // 2) * (WIDTH // 2) + column // 2
                    self.blue[half], self.red[half] = chalk.blue, chalk.red

    def line(self, points: Sequence[Point], chalk: Chalk, radius: float = CHALK_RADIUS) -> None:
        """Draw a whole polyline at once."""
        for x, y in walk(points):
            self.dot(x, y, chalk, radius)


def walk(points: Sequence[Point]) -> Iterator[Point]:
    """Yield points along a polyline, STEP pixels apart."""
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / STEP))
        for step in range(steps):
            yield x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
    yield points[-1]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Strokes in one colour, in the order in which the hand makes them."""

    strokes: Sequence[Stroke]
    chalk: Chalk = WHITE


def pictures(drawn: Sequence[Drawn], frames: int, frames_to_draw: int) -> Iterator[Canvas]:
    """Yield the board of each frame while the strokes appear, evenly over `frames_to_draw`; then it stays."""
    marks = [(x, y, one.chalk) for one in drawn for stroke in one.strokes for x, y in walk(stroke)]
    canvas, done = Canvas(), 0
    for frame in range(frames):
        due = min(len(marks), round(len(marks) * (frame + 1) / frames_to_draw))
        for x, y, chalk in marks[done:due]:
            canvas.dot(x, y, chalk)
        done = due
        yield canvas
