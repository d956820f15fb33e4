"""Places for encoders: no more than there are, and free again after use."""

from workers import slots


def test_only_so_many_hold_a_place_at_once():
    """Of three who want one of two places the third is told at once that there is none."""
    with slots.place("test-slots", "picture", 2) as one, slots.place("test-slots", "picture", 2) as two:
        with slots.place("test-slots", "picture", 2) as three:
            assert (one, two, three) == (True, True, False)
        with slots.place("test-slots", "voice", 1) as other:
            assert other


def test_a_place_is_free_again_after_use():
    """Whoever leaves, even by an exception, makes room for the next."""
    try:
        with slots.place("test-slots", "picture", 1):
            raise RuntimeError("the encoder broke")
    except RuntimeError:
        pass
    with slots.place("test-slots", "picture", 1) as free:
        assert free
