"""Run many inputs through one parser; keep what it let out and which input took longest."""

from __future__ import annotations

import contextlib
import random
import time
from dataclasses import dataclass, field

from bench.fuzz.subjects import Subject

LIMIT_S = 0.010
REPEATS = 5
KEPT_FAULTS = 20
SHOWN = 80
"""Characters of an input that are printed: the seed and its number make the whole of it again."""


@dataclass(slots=True)
class Outcome:
    """What came of one parser. Times are of this thread's own CPU, garbage collection included, others' load not.

    `slowest_s` is one run of the slowest input. What exceeded the limit was run again `REPEATS` times at once:
    `slow` keeps those that never came under it, `hiccups` counts those that did, where the machine or the collector
    took the time and not the input.
    """

    name: str
    inputs: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    slowest_number: int = 0
    total_s: float = 0.0
    hiccups: int = 0
    slow: list[tuple[int, float]] = field(default_factory=list)
    faults: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing got out and nothing took too long."""
        return not self.faults and not self.slow


def run(subject: Subject, inputs: int, seed: int) -> Outcome:
    """Run `inputs` inputs, the same for the same seed."""
    rng = random.Random(f"{subject.name} {seed}")
    outcome = Outcome(subject.name, inputs)
    clock = time.thread_time
    for number in range(inputs):
        data = subject.make(rng)
        before_s = clock()
        try:
            subject.run(data)
        except subject.refusals:
            outcome.refused += 1
        except Exception as error:  # noqa: BLE001 - whatever gets out of a parser is what is looked for
            if len(outcome.faults) < KEPT_FAULTS:
                outcome.faults.append((number, repr(error), repr(data)[:SHOWN]))
        took_s = clock() - before_s
        outcome.total_s += took_s
        if took_s > outcome.slowest_s:
            outcome.slowest_s, outcome.slowest_number = took_s, number
        if took_s >= LIMIT_S:
            _again(subject, data, number, outcome)
    return outcome


def _again(subject: Subject, data: object, number: int, outcome: Outcome) -> None:
    """Tell a slow input from a slow moment."""
    best_s = min(_once(subject, data) for _ in range(REPEATS))
    if best_s >= LIMIT_S:
        outcome.slow.append((number, best_s))
    else:
        outcome.hiccups += 1


def _once(subject: Subject, data: object) -> float:
    before_s = time.thread_time()
    with contextlib.suppress(Exception):  # counted by the first run
        subject.run(data)
    return time.thread_time() - before_s
