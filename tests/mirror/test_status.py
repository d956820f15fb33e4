"""What a mirror says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror import status
from mirror.folder import Folder
from mirror.texts import words
from tests.mirror import sample


def test_a_disk_that_is_too_full_to_note_it_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The reason could not be written down, so the disk itself is asked."""
    folder = sample.folder(tmp_path)
    assert not any("disk is full" in line for line in status.lines(folder, words("en")))
    monkeypatch.setattr(Folder, "free_bytes", lambda _self: 4096)
    assert status.lines(folder, words("en"))[0].startswith("Trouble: this computer's disk is full; make room")
