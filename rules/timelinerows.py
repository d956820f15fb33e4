"""Chapters and slide times as rows that people type: a time, the page that stands from then on, a chapter's title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rules.captions import clock, parse_clock
from rules.lessonpack import MAX_CHAPTERS, MAX_TITLE_CHARS

MAX_ROWS = 500
# Rows show tenths of a second at most.
STEP_MS = 100


@dataclass(frozen=True, slots=True)
class Typed:
    """A row as it was typed."""

    at: str = ""
    page: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as it is meant: from `at_ms` on this page (from 1) stands, and a chapter begins where there is a title.

    `at_ms` is None where the time cannot be read; `page` is None where none is set, and 0 where it is no number.
    """

    at_ms: int | None
    page: int | None = None
    title: str = ""

    @property
    def says_something(self) -> bool:
        """Tell whether the row sets a page or a chapter; one that does not is left out."""
        return self.page is not None or bool(self.title)


class Fault(StrEnum):
    """What is wrong with a row."""

    TIME = "time"
    LATE = "late"
    PAGE = "page"
    TITLE = "title"
    TWICE = "twice"
    TOO_MANY = "too_many"


def read(rows: Sequence[Typed]) -> tuple[Entry, ...]:
    """Read typed rows, one entry for each, in their order."""
    return tuple(_entry(row) for row in rows)


def _entry(row: Typed) -> Entry:
    page = row.page.strip()
    number = None
    if page:
        number = int(page) if page.isascii() and page.isdigit() and len(page) <= 6 else 0
    return Entry(parse_clock(row.at), number, " ".join(row.title.split()))


def faults(entries: Sequence[Entry], end_ms: int | None, most_pages: int) -> dict[int, Fault]:
    """Say by its place what is wrong with each entry that says something.

    `end_ms`: the recording's length where it is known; `most_pages`: the pages of the deck, or as many as it may have.
    """
    found: dict[int, Fault] = {}
    pages_at: dict[int, int] = {}
    chapters = 0
    for index, entry in enumerate(entries):
        if not entry.says_something:
            continue
        chapters += bool(entry.title)
        if index >= MAX_ROWS or chapters > MAX_CHAPTERS:
            found[index] = Fault.TOO_MANY
            break
        fault = _fault(entry, end_ms, most_pages)
        if fault is None and entry.page is not None and pages_at.setdefault(entry.at_ms, entry.page) != entry.page:
            fault = Fault.TWICE
        if fault is not None:
            found[index] = fault
    return found


def _fault(entry: Entry, end_ms: int | None, most_pages: int) -> Fault | None:
    if entry.at_ms is None or entry.at_ms < 0:
        return Fault.TIME
    if end_ms is not None and entry.at_ms >= end_ms:
        return Fault.LATE
    if entry.page is not None and not 1 <= entry.page <= most_pages:
        return Fault.PAGE
    return Fault.TITLE if len(entry.title) > MAX_TITLE_CHARS else None


def pages(entries: Sequence[Entry]) -> tuple[tuple[int, int], ...]:
    """Return the pages with their times, in order; entries without faults."""
    return tuple(sorted({(one.at_ms, one.page) for one in entries if one.page is not None}))


def chapters(entries: Sequence[Entry]) -> tuple[tuple[int, str], ...]:
    """Return the chapters with their times, in order; entries without faults."""
    return tuple(sorted((one.at_ms, one.title) for one in entries if one.title))


def entries(set_pages: Sequence[tuple[int, int | None]], set_chapters: Sequence[tuple[int, str]]) -> tuple[Entry, ...]:
    """Put pages and chapters into one list by time; a chapter joins the page that begins with it."""
    made = [Entry(at_ms, page) for at_ms, page in set_pages]
    place = {one.at_ms: index for index, one in enumerate(made)}
    for at_ms, title in set_chapters:
        index = place.get(at_ms)
        if index is None or made[index].title:
            made.append(Entry(at_ms, None, title))
        else:
            made[index] = replace(made[index], title=title)
    return tuple(sorted(made, key=lambda one: one.at_ms))


def written(made: Sequence[Entry]) -> tuple[Typed, ...]:
    """Write entries as people type them."""
    return tuple(Typed(written_time(one.at_ms), str(one.page or ""), one.title) for one in made)


def written_time(at_ms: int) -> str:
    """Write milliseconds as "2:03" or "1:02:03.5", as exactly as is needed."""
    rest = f"{at_ms % 1000:03d}".rstrip("0")
    return f"{clock(at_ms, short=True)}.{rest}" if rest else clock(at_ms, short=True)


def rounded(at_s: float) -> int:
    """Return a time that the server found as milliseconds that a row shows in full."""
    return round(at_s * 1000 / STEP_MS) * STEP_MS
