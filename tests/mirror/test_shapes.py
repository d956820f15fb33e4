"""A hostile origin: what cannot be true is refused whole, and no name of its own reaches the disk."""

from __future__ import annotations

import pytest

from mirror import shapes
from mirror.shapes import BadDocument
from tests.mirror import sample

GOOD = sample.document(sample.body())


def test_what_the_origin_says_is_read() -> None:
    """A subscription and a manifest as the server writes them."""
    found = shapes.subscription(sample.subscription(GOOD, window={"from": "22:00", "to": "06:00"}, rate_kbps=128))
    assert (found.school, found.rate_kbps, found.window.minutes) == ("Берёзовская школа", 128, 480)
    assert found.files == (shapes.manifest(GOOD).offer,)
    assert shapes.manifest(shapes.manifest(GOOD).document()) == shapes.manifest(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc"},
        {"id": "a" * 17},
        {"recording": "../x"},
        {"recording": "a/b"},
        {"recording": ""},
        {"kind": "../../x"},
        {"kind": "Video"},
        {"kind": 7},
        {"sha256": "0" * 63},
        {"sha256": "../" + "0" * 61},
        {"bytes": -1},
        {"bytes": 10**18},
        {"bytes": 1.5},
        {"bytes": None},
        {"name": "x" * 5000},
        {"name": None},
        {"lesson": None},
        {"lesson": {}},
    ],
)
def test_files_that_cannot_be_true_are_refused(change: dict) -> None:
    """Paths, absurd sizes and wrong types are refused in a subscription and in a manifest."""
    bad = {**GOOD, **change}
    with pytest.raises(BadDocument):
        shapes.offer(bad)
    with pytest.raises(BadDocument):
        shapes.manifest(bad)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"school": None},
        {"school": {"name": "x", "timezone": "../../etc/passwd"}},
        {"school": {"name": "x", "timezone": "Nowhere/Here"}},
        {"window": {"from": "25:00", "to": "06:00"}},
        {"window": {"from": "06:00", "to": "06:00"}},
        {"window": "night"},
        {"rate_kbps": 0},
        {"rate_kbps": True},
        {"monthly_mb": "много"},
        {"files": {}},
        {"files": [None]},
        {"files": [GOOD] * 2001},
    ],
)
def test_subscriptions_that_cannot_be_true_are_refused(change: dict) -> None:
    """Nothing of them is taken."""
    with pytest.raises(BadDocument):
        shapes.subscription(sample.subscription(GOOD, **change))


@pytest.mark.parametrize("change", [{"chunks": []}, {"chunk_bytes": 4}, {"bytes": 5}])
def test_manifests_that_contradict_themselves_are_refused(change: dict) -> None:
    """The number of chunks has to fit the size."""
    with pytest.raises(BadDocument):
        shapes.manifest({**GOOD, **change})


def test_names_never_become_paths() -> None:
    """What a file is called on the disk is made of its kind and digest; a title is shown on one line without tricks."""
    found = shapes.offer({**GOOD, "name": "../../\x1b[2J\u202eexe.4pm"})
    assert found.filename == f"video_small-{GOOD['sha256'][:16]}.mp4"
    assert "\x1b" not in found.name and "\u202e" not in found.name


def test_files_of_tomorrow_are_left_out() -> None:
    """A kind of file that this version cannot show does not cost the others."""
    tomorrow = {**GOOD, "id": "file2", "extension": "exe"}
    assert len(shapes.subscription(sample.subscription(GOOD, tomorrow)).files) == 1
    with pytest.raises(BadDocument):
        shapes.offer(tomorrow)
