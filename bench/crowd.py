"""Let a crowd watch: 400 viewers on the rung of a 64 kbit/s link, then 100 of whom one comes and one goes each second.

    .venv/bin/python -m bench.crowd [--viewers 400] [--seconds 60] [--minutes 30] [--only rung|churn]

The media process and the encoder that it starts are pinned to one core, everything else to the others. Prints what was
seen and writes bench/results/crowd.json (docs/fanout.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import psutil

from bench.crowd_churn import Churn, judge
from bench.crowd_film import CAMERA_CODEC, Film
from bench.fanout_ours import Ours
from bench.fanout_peer import Crowd
from bench.live_cpu import metrics_of
from bench.processcost import children, machine, spent

RESULTS = Path(__file__).resolve().parent / "results" / "crowd.json"
LINK_BPS = 64_000
SETTLE_S = 40
"""Joining costs a handshake each, and a rung is chosen when the link is known."""
JOINING_AT_ONCE = 8


def pin(pid: int, core: int) -> None:
    """Hold a process, its threads and its children on one core."""
    for one in (pid, *children(pid)):
        for thread in os.listdir(f"/proc/{one}/task"):
            os.sched_setaffinity(int(thread), {core})


async def fill(crowd: Crowd, server: Ours, viewers: int, link_bps: float) -> None:
    """Let so many join, a few at once."""
    gate = asyncio.Semaphore(JOINING_AT_ONCE)

    async def join() -> None:
        async with gate:
            await crowd.join(server.agree, link_bps)

    await asyncio.gather(*(join() for _ in range(viewers)))


async def on_the_rung(server: Ours, viewers: int, seconds: float, core: int) -> dict:
    """Measure many viewers whose arrivals are told as those of a link of LINK_BPS."""
    crowd = Crowd("127.0.0.1")
    try:
        await fill(crowd, server, viewers, LINK_BPS)
        await asyncio.sleep(SETTLE_S)
        pin(server.pid, core)
        counted = metrics_of((await server.door.ask("GET", "/metrics"))[1]["text"])
        before, packets, missing = spent(server.pid), crowd.packets, crowd.missing
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        await asyncio.sleep(seconds)
        passed_s = loop.time() - begin_s
        cost, packets = spent(server.pid) - before, crowd.packets - packets
        after = metrics_of((await server.door.ask("GET", "/metrics"))[1]["text"])
        dropped = {name: int(after[name] - counted.get(name, 0)) for name in after if "dropped" in name}
        return {
            "viewers": viewers,
            "seconds": round(passed_s, 1),
            "percent_of_the_core": round(cost.all_s / passed_s * 100, 1),
            "media_process_percent": round((cost.all_s - cost.children_s) / passed_s * 100, 1),
            "encoder_percent": round(cost.children_s / passed_s * 100, 1),
            "packets_per_s": round(packets / passed_s),
            "us_per_packet": round((cost.all_s - cost.children_s) / max(packets, 1) * 1e6, 2),
            "lost": crowd.missing - missing,
            "dropped": {name: count for name, count in dropped.items() if count},
            "rungs": await server.rungs(crowd.peers),
            "load_1m": round(psutil.getloadavg()[0], 1),
        }
    finally:
        for peer in list(crowd.peers):
            await server.leave(peer)
        await crowd.close()


async def run(options: argparse.Namespace) -> dict:
    """Run what is asked for and return the figures."""
    cores = sorted(os.sched_getaffinity(0))
    core = cores[-1]
    if len(cores) > 1:
        os.sched_setaffinity(0, set(cores[:-1]))
    told: dict = {"machine": machine(), "core": core}
    film = Film(CAMERA_CODEC)
    os.environ["TROPA_MAX_VIEWERS"] = str(options.viewers + 200)
    with tempfile.TemporaryDirectory() as folder:
        async with Ours(Path(folder), options.port, "127.0.0.1") as server:
            pin(server.pid, core)
            film.begin(server.send)
            await server.open(film, CAMERA_CODEC)
            try:
                if options.only != "churn":
                    told["rung"] = await on_the_rung(server, options.viewers, options.seconds, core)
                    print(json.dumps(told["rung"], indent=1), flush=True)
                if options.only != "rung":
                    churn = Churn(server, lambda: pin(server.pid, core))
                    await churn.run(options.minutes)
                    told["churn"] = {"judgement": judge(churn.samples), "samples": [asdict(s) for s in churn.samples]}
                    print(json.dumps(told["churn"]["judgement"], indent=1), flush=True)
            finally:
                await film.close()
    return told


def main() -> int:
    """Measure, print, keep; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--viewers", type=int, default=400)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--minutes", type=float, default=30, help="of coming and going")
    options.add_argument(
        "--only", choices=("rung", "churn"), default="", help="one of the two; the other's stay as kept"
    )
    options.add_argument("--port", type=int, default=31030)
    given = options.parse_args()
    told = asyncio.run(run(given))
    kept = json.loads(RESULTS.read_text()) if given.only and RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**kept, **told}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
