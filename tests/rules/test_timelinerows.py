"""Rows of chapters and slide times: what is typed is understood, refused by its place, and written back the same."""

from __future__ import annotations

import pytest

from rules import timelinerows
from rules.timelinerows import Entry, Fault, Typed


def test_rows_come_back_as_they_were_typed():
    """Reading and writing again changes nothing, hours, fractions and titles included."""
    rows = (Typed("0:00", "1", "Начало"), Typed("2:03.5", "2", ""), Typed("1:02:03.25", "", "Конец"))
    assert timelinerows.written(timelinerows.read(rows)) == rows


def test_pages_and_chapters_are_sorted_and_put_together():
    """Rows may stand in any order; a chapter joins the page that begins with it."""
    made = timelinerows.read(
        [Typed("5:00", "2", "Реки"), Typed("0:00", "1"), Typed("6:00", "", "Озёра"), Typed("7:00")]
    )
    pages, chapters = timelinerows.pages(made), timelinerows.chapters(made)
    assert (pages, chapters) == (((0, 1), (300_000, 2)), ((300_000, "Реки"), (360_000, "Озёра")))
    assert timelinerows.entries(pages, chapters) == (
        Entry(0, 1),
        Entry(300_000, 2, "Реки"),
        Entry(360_000, None, "Озёра"),
    )


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (Typed("", "1"), Fault.TIME),
        (Typed("1:75", "1"), Fault.TIME),
        (Typed("-1:00", "1"), Fault.TIME),
        (Typed("10:00", "1"), Fault.LATE),
        (Typed("1:00", "0"), Fault.PAGE),
        (Typed("1:00", "4"), Fault.PAGE),
        (Typed("1:00", "two"), Fault.PAGE),
        (Typed("1:00", "٣"), Fault.PAGE),
        (Typed("1:00", "9" * 5000), Fault.PAGE),
        (Typed("1:00", "", "я" * 121), Fault.TITLE),
        (Typed("0:00", "2"), Fault.TWICE),
    ],
)
def test_what_cannot_be_kept_is_named_by_its_place(row: Typed, fault: Fault):
    """In a recording of ten minutes with three pages, beside a row that is right and one that says nothing."""
    made = timelinerows.read([Typed("0:00", "1", "Начало"), Typed("nonsense"), row])
    assert timelinerows.faults(made, 600_000, 3) == {2: fault}


def test_there_is_an_end_to_rows_and_chapters():
    """More chapters than a pack holds, and more rows than a page, are refused once and not row by row."""
    chapters = [Entry(index, None, "x") for index in range(300)]
    assert timelinerows.faults(chapters, None, 3) == {200: Fault.TOO_MANY}
    pages = [Entry(index, 1) for index in range(600)]
    assert timelinerows.faults(pages, None, 3) == {timelinerows.MAX_ROWS: Fault.TOO_MANY}
