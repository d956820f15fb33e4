"""Choose and compress a pack's slides: from the deck, from the picture, by hand; each image once, within the budget."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from rules import lessonpack, packbudget, slides
from rules.lessonpack import Turn
from store import database, materials
from store.files import Files
from workers import plan, slidefinder, slideimages
from workers.slideimages import SlideImage


@dataclass(frozen=True, slots=True)
class PackSlides:
    """The images of a pack, when each stands as (seconds, index), and the text on each ("" where it is not known)."""

    images: tuple[SlideImage, ...]
    turns: tuple[tuple[float, int], ...]
    texts: tuple[str, ...]
    chapters: tuple[tuple[float, str], ...]
    # The page of the deck (from 1) that each image shows, None for what was found in the picture.
    pages: tuple[int | None, ...]


def find(
    storage: Files,
    recording_id: str,
    sources: tuple[Path, ...],
    line: plan.Timeline,
    folder: Path,
    on_progress: Callable[[float], None],
) -> list[dict]:
    """Return the slides of a recording's picture, looking through it only the first time; see store.lessontables."""
    known = materials.found_slides(recording_id)
    if known is not None or not line.has_video:
        return known or []
    stills = slidefinder.find(sources, line, folder, on_progress)
    shown = tuple(slides.Shown(one.at_s, one.thumb) for one in stills)
    chosen = slides.thinned(shown, line.duration_s, packbudget.most_slides(line.duration_s))
    firsts = slides.same_images(tuple(shown[index].thumb for index in chosen))
    stored: dict[int, dict] = {}
    found = []
    for place, index in enumerate(chosen):
        first = firsts[place]
        if first not in stored:
            stored[first] = _store(storage, recording_id, stills[chosen[first]].path, folder)
        found.append({"at_s": round(shown[index].at_s, 3), **stored[first]})
    materials.note_found(recording_id, found, database.utc_now())
    return found


def _store(storage: Files, recording_id: str, still: Path, folder: Path) -> dict:
    with Image.open(still) as image:
        made = slideimages.compress(image, packbudget.LEVELS[0])
    digest = hashlib.sha256(made.content).hexdigest()
    small = folder / "small"
    small.write_bytes(made.content)
    key = f"recordings/{recording_id}/slides/{digest[:16]}.{made.extension}"
    storage.put(small, key)
    return {
        "key": key,
        "extension": made.extension,
        "bytes": len(made.content),
        "sha256": digest,
        "width": made.width,
        "height": made.height,
    }


def choose(
    storage: Files,
    found: Sequence[dict],
    pages: Sequence[dict],
    by_hand: Sequence[tuple[float, int]],
    titles_by_hand: Sequence[tuple[float, str]],
    duration_s: float,
    voice_bytes: int,
) -> PackSlides:
    """Say which slide stands when, and compress what is needed so that the pack stays within its budget."""
    matched: Sequence[int | None] = (None,) * len(found)
    if found and pages and not by_hand:
        matched = lessonpack.match_pages(_thumbs(storage, found), _thumbs(storage, pages))
    made = lessonpack.turns(by_hand, matched, [one["at_s"] for one in found], len(pages))
    made = tuple(turn for turn in made if turn.at_s < duration_s)
    titles = [lessonpack.title_of(page["text"]) for page in pages]
    chapters = tuple((at_s, title) for at_s, title in lessonpack.chapters(titles_by_hand, made, titles))
    rows = [pages[turn.page] if turn.page is not None else found[turn.found] for turn in made]
    unique = list({row["key"]: row for row in rows}.values())
    page_of = {row["key"]: turn.page for turn, row in zip(made, rows, strict=True)}
    room = packbudget.slides_bytes(duration_s, voice_bytes)
    images = _fitted(storage, unique, room)
    lasting = _lasting(made, rows, duration_s)
    kept = packbudget.kept([len(one.content) for one in images], [lasting[row["key"]] for row in unique], room)
    place = {unique[index]["key"]: number for number, index in enumerate(kept)}
    turns = [(turn.at_s, place[row["key"]]) for turn, row in zip(made, rows, strict=True) if row["key"] in place]
    if turns:
        turns[0] = (0.0, turns[0][1])
    return PackSlides(
        images=tuple(images[index] for index in kept),
        turns=tuple(turns),
        texts=tuple(unique[index].get("text", "") for index in kept),
        chapters=chapters,
        pages=tuple(_number(page_of[unique[index]["key"]]) for index in kept),
    )


def _number(page: int | None) -> int | None:
    return None if page is None else page + 1


def _thumbs(storage: Files, rows: Sequence[dict]) -> list[bytes]:
    made: dict[str, bytes] = {}
    for row in rows:
        if row["key"] not in made:
            made[row["key"]] = slideimages.thumb(slideimages.open_image(_read(storage, row)))
    return [made[row["key"]] for row in rows]


def _fitted(storage: Files, rows: Sequence[dict], room: int) -> list[SlideImage]:
    """Compress the heaviest images more and more until all fit, or none can be compressed further."""
    images = [SlideImage(_read(storage, row), row["extension"], row["width"], row["height"]) for row in rows]
    levels = [0] * len(images)
    best = list(images)
    while (index := packbudget.next_smaller([len(one.content) for one in images], levels, room)) is not None:
        levels[index] += 1
        smaller = slideimages.compress(slideimages.open_image(best[index].content), packbudget.LEVELS[levels[index]])
        if len(smaller.content) < len(images[index].content):
            images[index] = smaller
    return images


def _lasting(made: Sequence[Turn], rows: Sequence[dict], duration_s: float) -> dict[str, float]:
    """Sum up for how many seconds each image stands; the first one counts most, as something must stand at first."""
    found: dict[str, float] = {}
    for index, row in enumerate(rows):
        until_s = made[index + 1].at_s if index + 1 < len(made) else duration_s
        found[row["key"]] = found.get(row["key"], 0.0) + until_s - made[index].at_s
    if rows:
        found[rows[0]["key"]] = 1e9
    return found


def _read(storage: Files, row: dict) -> bytes:
    with storage.open(row["key"]) as file:
        return file.read()
