"""Measure how long the watch page takes over a slow link until it asks for the lesson: cold, warm, and what it fetched.

    .venv/bin/python -m bench.watchpage [--rate 24] [--rtt 600] [--queue 400] [--runs 3]

Cold is a browser that was never here, warm the same once more. Prints a line a visit and what the first one fetched,
and writes a JSON file when asked for with --out.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import BrowserContext, sync_playwright

from bench import linkspace
from bench.linkspace import SERVER_IP, Seat
from bench.slowlink_stage import MEDIA_PORT, ORIGIN, PROBE, WEB_PORT
from tests.slow import chromium, livestage
from tests.slow.stack import Stack, wait_until

FETCHED = """JSON.stringify(performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource"))
  .map((e) => [e.name, e.initiatorType, e.startTime, e.requestStart, e.responseStart, e.responseEnd, e.transferSize])
  .map((row) => row.map((cell) => (typeof cell === "number" ? Math.round(cell) : cell))))"""
PATIENCE_S = 120


def main() -> int:
    """Return 2 where the machine cannot emulate links."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--rate", type=float, default=24.0, help="kbit/s, each way")
    parser.add_argument("--rtt", type=float, default=600.0, help="ms")
    parser.add_argument("--queue", type=float, default=400.0, help="ms that a packet may wait in front of the link")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, help="the file that the results go to")
    given = parser.parse_args()
    try:
        linkspace.enter("bench.watchpage", sys.argv[1:])
    except linkspace.NoNamespaces as error:
        print(f"bench.watchpage: {error}", file=sys.stderr)
        return 2
    extra = {
        **{"TROPA_HOST": "0.0.0.0", "TROPA_PUBLIC_IP": SERVER_IP, "TROPA_PUBLIC_URL": ORIGIN},
        **{"TROPA_PORT": str(WEB_PORT), "TROPA_MEDIA_PORT": str(MEDIA_PORT), "TROPA_STOP_WITH_PARENT": "1"},
    }
    runs = []
    with tempfile.TemporaryDirectory(prefix="tropa-bench-") as folder:
        data = Path(folder) / "service"
        data.mkdir()
        with Stack(extra, data=data) as stack:
            link = livestage.book_lesson(stack).links[0].replace("127.0.0.1", SERVER_IP)
            for run in range(given.runs):
                runs.append(_run(Path(folder), link, run, given))
    if given.out:
        machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
        options = {"rate_kbps": given.rate, "rtt_ms": given.rtt, "queue_ms": given.queue}
        given.out.write_text(json.dumps({"machine": machine, "options": options, "runs": runs}, indent=1) + "\n")
    return 0


def _run(folder: Path, link: str, run: int, given: argparse.Namespace) -> dict:
    words = f"rate={given.rate:g},delay={given.rtt / 2:g},queue={given.queue:g}"
    with Seat(run + 1, words, words, seed=run + 1) as seat, sync_playwright() as playwright:
        program = next(path for name in chromium.NAMES if (path := shutil.which(name)))
        browser = playwright.chromium.launch(
            executable_path=seat.wrapper(folder, program),
            args=[*chromium.ARGS, f"--unsafely-treat-insecure-origin-as-secure={ORIGIN}"],
        )
        context = browser.new_context()
        context.add_init_script(PROBE)
        visits = {}
        for name in ("cold", "warm"):
            visits[name] = _visit(context, seat, link)
            print(f"run {run + 1} {name}: asked after {visits[name]['asked_s']} s, {visits[name]['kb']} KB", flush=True)
            if run == 0:
                for row in visits[name]["fetched"]:
                    print("   ", *row)
        browser.close()
    return visits


def _visit(context: BrowserContext, seat: Seat, link: str) -> dict:
    """Open the page in a new tab and wait until it has asked for the lesson and the link is quiet."""
    page = context.new_page()
    before = _delivered(seat)
    opened_s = time.time()
    page.goto(link, wait_until="commit", timeout=PATIENCE_S * 1000)
    asked_s = wait_until(lambda: page.evaluate("bench.posts[0]?.at"), PATIENCE_S, "a WHEP request") / 1000 - opened_s
    bytes_until_asked = _delivered(seat) - before
    page.wait_for_timeout(3000)
    rows = json.loads(page.evaluate(FETCHED))
    fetched = [[row[0].replace(ORIGIN, "")[:60], *row[1:]] for row in rows]
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
    page.goto("about:blank")
    page.close()
    time.sleep(3)
    return {
        "asked_s": round(asked_s, 2),
        "kb": round(bytes_until_asked / 1024, 1),
        "painted_s": None if painted is None else round(painted / 1000, 2),
        "fetched": fetched,
    }


def _delivered(seat: Seat) -> int:
    assert seat.link is not None
    return seat.link.reports[-1]["down"]["delivered_bytes"] if seat.link.reports else 0


if __name__ == "__main__":
    sys.exit(main())
