"""USB sticks: what fits is taken under whatever name, what is damaged costs its chunks, the internet is never used."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mirror import receipts, shapes, stick
from mirror.folder import Folder
from mirror.partial import Partial
from mirror.state import State
from rules.chunks import CHUNK_BYTES
from tests.mirror import sample
from tests.mirror.test_partial import feed, flip

BODY = sample.body()
MANIFEST = sample.manifest(BODY)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing open a socket."""

    def refuse(*_arguments, **_options):
        raise AssertionError("an import used the network")

    monkeypatch.setattr(socket, "socket", refuse)


def mirror_with(tmp_path: Path, name: str, *documents: dict) -> tuple[Folder, State]:
    """Make a mirror that was told of these files by the origin."""
    folder = sample.folder(tmp_path / name)
    state = State.load(folder)
    told = sample.subscription(*documents)
    state.subscribe(folder, shapes.subscription(told), told, "")
    return folder, state


def full(tmp_path: Path) -> Folder:
    """Make a mirror that has the file."""
    folder, _state = mirror_with(tmp_path, "full", sample.document(BODY))
    partial = Partial(folder, MANIFEST)
    feed(partial)
    assert partial.finish() == []
    partial.close()
    return folder


def take(folder: Folder, state: State, path: Path) -> stick.Imported:
    """Import, saying nothing."""
    return stick.take(folder, state, path, lambda _title: None)


def test_from_school_to_school(tmp_path: Path) -> None:
    """What one mirror gives another one takes, once; the receipt says by which way it came."""
    given = full(tmp_path)
    usb = tmp_path / "usb"
    usb.mkdir()
    assert stick.give(given, usb, lambda _title: None) == (1, 0)
    assert stick.give(given, usb, lambda _title: None) == (0, 1)
    folder, state = mirror_with(tmp_path, "other", sample.document(BODY))
    done = take(folder, state, usb)
    assert done.arrived == ["Дроби: повторение"] and done.damaged == []
    assert folder.lesson_path(MANIFEST.offer).read_bytes() == BODY
    document, names = receipts.report(folder, state, "")
    assert names == {"file1"} and document["receipts"][0]["way"] == "usb"
    assert take(folder, state, usb).known == 1


def test_a_file_saved_by_a_browser(tmp_path: Path) -> None:
    """Under any name, in any folder, as long as its manifest is known; other files of the stick are left alone."""
    folder, state = mirror_with(tmp_path, "m", sample.document(BODY))
    Partial(folder, MANIFEST).close()
    usb = tmp_path / "usb" / "Документы" / "Уроки"
    usb.mkdir(parents=True)
    (usb / "урок (1).mp4").write_bytes(BODY)
    (usb / "фото.jpg").write_bytes(sample.body(400_000, seed=9))
    (usb / "пусто").write_bytes(b"")
    assert take(folder, state, tmp_path / "usb").arrived == ["Дроби: повторение"]


@pytest.mark.parametrize("name", ["урок.mp4.crdownload", "урок.mp4"])
def test_half_a_file_is_half_the_way(tmp_path: Path, name: str) -> None:
    """A download that broke off and a file with a flipped bit give their good chunks, and those alone."""
    folder, state = mirror_with(tmp_path, "m", sample.document(BODY))
    Partial(folder, MANIFEST).close()
    usb = tmp_path / "usb"
    usb.mkdir()
    (usb / name).write_bytes(BODY if name.endswith("mp4") else BODY[: 2 * CHUNK_BYTES + 100])
    if name.endswith("mp4"):
        flip(usb / name, 7)
    done = take(folder, state, usb)
    assert (done.arrived, done.damaged) == ([], ["Дроби: повторение"])
    partial = Partial(folder, MANIFEST)
    assert partial.have == ({1, 2, 3} if name.endswith("mp4") else {0, 1})
    partial.close()


def test_what_the_origin_does_not_offer_is_not_taken(tmp_path: Path) -> None:
    """A stick brings its own manifests; they count for what was offered to this school under the same digest."""
    usb = tmp_path / "usb"
    usb.mkdir()
    stick.give(full(tmp_path), usb, lambda _title: None)
    other = sample.document(sample.body(seed=2))
    folder, state = mirror_with(tmp_path, "m", other)
    assert take(folder, state, usb).arrived == []
    elsewhere, state = mirror_with(tmp_path, "e", {**sample.document(BODY), "id": "another"})
    assert take(elsewhere, state, usb).arrived == []


def test_a_hostile_stick(tmp_path: Path) -> None:
    """Links, folders without end and manifests that lie bring nothing and break nothing."""
    folder, state = mirror_with(tmp_path, "m", sample.document(BODY))
    usb = tmp_path / "usb"
    deep = usb.joinpath(*["a"] * 12)
    deep.mkdir(parents=True)
    (deep / "урок.mp4").write_bytes(BODY)
    (usb / "link.mp4").symlink_to("/dev/zero")
    (usb / "circle").symlink_to(usb)
    (usb / "x.manifest.json").write_text("[" * 100_000)
    (usb / "y.manifest.json").write_text('{"id": "../../x"}')
    assert take(folder, state, usb).arrived == []


def test_verify_finds_what_the_disk_has_lost(tmp_path: Path) -> None:
    """A flipped bit costs its chunk; the rest stays, and the whole file is not shown until it is whole again."""
    folder = full(tmp_path)
    flip(folder.lesson_path(MANIFEST.offer), CHUNK_BYTES + 1)
    told: list[tuple[str, int]] = []
    assert stick.verify(folder, lambda title, bad: told.append((title, bad))) == 1
    assert told == [("Дроби: повторение", 1)]
    assert not folder.has(MANIFEST.offer)
    partial = Partial(folder, MANIFEST)
    assert feed(partial) == CHUNK_BYTES
    assert partial.finish() == []
    partial.close()
    assert stick.verify(folder, lambda title, bad: told.append((title, bad))) == 1 and len(told) == 1
