"""Grade sets, search words, renditions' numbers and file names."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import grades, renditions, search
from rules.grades import GradeError, GradeFault
from rules.renditions import Kind

some_grades = st.frozensets(st.integers(1, 11))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5+6", "5+6"),
        ("1-4", "1-4"),
        ("5, 6", "5+6"),
        ("1–4", "1-4"),
        (" 1 — 3 , 9 ", "1-3+9"),
        ("5 и 6", "5+6"),
        ("6;5;5", "5+6"),
        ("5-6", "5+6"),
        ("11", "11"),
        ("", ""),
    ],
)
def test_grade_sets_are_read_as_people_write_them(text, canonical):
    """Every usual spelling becomes the one canonical text."""
    assert grades.canonical(grades.parse(text)) == canonical


@given(some_grades)
def test_a_canonical_text_says_the_same_set(wanted):
    """What is written is read back; it fits its column; the mask and the text agree on every grade."""
    text = grades.canonical(wanted)
    assert grades.parse(text) == wanted and len(text) <= 40
    for grade in range(1, 12):
        assert (grade in grades.parse(text)) == (grade in wanted) == bool(grades.mask(wanted) & 1 << grade)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0", GradeFault.OUT_OF_RANGE),
        ("12", GradeFault.OUT_OF_RANGE),
        ("1-9999", GradeFault.OUT_OF_RANGE),
        ("6-5", GradeFault.BACKWARDS),
        ("пятый", GradeFault.NOT_GRADES),
        ("5-", GradeFault.NOT_GRADES),
        ("²", GradeFault.NOT_GRADES),
        ("1" * 200, GradeFault.NOT_GRADES),
    ],
)
def test_what_is_no_grade_set_is_refused(text, fault):
    """The refusal says which sort of mistake it is."""
    with pytest.raises(GradeError) as caught:
        grades.parse(text)
    assert caught.value.fault is fault


@given(st.text())
def test_any_text_is_read_or_refused(text):
    """No text leads to anything but grades 1 to 11 or a GradeError."""
    try:
        found = grades.parse(text)
    except GradeError:
        return
    assert found <= set(range(1, 12))


def test_searches_do_not_depend_on_case_or_yo():
    """Case, ё and spaces are folded; a search has at most eight words."""
    assert search.fold("  ЁЛКИ\tи Дроби ") == "елки и дроби"
    assert search.words("Ёлки " * 20) == ("елки",) * 8


def test_a_picture_is_never_above_its_source():
    """Height and rate are cut to the preset, even numbers, and the rate divides the source's where it can."""
    assert renditions.picture(Kind.VIDEO_COMPAT, 1280, 720, 30) == renditions.Picture(640, 360, 15)
    assert renditions.picture(Kind.VIDEO_COMPAT, 1920, 1080, 25) == renditions.Picture(640, 360, 12.5)
    assert renditions.picture(Kind.VIDEO_COMPAT, 320, 241, 8) == renditions.Picture(320, 240, 8)
    assert renditions.picture(Kind.VIDEO_COMPAT, 640, 360, 18).fps == 15
    with pytest.raises(ValueError, match="no picture"):
        renditions.picture(Kind.VIDEO_COMPAT, 0, 0, 30)


@given(st.integers(2, 8000), st.integers(2, 8000), st.floats(0.5, 240))
def test_pictures_of_any_source_fit(width, height, fps):
    """The result is even, within the preset, and at 10 frames/s or more unless the source has less."""
    made = renditions.picture(Kind.VIDEO_COMPAT, width, height, fps)
    assert made.width % 2 == 0 and made.height % 2 == 0 and 2 <= made.height <= min(360, height)
    assert min(fps, 10) <= made.fps <= min(fps, 15)


def test_smallest_first_and_voice_alone_without_a_picture():
    """Files are planned in the order of their sizes; the presets know every planned kind."""
    voices = (Kind.VOICE_OPUS, Kind.VOICE_AAC, Kind.PACK)
    assert renditions.planned_kinds(True) == (*voices, Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT)
    assert renditions.planned_kinds(False) == voices
    assert set(renditions.CONTAINERS) == set(renditions.ORDER) == set(renditions.AUDIO) | {Kind.PACK}
    assert set(renditions.VIDEO) == renditions.VIDEO_KINDS - {Kind.VIDEO_SMALL}


def test_download_times_count_headers_and_round_up():
    """A megabyte at 64 kbit/s takes over two minutes; nothing takes less than one minute."""
    assert renditions.download_seconds(1_000_000, 64) == pytest.approx(132.5)
    assert renditions.download_minutes(1_000_000, 64) == 3
    assert renditions.download_minutes(1, 1024) == 1
    with pytest.raises(ValueError, match="above 0"):
        renditions.download_seconds(1, 0)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999_600, "1.0 MB"),
        (512_000, "512 kB"),
        (1_440_000, "1.4 MB"),
        (23_400_000, "23 MB"),
    ],
)
def test_sizes_are_read_at_a_glance(size, shown):
    """Two or three digits and the unit that fits."""
    human = renditions.human_size(size)
    assert f"{human.value:.{human.decimals}f} {human.unit}" == shown


@given(st.text(max_size=400))
def test_download_names_trip_nothing(title):
    """No title makes a name with controls, separators of paths, reserved characters, or beyond 180 bytes."""
    name = renditions.download_name(title, Kind.VIDEO_SMALL, "mp4")
    assert name.endswith(" (video small).mp4") and len(name.encode()) <= 180
    assert not set(name) & set('<>:"/\\|?*%')
    assert all(unicodedata.category(char)[0] != "C" for char in name)
    assert name[0] not in ". "


def test_download_names_keep_cyrillic_and_avoid_devices():
    """Russian titles stay readable; names that Windows keeps for devices are not used."""
    assert renditions.download_name("Дроби: 5/6", Kind.VOICE_OPUS, "opus") == "Дроби 5 6 (voice opus).opus"
    assert renditions.download_name("CON", Kind.VOICE_AAC, "m4a").startswith("lesson CON")
    assert renditions.download_name("...", Kind.VOICE_AAC, "m4a") == "lesson (voice aac).m4a"
