"""The lesson that the demo's host gives."""

from array import array
from itertools import islice, pairwise

import pytest

from supervisor.demo import lesson, tune
from supervisor.demo.board import HEIGHT, WIDTH, YELLOW, Canvas
from supervisor.demo.letters import GLYPHS, width, write


@pytest.mark.parametrize("page", [lesson.title_page, lesson.sum_page, lesson.problem_page])
def test_page_fits_on_the_board(page) -> None:
    """Nothing is drawn past the board's edge."""
    points = [point for drawn in page() for stroke in drawn.strokes for point in stroke]
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in points)


def test_every_russian_letter_can_be_written() -> None:
    """The stroke font has the whole alphabet and the digits."""
    assert set("АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ0123456789") <= GLYPHS.keys()


def test_unknown_letter_is_an_error() -> None:
    """A text that cannot be drawn fails at once instead of losing letters."""
    with pytest.raises(KeyError):
        write("ЯЗЫK", 0, 0, 10)  # the last letter is Latin


def test_width_is_what_is_written() -> None:
    """The width by which lines are centred is that of the drawn strokes."""
    right = max(x for stroke in write("ПУТЬ", 0, 0, 20) for x, _ in stroke)
    assert right == pytest.approx(width("ПУТЬ") * 20)


def test_every_picture_differs_from_the_one_before() -> None:
    """The lesson always moves, so that a viewer sees it is live."""
    shown = list(islice(lesson.frames(), 6))
    assert all(len(frame) == WIDTH * HEIGHT * 3 // 2 for frame in shown)
    assert all(before != after for before, after in pairwise(shown))


def test_chalk_brightens_and_colours_the_board() -> None:
    """A dot of chalk changes brightness and colour where it is pressed, and nowhere else."""
    canvas = Canvas()
    before = canvas.copy()
    canvas.dot(100, 50, YELLOW)
    assert canvas.luma[50 * WIDTH + 100] == YELLOW.luma
    assert canvas.blue[25 * (WIDTH // 2) + 50] == YELLOW.blue
    assert canvas.luma[60 * WIDTH + 100] == before.luma[60 * WIDTH + 100]
    assert before.luma[50 * WIDTH + 100] != YELLOW.luma


def test_chalk_at_the_edge_stays_on_the_board() -> None:
    """Drawing over the corner neither fails nor wraps around."""
    canvas = Canvas()
    canvas.dot(-0.5, -0.5, YELLOW)
    canvas.dot(WIDTH, HEIGHT, YELLOW)
    assert len(canvas.frame()) == WIDTH * HEIGHT * 3 // 2


def test_tune_never_falls_silent() -> None:
    """No quarter of a second of the loop is silent, so that sound can be heard whenever somebody joins."""
    samples = array("h", tune.tune(8))
    quarter = tune.RATE_HZ // 4
    assert len(samples) == 8 * tune.RATE_HZ
    loudness = [max(map(abs, samples[start : start + quarter])) for start in range(0, len(samples), quarter)]
    assert min(loudness) > 500
    assert max(loudness) <= 20_000
