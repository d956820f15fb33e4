"""The best file for a school: by its link, its night and its month."""

from __future__ import annotations

from rules.downloads import Fit, Offered, Terms, best_file
from rules.nightwindow import Window

FILES = (Offered("voice_opus", 5_400_000), Offered("video_small", 21_000_000), Offered("video_compat", 90_000_000))
NIGHT = Window(22 * 60, 6 * 60)


def test_the_small_video_fits_a_night() -> None:
    """Where the night is long enough the picture comes, with its minutes at the slower of link and cap."""
    best = best_file(FILES, Terms(256, None, NIGHT))
    assert (best.kind, best.fit, best.minutes, best.nights) == ("video_small", Fit.FITS, 12, 1)
    assert best_file(FILES, Terms(256, 64, NIGHT)).minutes == 47


def test_the_voice_is_named_where_the_picture_does_not_fit() -> None:
    """By day nobody waits for hours: what comes within one hour is named."""
    assert best_file(FILES, Terms(32, None, None)).kind == "voice_opus"
    pack = Offered("pack", 6_000_000)
    assert best_file((*FILES, pack), Terms(32, None, None)).kind == "pack"


def test_the_month_decides() -> None:
    """What the month no longer pays for gives way to the smaller file; where nothing fits it is said."""
    terms = Terms(256, None, NIGHT, left_bytes=10_000_000)
    assert best_file(FILES, terms).kind == "voice_opus"
    assert best_file(FILES, Terms(256, None, NIGHT, 1_000_000)).fit is Fit.OVER_QUOTA


def test_several_nights_and_no_night() -> None:
    """What no night can carry is told in nights; without a night it is told to be slow; without a link, unknown."""
    big = (Offered("video_small", 210_000_000),)
    several = best_file(big, Terms(32, None, NIGHT))
    assert (several.fit, several.nights) == (Fit.NIGHTS, 2)
    assert best_file(big, Terms(32)).fit is Fit.SLOW
    unknown = best_file(FILES, Terms())
    assert (unknown.kind, unknown.minutes, unknown.fit) == ("voice_opus", None, Fit.UNKNOWN)


def test_nothing_to_choose_from() -> None:
    """The source and kinds that are no lesson are never named."""
    assert best_file((Offered("source", 10),), Terms(256)) is None
    assert best_file((), Terms(256)) is None
