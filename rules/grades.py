"""Read and write grade sets (класс-комплект): "5+6" taught together, "1-4" a whole primary school."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

FIRST, LAST = 1, 11
MAX_CHARS = 100

_DASHES = re.compile(r"\s*[-‐‑‒–—−]\s*")
_SEPARATORS = re.compile(r"\s*(?:[+,;/&]|и|and|\s)\s*")
_PART = re.compile(r"([0-9]{1,4})(?:-([0-9]{1,4}))?")


class GradeFault(StrEnum):
    """Why a text is no grade set."""

    NOT_GRADES = "not_grades"
    OUT_OF_RANGE = "out_of_range"
    BACKWARDS = "backwards"


class GradeError(ValueError):
    """A text that is no grade set; `fault` says why, `part` quotes what was not understood."""

    def __init__(self, fault: GradeFault, part: str) -> None:
        super().__init__(f"{fault.value}: {part}")
        self.fault = fault
        self.part = part


def parse(text: str) -> frozenset[int]:
    """Read "5+6", "1-4", "5, 6", "1–4" or "5 и 6" as grades 1 to 11; an empty text is the empty set.

    Raises GradeError. Long dashes are what phones and word processors type for a hyphen.
    """
    if len(text) > MAX_CHARS:
        raise GradeError(GradeFault.NOT_GRADES, text[:MAX_CHARS])
    found: set[int] = set()
    for part in filter(None, _SEPARATORS.split(_DASHES.sub("-", text.strip()))):
        match = _PART.fullmatch(part)
        if match is None:
            raise GradeError(GradeFault.NOT_GRADES, part)
        first = int(match[1])
        last = int(match[2] or match[1])
        if not (FIRST <= first <= LAST and FIRST <= last <= LAST):
            raise GradeError(GradeFault.OUT_OF_RANGE, part)
        if last < first:
            raise GradeError(GradeFault.BACKWARDS, part)
        found.update(range(first, last + 1))
    return frozenset(found)


def canonical(grades: Iterable[int]) -> str:
    """Write a grade set in its one spelling, runs of three or more with a hyphen: "1-4", "5+6", "1-3+9"."""
    runs: list[list[int]] = []
    for grade in sorted(set(grades)):
        if runs and grade == runs[-1][-1] + 1:
            runs[-1].append(grade)
        else:
            runs.append([grade])
    return "+".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else "+".join(map(str, run)) for run in runs)


def mask(grades: Iterable[int]) -> int:
    """Pack a grade set into bits (grade g is bit g), by which a database finds the lessons for a grade."""
    return sum(1 << grade for grade in set(grades))
