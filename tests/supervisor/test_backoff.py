"""The pause before a restart."""

from hypothesis import given
from hypothesis import strategies as st

from supervisor.backoff import STEADY_AFTER_S, Backoff


def pauses(lives_s: list[float], longest_pause_s: float = 30.0) -> list[float]:
    """Return the pause after each of a part's deaths."""
    backoff, found = Backoff(longest_pause_s), []
    for lived_s in lives_s:
        pause_s, backoff = backoff.after_death(lived_s)
        found.append(pause_s)
    return found


def test_first_restart_is_immediate() -> None:
    """A part that was killed is back at once."""
    assert pauses([0.1]) == [0.0]


def test_pauses_double_up_to_the_longest() -> None:
    """A part that cannot start is tried ever more rarely, but never given up."""
    assert pauses([0.1] * 8) == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_steady_life_wipes_the_slate() -> None:
    """A part that ran for long enough is restarted at once again."""
    assert pauses([0.1, 0.1, 0.1, STEADY_AFTER_S, 0.1]) == [0.0, 1.0, 2.0, 0.0, 1.0]


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=300), st.floats(min_value=1, max_value=60))
def test_pauses_stay_within_bounds(lives_s: list[float], longest_pause_s: float) -> None:
    """No history makes a pause negative or longer than the longest."""
    assert all(0 <= pause_s <= longest_pause_s for pause_s in pauses(lives_s, longest_pause_s))
