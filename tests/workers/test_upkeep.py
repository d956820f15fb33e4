"""Clean-up removes what is old and nothing else."""

import os

from workers import upkeep


def test_folders_in_which_nothing_changes_any_more_are_removed(tmp_path):
    """An old folder goes; one with a file that is still being written stays, and so does a plain file."""
    for name in ("old", "busy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "made.mp4").write_bytes(b"x")
        os.utime(tmp_path / name / "made.mp4", (1000, 1000))
        os.utime(tmp_path / name, (1000, 1000))
    os.utime(tmp_path / "busy" / "made.mp4", (5000, 5000))
    (tmp_path / "note").write_text("kept")
    assert upkeep.remove_stale(tmp_path, 2000) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "note"]


def test_no_folder_is_no_trouble(tmp_path):
    """Before the first encode there is nothing to clean."""
    assert upkeep.remove_stale(tmp_path / "tmp", 2000) == 0


def test_folders_of_lessons_whose_recordings_were_taken_over_go(tmp_path):
    """An empty folder goes once it is old; a new one and one that holds a recording stay."""
    for name in ("old", "new", "full/r1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name in ("old", "full", "file"):
        os.utime(tmp_path / name, (1000.0, 1000.0))
    assert upkeep.remove_empty(tmp_path, 2000.0) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "new"]
    assert upkeep.remove_empty(tmp_path / "nothing", 2000.0) == 0
