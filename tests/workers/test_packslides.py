"""Which page of the deck each slide of a pack is: the page of slides begins its rows with that."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from store.files import Files
from workers import packslides


def test_slides_know_their_page_of_the_deck(tmp_path: Path):
    """In the order in which they first stand; a page that returns is there once, one that never stands is not."""
    storage = Files((tmp_path / "files").as_uri())
    pages = []
    for number in range(3):
        path = tmp_path / "page.png"
        Image.new("RGB", (64, 48), (80 * number, 40, 40)).save(path)
        put = storage.put(path, f"decks/s/{number}.png")
        facts = {"key": put.key, "extension": "png", "bytes": put.bytes, "sha256": put.sha256}
        pages.append(facts | {"width": 64, "height": 48, "text": f"Page {number + 1}"})
    by_hand = [(0.0, 2), (10.0, 0), (20.0, 2)]
    made = packslides.choose(storage, [], pages, by_hand, [], 60.0, 100_000)
    assert made.pages == (3, 1)
    assert made.turns == ((0.0, 0), (10.0, 1), (20.0, 0))
    assert made.texts == ("Page 3", "Page 1")
