"""Attempts: however one ends, the row hears of it once, and its folder is gone."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from store.files import NoSuchFile
from workers import alive, attempt
from workers.attempt import Attempt, LeaseLost, Refused, Stopping
from workers.child import ChildFailed, ChildKilled


class Heard(Attempt):
    """An attempt that writes down what its row would be told."""

    def __init__(self, data: Path) -> None:
        super().__init__(SimpleNamespace(data=data), alive.lease_owner(), "a piece")
        self.told: list = []
        self.keeps = True

    def note(self, stage, percent, eta_s):
        self.told.append((stage, percent))
        return self.keeps

    def release(self):
        self.told.append("released")

    def bury(self):
        self.told.append("buried")

    def fail(self, code, *, permanent):
        self.told.append((code, permanent))


@pytest.fixture(autouse=True)
def no_database(monkeypatch):
    """These attempts have no rows."""
    monkeypatch.setattr(attempt, "db", SimpleNamespace(session=SimpleNamespace(rollback=lambda: None)))


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (LeaseLost(), []),
        (Stopping(), ["released"]),
        (ChildKilled("by the kernel"), ["buried"]),
        (ChildFailed("timeout", "…"), [("timeout", False)]),
        (Refused("no_sound_or_picture", "…", permanent=True), [("no_sound_or_picture", True)]),
        (NoSuchFile("key"), [("source_missing", False)]),
        (OSError(errno.ENOSPC, "full"), [("disk_full", False)]),
        (OSError(errno.EIO, "broken"), [("storage", False)]),
        (ZeroDivisionError(), [("internal", False)]),
    ],
)
def test_every_end_is_told_once_and_leaves_no_folder(tmp_path, trouble, told):
    """What is nobody's fault does not count, everything else has a reason."""
    one, seen = Heard(tmp_path), []

    def body(folder: Path) -> None:
        (folder / "half").write_text("made")
        seen.append(folder)
        raise trouble

    one.run(body)
    assert one.told == told
    assert not seen[0].exists() and list((tmp_path / "tmp").iterdir()) == []


def test_reports_come_once_a_second_or_with_a_new_stage_and_end_with_the_lease(tmp_path):
    """The database is not asked for every frame; a lost lease ends the work with the next report."""
    one = Heard(tmp_path)
    for done in (0.0, 0.1, 0.2):
        one.report(attempt.ENCODE, done)
    one.keeps = False
    with pytest.raises(LeaseLost):
        one.report(attempt.VERIFY, 1.0)
    assert one.told == [("encode", 0.0), ("verify", 100.0)]


def test_folders_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path):
    """A killed worker's folder goes with the next look; other machines' folders are theirs."""
    mine = alive.lease_owner()
    realm, _, _ = mine.split(":")
    kept = {f"work-{mine}-abc", "work-000000000000:1:1-abc", "another"}
    for name in (*kept, f"work-{realm}:1:1-abc"):
        (tmp_path / "tmp" / name).mkdir(parents=True)
    attempt.remove_abandoned(SimpleNamespace(data=tmp_path))
    assert {path.name for path in (tmp_path / "tmp").iterdir()} == kept
