"""What a process and its children take, from /proc: processor time, memory, descriptors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor seconds: of all threads and children, of the first thread alone, of the children alone."""

    all_s: float
    main_s: float
    children_s: float

    def __sub__(self, earlier: Spent) -> Spent:
        return Spent(self.all_s - earlier.all_s, self.main_s - earlier.main_s, self.children_s - earlier.children_s)


def spent(pid: int) -> Spent:
    """Read the processor time of a process and all that it has started and still runs."""
    below = sum(_time_s(Path(f"/proc/{child}/stat")) for child in children(pid))
    own = _time_s(Path(f"/proc/{pid}/stat"))
    return Spent(own + below, _time_s(Path(f"/proc/{pid}/task/{pid}/stat")), below)


def children(pid: int) -> list[int]:
    """List the processes below one, their own children included."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += [int(child), *children(int(child))]
    return found


def resident_bytes(pid: int) -> int:
    """Return the resident memory of one process, its children not included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def descriptors(pid: int) -> int:
    """Count open files and sockets."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def machine() -> str:
    """Name the processor and how many cores there are."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return (
        f"{names[0] if names else os.uname().machine}, {os.cpu_count()} cores, Linux {os.uname().release.split('-')[0]}"
    )


def _time_s(stat: Path) -> float:
    # The name stands in parentheses and may hold anything; times are fields 14 and 15 (proc_pid_stat(5)).
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S
