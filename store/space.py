"""Ask the disks that this installation writes to how much room there is; what that allows is rules.space."""

from __future__ import annotations

import shutil
from pathlib import Path

from config import Settings
from rules import space
from rules.space import Disk, Level, Reserve, Room, Work
from store.files import Files

DATA, STORAGE = "data", "storage"


def disks(settings: Settings) -> list[Disk]:
    """Measure the disk of TROPA_DATA, and that of the file storage where it is a folder on another one.

    Raises OSError where the data folder is gone.
    """
    found = [_disk(DATA, settings.data)]
    folder = Files(settings.storage_url).folder
    if folder is not None:
        existing = _existing(folder)
        if existing.stat().st_dev != _existing(settings.data).stat().st_dev:
            found.append(_disk(STORAGE, existing))
    return found


def reserve(settings: Settings) -> Reserve:
    """Return what this installation keeps free."""
    return Reserve(settings.free_mb * 1_000_000, settings.free_percent)


def room_for(settings: Settings, needed_bytes: int, work: Work = Work.UPLOAD) -> Room:
    """Tell whether work that writes `needed_bytes` may begin; `missing_bytes` says how much more had to be free."""
    kept = reserve(settings)
    return space.tightest(space.room(disk, kept, work, needed_bytes) for disk in disks(settings))


def level(settings: Settings) -> Level:
    """Tell how full the fullest disk is."""
    kept = reserve(settings)
    return space.worst(space.level(disk, kept) for disk in disks(settings))


def _disk(name: str, folder: Path) -> Disk:
    usage = shutil.disk_usage(_existing(folder))
    return Disk(name, usage.total, usage.free)


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists: nothing has been stored yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
