"""When a player is asked to wait for repeats of lost voice, and the bytes that ask it."""

from __future__ import annotations

import pytest

from media.patience import LENGTH, LONGEST_S, element, needed_s


@pytest.mark.parametrize(
    ("repeats", "rtt_s", "needed"),
    [
        (0, 0.3, None),
        (1, 0.3, None),
        (9, 0.04, None),
        (9, 0.08, 0.296),
        (2, 0.3, 0.56),
        (2, 0.6, 0.92),
        (50, 3.0, LONGEST_S),
    ],
)
def test_only_holes_that_are_mended_late_ask_for_patience(repeats: int, rtt_s: float, needed: float | None) -> None:
    """One hole may be chance, a short way needs no more than players have, and nobody waits for ever."""
    assert needed_s(repeats, rtt_s) == (None if needed is None else pytest.approx(needed))


@pytest.mark.parametrize(("number", "delay_s", "steps"), [(5, 0.56, 56), (14, 0.0, 0), (1, 1.0, 100), (1, 99.0, 0xFFF)])
def test_an_element_says_its_delay_in_hundredths(number: int, delay_s: float, steps: int) -> None:
    """Number and length in the first byte, then twelve bits each for the least and the longest delay."""
    made = element(number, delay_s)
    assert len(made) == LENGTH + 2
    assert (made[0] >> 4, made[0] & 0xF) == (number, LENGTH)
    assert int.from_bytes(made[1:]) == steps << 12 | 0xFFF
