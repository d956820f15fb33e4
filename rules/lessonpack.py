"""Put a lesson's timeline together: which slide stands when, from hand, deck and picture, and the chapters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Raised when packs made before should be made again.
PACK_VERSION = 1
# Raised when slides should be looked for again.
FINDER_VERSION = 1

# How much alike (correlation, -1 to 1) a page of the deck and the picture must be to be taken for the same.
ALIKE = 0.75
# What leaving the order of pages costs in likeness: lecturers go on to the next page, skip some, and come back.
_SKIP, _BACK, _AWAY = 0.04, 0.08, 0.02
MAX_CHAPTERS = 200
MAX_TITLE_CHARS = 120
# Without chapters of their own, slides' first lines serve as such, not closer together than this.
CHAPTER_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Turn:
    """From `at_s` on this image stands: page of the deck (from 0) or slide found in the picture; one is None."""

    at_s: float
    page: int | None = None
    found: int | None = None


def turns(
    hand: Sequence[tuple[float, int]],
    matched: Sequence[int | None],
    found_at_s: Sequence[float],
    pages: int,
) -> tuple[Turn, ...]:
    """Say which image stands when. What was set by hand counts alone; then the picture, with pages where they match.

    Without a picture the first page stands throughout. `hand` holds (seconds, page from 0).
    """
    if hand and pages:
        made = [Turn(max(0.0, at_s), page=page) for at_s, page in sorted(hand) if 0 <= page < pages]
        if made:
            return _from_zero(made)
    if found_at_s:
        made = [
            Turn(at_s, page=page) if page is not None else Turn(at_s, found=index)
            for index, (at_s, page) in enumerate(zip(found_at_s, matched, strict=True))
        ]
        return _from_zero(made)
    return (Turn(0.0, page=0),) if pages else ()


def _from_zero(made: Sequence[Turn]) -> tuple[Turn, ...]:
    """Let the first image stand from the beginning, and leave out turns to what stands already."""
    first = Turn(0.0, made[0].page, made[0].found)
    kept = [first]
    for turn in made[1:]:
        same = (turn.page, turn.found) == (kept[-1].page, kept[-1].found)
        if not same and turn.at_s > kept[-1].at_s:
            kept.append(turn)
        elif not same:
            kept[-1] = Turn(kept[-1].at_s, turn.page, turn.found)
    return tuple(kept)


def likeness(one: bytes, other: bytes) -> float:
    """Return the correlation of two thumbnails: 1 for the same whatever the brightness, 0 for nothing in common."""
    count = len(one)
    mean_one, mean_other = sum(one) / count, sum(other) / count
    both = sum(x * y for x, y in zip(one, other, strict=True)) / count - mean_one * mean_other
    var_one = sum(x * x for x in one) / count - mean_one**2
    var_other = sum(x * x for x in other) / count - mean_other**2
    # A blank page has nothing to be recognised by but its being blank.
    if var_one < 4.0 or var_other < 4.0:
        return 1.0 if var_one < 4.0 and var_other < 4.0 and abs(mean_one - mean_other) < 12 else 0.0
    return both / (var_one * var_other) ** 0.5


def match_pages(seen: Sequence[bytes], pages: Sequence[bytes]) -> tuple[int | None, ...]:
    """Find for each slide seen in the picture the page of the deck that it shows, None where it shows none.

    The most likely way through the deck as a whole (Viterbi): pages mostly follow one another, some are skipped, some
    are returned to, and in between the picture shows other things.
    """
    if not seen or not pages:
        return (None,) * len(seen)
    states: list[int | None] = [None, *range(len(pages))]
    gains = [[ALIKE, *(likeness(thumb, page) for page in pages)] for thumb in seen]
    best = [gain - (0.0 if state in (None, 0) else _SKIP) for gain, state in zip(gains[0], states, strict=True)]
    came: list[list[int]] = []
    for row in gains[1:]:
        before = []
        now = []
        for index, state in enumerate(states):
            reached = [best[one] - _cost(states[one], state) for one in range(len(states))]
            from_one = max(range(len(states)), key=reached.__getitem__)
            before.append(from_one)
            now.append(reached[from_one] + row[index])
        came.append(before)
        best = now
    at = max(range(len(states)), key=best.__getitem__)
    way = [at]
    for before in reversed(came):
        at = before[at]
        way.append(at)
    return tuple(states[one] for one in reversed(way))


def _cost(before: int | None, after: int | None) -> float:
    if before is None or after is None:
        return 0.0 if before is after else _AWAY
    if after in (before, before + 1):
        return 0.0
    return _SKIP if after > before else _BACK


def chapters(
    hand: Sequence[tuple[float, str]], made: Sequence[Turn], titles: Sequence[str]
) -> tuple[tuple[float, str], ...]:
    """Return the chapters as (seconds, title): those set by hand, else the titles of the deck's pages in their turn."""
    if hand:
        return tuple(sorted(hand))[:MAX_CHAPTERS]
    found: list[tuple[float, str]] = []
    for turn in made:
        title = titles[turn.page] if turn.page is not None else ""
        if not title or title in (one for _at, one in found):
            continue
        if not found or turn.at_s - found[-1][0] >= CHAPTER_EVERY_S:
            found.append((turn.at_s, title))
    return tuple(found[:MAX_CHAPTERS])


def title_of(text: str) -> str:
    """Take a page's first line of some length as its title."""
    for line in text.splitlines():
        words = " ".join(line.split())
        if len(words) >= 3 and any(char.isalpha() for char in words):
            return words[:MAX_TITLE_CHARS]
    return ""
