"""The disks of an installation, measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from config import Settings
from rules.space import Work
from store import space


def test_room_is_measured_on_the_data_disk(tmp_path: Path) -> None:
    """A small file has room, one larger than the disk has none, and what is missing is said."""
    settings = replace(Settings.from_env({"TROPA_DATA": str(tmp_path)}), free_mb=1, free_percent=0)
    (disk,) = space.disks(settings)
    assert disk.total_bytes >= disk.free_bytes > 0
    assert space.room_for(settings, 1, Work.ENCODE).fits
    refused = space.room_for(settings, disk.total_bytes)
    assert not refused.fits
    assert refused.missing_bytes > 0


def test_storage_elsewhere_has_no_disk_of_ours(tmp_path: Path) -> None:
    """A bucket is not measured; a folder that does not exist yet counts with the disk that it will be on."""
    settings = Settings.from_env({"TROPA_DATA": str(tmp_path / "not" / "yet"), "STORAGE_URL": "memory://bucket"})
    assert [disk.name for disk in space.disks(settings)] == [space.DATA]
