"""What goes by itself, when, and what never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rules import retention
from rules.renditions import Kind
from rules.retention import DEFAULT_DAYS, Facts, Held, Sort, Why

THEN = datetime(2026, 3, 2, tzinfo=UTC)
SOURCE = Held("", Sort.SOURCE, THEN, 900)
COMPAT = Held("c", Sort.VIDEO_COMPAT, THEN, 90)
SMALL = Held("s", Sort.VIDEO_SMALL, THEN, 20)
VOICE = Held("v", Sort.VOICE, THEN, 5)
ALL = (SOURCE, COMPAT, SMALL, VOICE)
EVERYTHING = dict.fromkeys(Sort, 1)


def judged(files=ALL, policy=EVERYTHING, has_video=True, is_kept=False, is_busy=False) -> dict:
    """Return (moment, why) by sort."""
    facts = Facts(tuple(files), has_video, is_kept, is_busy)
    return {one.file.sort: (one.at, one.why) for one in retention.verdicts(facts, policy)}


def test_nothing_of_a_lesson_goes_unless_somebody_said_so() -> None:
    """Without a policy every file stays for ever; only refused uploads have an end."""
    assert {why for _at, why in judged(policy={}).values()} == {Why.FOR_EVER}
    assert [sort for sort, days in DEFAULT_DAYS.items() if days is not None] == [Sort.REFUSED]


def test_days_count_from_a_files_own_beginning() -> None:
    """A policy of ten days lets the compatible video go ten days after it was published."""
    assert judged(policy={Sort.VIDEO_COMPAT: 10})[Sort.VIDEO_COMPAT] == (THEN + timedelta(days=10), Why.POLICY)


def test_the_smallest_picture_remains_when_everything_is_over() -> None:
    """The source and the larger video go; the last picture stays, and the voice, which the video has too, goes."""
    found = judged()
    assert [found[sort][1] for sort in (Sort.SOURCE, Sort.VIDEO_COMPAT)] == [Why.POLICY, Why.POLICY]
    assert found[Sort.VIDEO_SMALL] == (None, Why.LAST_COPY)
    assert found[Sort.VOICE][1] is Why.POLICY


def test_a_lesson_for_the_ear_keeps_its_voice() -> None:
    """Where there is no picture, the last voice stays."""
    assert judged((SOURCE, VOICE), has_video=False)[Sort.VOICE] == (None, Why.LAST_COPY)


def test_a_source_of_which_nothing_was_made_stays() -> None:
    """A recording whose files all failed is its source alone; and a film is not replaced by its sound."""
    assert judged((SOURCE,))[Sort.SOURCE] == (None, Why.LAST_COPY)
    assert judged((SOURCE, VOICE))[Sort.SOURCE] == (None, Why.LAST_COPY)


def test_who_asks_to_keep_is_heard_and_work_is_not_disturbed() -> None:
    """A kept recording loses nothing, one whose files are being made neither."""
    assert {why for _at, why in judged(is_kept=True).values()} == {Why.KEPT}
    assert {why for _at, why in judged(is_busy=True).values()} == {Why.BUSY}


@given(
    st.sets(st.sampled_from(ALL)),
    st.dictionaries(st.sampled_from(Sort), st.one_of(st.none(), st.integers(1, 9))),
    st.booleans(),
)
def test_whatever_the_policy_the_lesson_can_still_be_had(files, policy, has_video) -> None:
    """What stays has the source, or a picture of a film, or a voice where there was something to hear at all."""
    facts = Facts(tuple(files), has_video, is_kept=False, is_busy=False)
    left = {one.file.sort for one in retention.verdicts(facts, policy) if one.at is None}
    pictures = {Sort.VIDEO_COMPAT, Sort.VIDEO_SMALL}
    there = {one.sort for one in files}
    if there & (pictures | {Sort.SOURCE}) and has_video:
        assert left & (pictures | {Sort.SOURCE})
    elif there:
        assert left & (pictures | {Sort.SOURCE, Sort.VOICE})


def test_every_kind_has_a_sort() -> None:
    """A kind without a policy of its own is kept like the others that have none."""
    assert {retention.sort_of(kind) for kind in Kind} <= set(Sort)
    assert retention.sort_of(Kind.VOICE_AAC) is Sort.VOICE
