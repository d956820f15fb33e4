"""Places for encoders: how many there are, no more of them than that, and free again after use."""

import pytest

from workers import slots


@pytest.mark.parametrize(("processors", "quiet", "live"), [(1, 1, 1), (2, 2, 1), (4, 4, 3), (16, 4, 4)])
def test_a_worker_that_was_told_no_number_leaves_a_processor_to_a_live_lesson(processors, quiet, live):
    """A place for each processor as far as memory goes; while somebody teaches, one processor is left over."""
    assert slots.pictures(0, processors) == quiet
    assert slots.pictures(0, processors, live=True) == live
    assert processors == 1 or live * slots.threads(live, processors, live=True) < processors


def test_a_number_that_was_asked_for_is_kept():
    """An administrator's own number counts, whatever the machine and whatever goes on."""
    assert slots.pictures(3, 2) == slots.pictures(3, 8, live=True) == 3
    assert slots.threads(3, 2) == 1


def test_many_processors_are_shared_out_as_threads():
    """Where memory ends the places, each encoder gets more threads."""
    assert slots.threads(slots.pictures(0, 16), 16) == 4


def test_only_so_many_hold_a_place_at_once():
    """Of three who want one of two places the third is told at once that there is none."""
    with slots.place("test-slots", "picture", 2) as one, slots.place("test-slots", "picture", 2) as two:
        with slots.place("test-slots", "picture", 2) as three:
            assert (one, two, three) == (0, 1, None)
        with slots.place("test-slots", "voice", 1) as other:
            assert other == 0


def test_a_place_is_free_again_after_use():
    """Whoever leaves, even by an exception, makes room for the next."""
    try:
        with slots.place("test-slots", "picture", 1):
            raise RuntimeError("the encoder broke")
    except RuntimeError:
        pass
    with slots.place("test-slots", "picture", 1) as free:
        assert free == 0
