"""Slides found in thumbnails: pages, builds, cursors, restless pictures."""

from __future__ import annotations

import pytest

from rules import slides
from rules.slides import Watcher


def page(*marks: tuple[int, int], grey: int = 250) -> bytes:
    """Draw a page with black blocks of 4 x 4 at these tiles (column, row)."""
    plane = bytearray([grey]) * (slides.WIDTH * slides.HEIGHT)
    for column, row in marks:
        for y in range(slides.TILE):
            at = (row * slides.TILE + y) * slides.WIDTH + column * slides.TILE
            plane[at : at + slides.TILE] = bytes([10]) * slides.TILE
    return slides.tiled(bytes(plane))


def watched(*shown: tuple[bytes, float]) -> list[float]:
    """Show each thumbnail for some seconds; return when the slides begin."""
    watcher, at_s = Watcher(), 0.0
    for thumb, seconds in shown:
        for _sample in range(round(seconds * slides.SAMPLES_PER_S)):
            watcher.see(at_s, thumb)
            at_s += 1 / slides.SAMPLES_PER_S
    return [one.at_s for one in watcher.finish()]


LINES = [tuple((column, row) for column in range(2, 12)) for row in (2, 4, 6, 8)]


def test_each_page_that_stands_still_is_a_slide():
    """Pages are found from the moment at which they appear, to an eighth of a second, a build of one line too."""
    found = watched((page(*LINES[0]), 6), (page(*LINES[0], *LINES[1]), 6), (page(*LINES[2], *LINES[3]), 6))
    assert found == pytest.approx([0, 6, 12], abs=0.13)


def test_a_cursor_is_no_slide():
    """Two tiles that change, where a mouse pointer was and is, turn nothing."""
    first, second = page(*LINES[0], (14, 10)), page(*LINES[0], (13, 9))
    assert watched((first, 6), (second, 6), (first, 6)) == [0]


def test_a_flash_that_does_not_stand_is_no_slide():
    """What is gone before it stood still is passed over."""
    assert watched((page(*LINES[0]), 8), (page(grey=10), 0.5), (page(*LINES[0]), 8)) == [0]


def test_a_restless_picture_gives_a_still_now_and_then():
    """A picture that never stands still is bounded: about one still in forty seconds."""
    moving = [
        (page(*((column, row) for row in range(step % 12, 12)), *LINES[0]), 0.25)
        for step in range(960)
        for column in [step % 16]
    ]
    assert 3 <= len(watched(*moving)) <= 10


def test_a_slide_that_returns_is_the_same_image():
    """The third slide is the first again, and takes its image."""
    one, other = page(*LINES[0]), page(*LINES[1])
    assert slides.same_images((one, other, one)) == (0, 1, 0)


def test_thinning_keeps_the_first_and_those_that_last():
    """Of too many slides those stay that stand long and differ much."""
    shown = tuple(slides.Shown(at_s, page(*line)) for at_s, line in zip((0.0, 1.0, 2.0, 60.0), LINES, strict=True))
    assert slides.thinned(shown, 120.0, 3) == (0, 2, 3)


def test_no_picture_gives_no_slide():
    """A watcher that saw nothing found nothing."""
    assert Watcher().finish() == ()


def test_a_thumbnail_of_another_size_is_refused():
    """Whoever hands over something else hears of it."""
    with pytest.raises(ValueError, match="3072"):
        slides.tiled(b"x")
