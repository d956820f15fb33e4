"""Content classes and scene cuts, told from small grey pictures that are made here."""

from random import Random

import pytest

from rules.content import CELL, Look, classify, cuts, measure
from rules.lessonplan import Content

WIDTH, HEIGHT = 160, 96


def slide(seed: int) -> bytes:
    """Make black lines of text on white."""
    chance = Random(seed)
    rows = []
    for row in range(HEIGHT):
        line = bytearray(b"\xff" * WIDTH)
        if row % 12 in (4, 5, 6):
            for column in range(20, chance.randrange(60, 140), 3):
                line[column] = 0
        rows.append(bytes(line))
    return b"".join(rows)


def room(seed: int, moving: int = 60, texture: int = 40) -> bytes:
    """Make a room: texture everywhere that stands still but for `moving` columns."""
    still, moved = Random(1), Random(seed)
    picture = bytearray(min(255, 90 + still.randrange(texture)) for _ in range(WIDTH * HEIGHT))
    for row in range(HEIGHT):
        for column in range(moving):
            picture[row * WIDTH + column] = 60 + moved.randrange(140)
    return bytes(picture)


def board(seed: int) -> bytes:
    """Make a flat wall with somebody moving in front of its left part."""
    picture = bytearray(room(seed, 90))
    for row in range(HEIGHT):
        for column in range(100, WIDTH):
            picture[row * WIDTH + column] = 200
    return bytes(picture)


def looks(pictures: list[bytes], apart_s: float = 1.0) -> list[Look]:
    """Measure pictures one after another."""
    before = [None, *pictures]
    return [
        measure(number * apart_s, one, last, WIDTH)
        for number, (one, last) in enumerate(zip(pictures, before, strict=False))
    ]


def test_what_stands_still_has_not_changed() -> None:
    """Two pictures alike change nowhere; the first one has nothing before it."""
    first, second = looks([slide(1), slide(1)])
    assert (first.change_share, first.same_share) == (0.0, 0.0)
    assert (second.change_share, second.same_share) == (0.0, 1.0)


def test_a_change_is_where_it_is() -> None:
    """One cell of 240 that turns black is one changed cell."""
    white = b"\xff" * (WIDTH * HEIGHT)
    touched = bytearray(white)
    for row in range(CELL, 2 * CELL):
        touched[row * WIDTH + 3 * CELL : row * WIDTH + 4 * CELL] = bytes(CELL)
    assert looks([white, bytes(touched)])[1].change_share == pytest.approx(1 / 240)


def test_slides_are_slides() -> None:
    """Flat pictures that stand and flip now and then."""
    assert classify(looks([slide(number // 20) for number in range(60)])) is Content.SLIDES


def test_slides_seen_at_rare_keyframes_are_slides() -> None:
    """Where every look shows another slide, the few greys tell."""
    assert classify(looks([slide(number) for number in range(20)], apart_s=10.0)) is Content.SLIDES


def test_a_screen_in_use_is_a_screen() -> None:
    """Flat pictures in which something small moves all the time."""
    pictures = []
    for number in range(40):
        shown = bytearray(slide(1))
        for row in range(40, 56):
            start = row * WIDTH + number * 3
            shown[start : start + 16] = bytes(16)
        pictures.append(bytes(shown))
    assert classify(looks(pictures)) is Content.SCREEN


def test_people_in_a_room_are_a_camera() -> None:
    """Texture everywhere and movement all the time."""
    assert classify(looks([room(number) for number in range(40)])) is Content.CAMERA


def test_somebody_before_a_flat_wall_is_a_board() -> None:
    """A good part is flat, the rest moves."""
    assert classify(looks([board(number) for number in range(40)])) is Content.BOARD


def test_nothing_to_look_at_is_a_camera() -> None:
    """The class with the fewest assumptions is taken where there is nothing to judge by."""
    assert classify([]) is Content.CAMERA
    assert classify(looks([slide(1)])) is Content.CAMERA


def test_flips_are_cuts() -> None:
    """Each new slide is a cut, at its own moment, and nothing else is."""
    shown = [slide(number // 10) if number // 10 % 2 else bytes(WIDTH * HEIGHT) for number in range(40)]
    assert cuts(looks(shown)) == (10.0, 20.0, 30.0)


def test_lively_people_are_no_cuts() -> None:
    """A quarter of the picture changing in every look is how this lesson is; another room is a cut."""
    here = [room(number, 40) for number in range(20)]
    shown = [*here, *(bytes(255 - value for value in one) for one in here)]
    assert cuts(looks(shown)) == (20.0,)
