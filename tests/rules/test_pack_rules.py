"""What a pack is made of: the budget, the timeline, pages recognised in the picture, captions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import captions, lessonpack, packbudget
from rules.captions import BadCue, Cue, Fault
from rules.lessonpack import Turn

LESSON_S = 45 * 60.0


def test_forty_five_minutes_are_six_megabytes():
    """Voice at 14 kbit/s stays as it is; one of 24 kbit/s is encoded again and then leaves room for slides."""
    assert packbudget.budget_bytes(LESSON_S) == 6_000_000
    assert packbudget.voice_rate_bps(LESSON_S, 4_850_000) is None
    rate_bps = packbudget.voice_rate_bps(LESSON_S, 8_000_000)
    assert 12_000 < rate_bps < 14_000
    voice_bytes = round((rate_bps + packbudget.CONTAINER_BPS) * LESSON_S / 8)
    assert packbudget.slides_bytes(LESSON_S, voice_bytes) >= 6_000_000 * packbudget.SLIDES_SHARE - 1000


@given(st.lists(st.integers(1, 400_000), max_size=40), st.integers(0, 3_000_000))
def test_images_that_are_kept_fit(sizes, room):
    """Whatever the images weigh, those that are kept stay within the room."""
    kept = packbudget.kept(sizes, [1.0] * len(sizes), room)
    assert sum(sizes[index] for index in kept) <= room
    assert kept == tuple(sorted(set(kept)))


def test_the_heaviest_image_of_the_best_level_is_compressed_next():
    """Nothing is done where all fit, or where everything is at the end of the ladder."""
    assert packbudget.next_smaller([10, 30, 20], [0, 0, 0], 60) is None
    assert packbudget.next_smaller([10, 30, 20], [0, 0, 0], 50) == 1
    assert packbudget.next_smaller([10, 30, 20], [0, 1, 0], 50) == 2
    last = len(packbudget.LEVELS) - 1
    assert packbudget.next_smaller([10, 30], [last, last], 20) is None


def test_times_set_by_hand_count_alone():
    """Pages set by hand stand from the beginning, in order; pages that are not in the deck are passed over."""
    made = lessonpack.turns([(760.0, 2), (10.0, 0), (20.0, 9)], [None], [0.0], 3)
    assert made == (Turn(0.0, page=0), Turn(760.0, page=2))


def test_pages_take_the_place_of_stills_that_show_them():
    """Where a page was recognised it stands, elsewhere the still; a page that stands already does not turn."""
    made = lessonpack.turns([], [0, 0, None, 1], [0.5, 5.0, 9.0, 20.0], 2)
    assert made == (Turn(0.0, page=0), Turn(9.0, found=2), Turn(20.0, page=1))


def test_without_a_picture_the_first_page_stands():
    """And without a deck nothing does."""
    assert lessonpack.turns([], [], [], 5) == (Turn(0.0, page=0),)
    assert lessonpack.turns([], [], [], 0) == ()


def test_pages_are_recognised_in_order_and_on_return():
    """A way through the deck with one page returned to and one picture of something else."""
    deck = [bytes((index * 7 * (number + 3)) % 251 for index in range(768)) for number in range(4)]
    other = bytes((index * index) % 251 for index in range(768))
    dimmed = [bytes(value // 2 for value in page) for page in deck]
    seen = [dimmed[0], dimmed[1], other, dimmed[2], dimmed[1], dimmed[3]]
    assert lessonpack.match_pages(seen, deck) == (0, 1, None, 2, 1, 3)


def test_chapters_come_from_hand_or_from_titles():
    """Titles of pages are chapters a minute apart at least, each once."""
    made = [Turn(0.0, page=0), Turn(30.0, page=1), Turn(90.0, found=3), Turn(120.0, page=1), Turn(200.0, page=0)]
    assert lessonpack.chapters([], made, ["Введение", "Опыт"]) == ((0.0, "Введение"), (120.0, "Опыт"))
    assert lessonpack.chapters([(5.0, "b"), (1.0, "a")], made, ["", ""]) == ((1.0, "a"), (5.0, "b"))
    assert lessonpack.title_of("12\n\n  Закон   Ома \nтекст") == "Закон Ома"


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1:02:03.5", 3_723_500),
        ("62:03", 3_723_000),
        ("0:01,250", 1250),
        ("1:60", None),
        ("x", None),
        ("1:70:00", None),
    ],
)
def test_times_are_read_as_people_write_them(text, at_ms):
    """Hours may be missing, fractions come after a point or a comma."""
    assert captions.parse_clock(text) == at_ms


def test_cues_are_ordered_and_tidied():
    """Empty lines and arrows inside a text would end or begin a cue, so they go."""
    made = captions.checked([Cue(5000, 6000, "b"), Cue(0, 900, " a \n\n x --> y ")])
    assert made == (Cue(0, 900, "a\nx → y"), Cue(5000, 6000, "b"))


@pytest.mark.parametrize(
    ("cue", "fault"),
    [
        (Cue(5, 5, ""), Fault.BACKWARDS),
        (Cue(0, captions.MAX_END_MS + 1, ""), Fault.TOO_LATE),
        (Cue(0, 9, "x" * 501), Fault.TOO_LONG),
    ],
)
def test_a_cue_that_cannot_be_kept_is_named(cue, fault):
    """The refusal names its place and what is wrong."""
    with pytest.raises(BadCue) as refused:
        captions.checked([Cue(0, 1, "a"), cue])
    assert (refused.value.index, refused.value.fault) == (1, fault)


def test_editing_loses_no_word():
    """Split and merge give the text back; shifting stops at the beginning of the recording."""
    cues = (Cue(1000, 3000, "раз два три четыре"), Cue(4000, 5000, "пять"))
    halves = captions.split(cues, 0)
    assert [cue.text for cue in halves] == ["раз два", "три четыре", "пять"]
    assert halves[0].end_ms == halves[1].start_ms
    assert captions.merge(halves, 0)[0] == Cue(1000, 3000, "раз два\nтри четыре")
    assert captions.merge(cues, 1) == cues
    assert captions.shift(cues, -2000)[0] == Cue(0, 1000, cues[0].text)
    assert captions.insert_after(cues, 0)[1] == Cue(3000, 4000, "")


def test_both_formats_are_written():
    """WebVTT escapes what would be a tag, SubRip numbers; empty cues are in neither."""
    cues = (Cue(0, 1500, "a < b"), Cue(2000, 2500, ""), Cue(3_661_001, 3_662_000, "c"))
    assert captions.write_vtt(cues).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na &lt; b\n\n01:01:01.001")
    assert captions.write_srt(cues).endswith("2\n01:01:01,001 --> 01:01:02,000\nc\n")


def test_a_template_has_cues_where_somebody_speaks():
    """Pauses separate empty cues, long speech is cut."""
    loud = [False, True, True, False] + [True] * 40
    made = captions.template(loud, 200)
    assert made[:2] == (Cue(200, 600, ""), Cue(800, 6800, ""))
    assert made[-1].end_ms == 44 * 200
