"""Pure: read the rows of the captions' editor, and carry out what its buttons ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules import captions
from rules.captions import BadCue, Cue, Fault

PER_PAGE = 50
MAX_ROWS = 500
MAX_SHIFT_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Typed:
    """One row as it was typed."""

    start: str
    end: str
    text: str

    @property
    def is_blank(self) -> bool:
        return not (self.start.strip() or self.end.strip() or self.text.strip())


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a track that a page shows: `count` cues from `first` on.

    `from_ms` and `until_ms` (None: to the end) say in times which part that is, as another version has other numbers.
    """

    first: int
    count: int
    from_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a button asks for: "save", "shift", or "add", "split", "merge", "delete" at a row of the page."""

    what: str
    row: int = 0


class BadRows(ValueError):
    """Rows that cannot be kept: what is wrong, by the row of the page; -1 for rows of other pages."""

    def __init__(self, faults: Mapping[int, Fault]) -> None:
        super().__init__(str(faults))
        self.faults = dict(faults)


def shown(cues: Sequence[Cue], page: int) -> Window:
    """Return the window of a page, counted from 1; past the end: the last one."""
    last = max(1, -(-len(cues) // PER_PAGE))
    first = (min(max(1, page), last) - 1) * PER_PAGE
    after = first + PER_PAGE
    return Window(
        first=first,
        count=len(cues[first:after]),
        from_ms=cues[first].start_ms if first else 0,
        until_ms=cues[after].start_ms if after < len(cues) else None,
    )


def found_again(cues: Sequence[Cue], window: Window) -> Window:
    """Find the same time in another version of the track."""
    first = sum(cue.start_ms < window.from_ms for cue in cues)
    end = len(cues) if window.until_ms is None else sum(cue.start_ms < window.until_ms for cue in cues)
    return Window(first, max(0, end - first), window.from_ms, window.until_ms)


def typed(cue: Cue) -> Typed:
    """Write a cue as a row."""
    return Typed(captions.clock(cue.start_ms), captions.clock(cue.end_ms), cue.text)


def wish(text: str) -> Wish | None:
    """Read a button's value: "save", "shift", "split:3"; None for anything else."""
    what, _, number = text.partition(":")
    if what in ("save", "shift") and not number:
        return Wish(what)
    if what in ("add", "split", "merge", "delete") and number.isascii() and number.isdigit() and len(number) < 5:
        return Wish(what, int(number))
    return None


def parsed(rows: Sequence[Typed]) -> dict[int, Cue]:
    """Read rows as cues, by row, without the blank ones.

    Raises BadRows that names all of them with a time that cannot be read or that end too early.
    """
    found, faults = {}, {}
    for index, row in enumerate(rows):
        if row.is_blank:
            continue
        start_ms, end_ms = captions.parse_clock(row.start), captions.parse_clock(row.end)
        if start_ms is None or end_ms is None:
            faults[index] = Fault.TIME
            continue
        try:
            (found[index],) = captions.checked([Cue(start_ms, end_ms, row.text)])
        except BadCue as trouble:
            faults[index] = trouble.fault
    if faults:
        raise BadRows(faults)
    return found


def changed(cues: Sequence[Cue], window: Window, rows: Sequence[Typed], asked: Wish, shift_ms: int) -> tuple[Cue, ...]:
    """Put the rows in the place of the window's cues and do what was asked; raises BadRows."""
    if asked.what == "delete":
        blank = Typed("", "", "")
        rows = [blank if index == asked.row else row for index, row in enumerate(rows)]
    mine = parsed(rows)
    whole = (*cues[: window.first], *mine.values(), *cues[window.first + window.count :])
    if asked.what == "shift":
        whole = captions.shift(whole, shift_ms)
    elif asked.row in mine and asked.what in _AT_A_ROW:
        whole = _AT_A_ROW[asked.what](whole, window.first + list(mine).index(asked.row))
    try:
        return captions.checked(whole)
    except BadCue as trouble:
        # One row by itself was right, so that it is about all of them: moved too far, too long when joined, too many.
        raise BadRows({-1: trouble.fault}) from None


_AT_A_ROW = {"add": captions.insert_after, "split": captions.split, "merge": captions.merge}
