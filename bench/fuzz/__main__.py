"""Run a million inputs through every parser and write bench/results/fuzz.json."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

from bench.fuzz.running import LIMIT_S, Outcome, run
from bench.fuzz.subjects import SUBJECTS

RESULTS = Path(__file__).resolve().parents[1] / "results" / "fuzz.json"


def main() -> int:
    """Return 1 where anything got out of a parser or took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each parser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="names of parsers, with commas")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    wanted = set(options.only.split(",")) if options.only else {subject.name for subject in SUBJECTS}
    print(
        f"{'parser':14} {'inputs':>9} {'refused':>9} {'mean us':>8} {'slowest ms':>11} {'hiccups':>8} faults",
        flush=True,
    )
    outcomes = []
    for subject in SUBJECTS:
        if subject.name in wanted:
            outcome = run(subject, options.inputs, options.seed)
            outcomes.append(outcome)
            _show(outcome)
    rows = [_row(outcome) for outcome in outcomes]
    machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    told = {"machine": machine, "seed": options.seed, "limit_ms": 1000 * LIMIT_S, "parsers": rows}
    options.out.write_text(json.dumps(told, indent=1) + "\n")
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _show(outcome: Outcome) -> None:
    mean_us = 1e6 * outcome.total_s / max(1, outcome.inputs)
    print(
        f"{outcome.name:14} {outcome.inputs:9} {outcome.refused:9} {mean_us:8.1f} {1e3 * outcome.slowest_s:11.2f} "
        f"{outcome.hiccups:8} {len(outcome.faults) + len(outcome.slow)}",
        flush=True,
    )
    for number, error, data in outcome.faults:
        print(f"  input {number}: {error} from {data}")
    for number, best_s in outcome.slow:
        print(f"  input {number}: never under {1e3 * best_s:.1f} ms")


def _row(outcome: Outcome) -> dict[str, object]:
    return {
        "parser": outcome.name,
        "inputs": outcome.inputs,
        "refused": outcome.refused,
        "escaped": [{"input": number, "error": error} for number, error, _ in outcome.faults],
        "mean_us": round(1e6 * outcome.total_s / max(1, outcome.inputs), 2),
        "slowest_ms": round(1e3 * outcome.slowest_s, 3),
        "slowest_input": outcome.slowest_number,
        "over_limit": [{"input": number, "best_ms": round(1e3 * best_s, 3)} for number, best_s in outcome.slow],
        "over_limit_once": outcome.hiccups,
    }


if __name__ == "__main__":
    sys.exit(main())
