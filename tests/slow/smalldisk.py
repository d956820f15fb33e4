"""A disk of a few megabytes that a test may fill, and empty again."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

BALLAST = "ballast"


class SmallDisk:
    """A mounted disk; what is not kept free is taken up by a file of zeros."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def free_bytes(self) -> int:
        """Return what is free now."""
        return shutil.disk_usage(self.folder).free

    def fill(self, leave_bytes: int = 0) -> None:
        """Take up everything but so many bytes."""
        with (self.folder / BALLAST).open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while (size := min(1 << 20, self.free_bytes - leave_bytes)) > 0:
                file.write(bytes(size))

    def make_room(self) -> None:
        """Give back what was taken up."""
        (self.folder / BALLAST).unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a disk of this size for the time of the block; fails the test where that is not allowed."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tropa-test", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.fail(
            f"a test's own disk could not be mounted (as user {os.geteuid()}): {done.stderr.strip()}; run the tests "
            "as root, in a container with --cap-add SYS_ADMIN"
        )
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that is just ending may still have a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
