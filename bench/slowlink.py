"""Watch a live lesson in real browsers over emulated slow links: `make bench-slowlink`, or with options

    .venv/bin/python -m bench.slowlink [--rows 128,64] [--runs 1] [--seconds 60] [--scenarios B2,B3] [--viewer page]

Prints a table with the limits; writes bench/results/slowlink.json and slowlink.svg when all rows were run. Needs root
(or user namespaces), /dev/net/tun, iproute2 and Chromium. Everything it makes lives in namespaces of its own and ends
with it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from bench import linkspace
from bench.linkspace import Seat
from bench.slowlink_chart import Bar, Line, draw
from bench.slowlink_figures import measure
from bench.slowlink_rows import BY_NAME, ROWS, SETTLE_S, Figures, Row, failures, worst
from bench.slowlink_scenarios import SCENARIOS
from bench.slowlink_stage import LiveStage
from tests.slow import chromium

RESULTS = Path(__file__).parent / "results"
COLUMNS = {
    **{"link": 11, "concealed": 11, "limit": 7, "silent": 8, "fps": 6, "limit ": 7, "gap s": 7, "picture": 13},
    **{"heard s": 9, "limit  ": 7, "kbit/s": 11, "up": 6, "queue ms": 10},
}
WIDTHS = tuple(COLUMNS.values())
HEADER = "".join(name.ljust(width) for name, width in COLUMNS.items()) + "verdict"


def run_row(stage: LiveStage, row: Row, given: argparse.Namespace, run: int) -> Figures:
    """Let one viewer watch over one link and return what they had."""
    down, up = row.words(row.down_kbps, given.queue), row.words(row.up_kbps, given.queue)
    with Seat(stage.place(), down, up, seed=run) as seat:
        viewer = stage.viewer(seat, page=given.viewer == "page")
        try:
            from_s = viewer.joined_s + SETTLE_S
            to_s = from_s + given.seconds
            time.sleep(max(0.0, to_s + 1 - time.time()))
            noted = viewer.notes()
        finally:
            viewer.close()
        reports = list(seat.link.reports)
    figures = measure(noted, stage.host_notes(), reports, from_s, to_s)
    if given.samples:
        path = Path(given.samples) / f"{row.name}-{run}.json"
        path.write_text(json.dumps({"from_s": from_s, "to_s": to_s, "noted": noted, "reports": reports}))
    if given.viewer == "page":
        loaded = [r["down"]["delivered_bytes"] for r in reports if r["at"] <= viewer.joined_s]
        figures = with_page(figures, viewer.joined_s - viewer.opened_s, loaded[-1] / 1024 if loaded else 0.0)
    return figures


def with_page(figures: Figures, page_s: float, page_kb: float) -> Figures:
    """Add what it took to load the watch page, up to its request for the lesson."""
    return Figures(**{**asdict(figures), "page_s": round(page_s, 2), "page_kb": round(page_kb, 1)})


def tell(row: Row, figures: Figures) -> None:
    """Print one line of the table."""
    wrong = failures(row, figures)
    cells = (
        row.name,
        f"{figures.concealed_percent:.2f} %",
        f"{row.concealed_percent:g} %",
        f"{figures.silent_percent:.1f} %",
        f"{figures.fps:.1f}",
        f"{row.fps:g}" if row.fps else f"/{row.still_s:g} s" if row.still_s else "-",
        f"{figures.longest_gap_s:.1f}",
        f"{figures.width}x{figures.height} {figures.codec}",
        "never" if figures.heard_s is None else f"{figures.heard_s:.2f}",
        f"{row.heard_s:g}",
        f"{figures.used_kbps:.0f}/{row.down_kbps:g}",
        f"{figures.up_kbps:.1f}",
        f"{figures.queue_ms:.0f}",
    )
    verdict = "FAIL: " + "; ".join(wrong) if wrong else "pass"
    print("".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)) + verdict, flush=True)
    if figures.page_s is not None:
        print(f"  its page: {figures.page_kb:.0f} KB in {figures.page_s:.1f} s", flush=True)


def machine() -> dict[str, object]:
    """Say what the figures were taken on."""
    program = next((path for name in chromium.NAMES if (path := shutil.which(name))), None)
    browser = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip() if program else ""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "browser": browser,
        "aiortc": version("aiortc"),
        "load_before": os.getloadavg()[0],
    }


def write(facts: dict, rows: list[dict], scenarios: list[dict], folder: Path) -> None:
    """Write the results and the chart."""
    folder.mkdir(parents=True, exist_ok=True)
    result = {**facts, "load_after": os.getloadavg()[0], "rows": rows, "scenarios": scenarios}
    (folder / "slowlink.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    lines = []
    for entry in rows:
        row, figures = BY_NAME[entry["link"]], Figures(**entry["worst"])
        wrong = " ".join(failures(row, figures))
        voice = Bar(figures.concealed_percent, row.concealed_percent, "voice concealed" not in wrong)
        lines.append(Line(f"{row.name} kbit/s", (voice, Bar(figures.fps, row.fps or None, "fps" not in wrong))))
    if lines:
        chart = draw("A live lesson over slow links", ("voice concealed, %", "frames per second"), lines)
        (folder / "slowlink.svg").write_text(chart, "utf-8")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0], epilog=f"rows: {', '.join(BY_NAME)}")
    parser.add_argument("--rows", default=",".join(row.name for row in ROWS), help="which links, or none")
    parser.add_argument("--scenarios", default="", help=f"which of {', '.join(SCENARIOS)}, or all")
    parser.add_argument("--runs", type=int, default=3, help="the worst of so many counts")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured after 10 s of settling")
    parser.add_argument("--queue", type=float, default=400.0, help="ms that a packet may wait in front of a link")
    parser.add_argument("--viewer", choices=("plain", "page"), default="plain", help="plain WHEP, or the watch page")
    parser.add_argument("--host", choices=("plain", "page"), default="plain", help="plain WHIP, or the host's page")
    parser.add_argument("--data", default="", help="folder of the service, emptied first; default: a temporary one")
    parser.add_argument("--out", default="", help="where the results go; else bench/results, for all rows only")
    parser.add_argument("--samples", default="", help="a folder for everything that was noted, for a closer look")
    given = parser.parse_args()
    given.rows = [] if given.rows == "none" else given.rows.split(",")
    # A quick look at one link must not replace the figures of the whole table.
    given.out = given.out or (str(RESULTS) if len(given.rows) == len(ROWS) else "")
    given.scenarios = list(SCENARIOS) if given.scenarios == "all" else [s for s in given.scenarios.split(",") if s]
    unknown = [r for r in given.rows if r not in BY_NAME] + [s for s in given.scenarios if s not in SCENARIOS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return given


def run_rows(given: argparse.Namespace, data: Path, facts: dict) -> list[dict]:
    """Measure every row that was asked for, one lesson for all."""
    results = []
    with LiveStage(data, host_page=given.host == "page") as stage:
        facts["media"] = stage.media
        print(f"{stage.media}\n{HEADER}", flush=True)
        for name in given.rows:
            row = BY_NAME[name]
            runs = []
            for run in range(given.runs):
                runs.append(run_row(stage, row, given, run + 1))
                tell(row, runs[-1])
            counted = worst(row, runs)
            entry = {"link": name, "limits": asdict(row), "passed": not failures(row, counted)}
            results.append({**entry, "failures": failures(row, counted), "worst": asdict(counted)})
            results[-1]["runs"] = [asdict(figures) for figures in runs]
    return results


def main() -> int:
    """Run; 1 when something that is asked for was not had, 2 when it could not be measured."""
    given = arguments()
    try:
        linkspace.enter("bench.slowlink", sys.argv[1:])
    except linkspace.NoNamespaces as error:
        print(f"bench-slowlink: {error}", file=sys.stderr)
        return 2
    # SIGTERM ends it as Ctrl-C does, and both do where a shell starts us with SIGINT ignored: every browser, link and
    # process is closed on the way out.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    facts: dict = {"machine": machine(), "options": vars(given) | {"data": "", "out": "", "samples": ""}}
    rows: list[dict] = []
    scenarios: list[dict] = []
    with tempfile.TemporaryDirectory(prefix="tropa-bench-data-") as temporary:
        data = Path(given.data or temporary) / "service"
        try:
            if given.rows:
                rows = run_rows(given, data, facts)
            for name in given.scenarios:
                scenarios.append(SCENARIOS[name](data, given))
                verdict = "pass" if scenarios[-1]["passed"] else "FAIL: " + "; ".join(scenarios[-1]["failures"])
                print(f"{name}: {scenarios[-1]['said']}  {verdict}", flush=True)
        except KeyboardInterrupt:
            print("stopped; nothing is written", file=sys.stderr)
            return 130
    if given.out:
        write(facts, rows, scenarios, Path(given.out))
    return 0 if all(entry["passed"] for entry in rows + scenarios) else 1


if __name__ == "__main__":
    sys.exit(main())
