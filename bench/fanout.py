"""Measure what one packet to one viewer costs: our media process, aiortc's own sender and Janus, under the same load.

    .venv/bin/python -m bench.fanout [--viewers 100] [--seconds 30] [--only ours] [--profile]

Prints a table and writes bench/results/fanout.json and fanout.svg (docs/fanout.md).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from bench.fanout_aiortc import Aiortc
from bench.fanout_chart import draw
from bench.fanout_janus import Janus, NoJanus
from bench.fanout_load import LOADS, Load, Source
from bench.fanout_ours import Ours
from bench.fanout_peer import Crowd
from bench.processcost import machine, resident_bytes, spent

RESULTS = Path(__file__).resolve().parent / "results"
SERVERS = (Ours, Aiortc, Janus)
FIRST_VIEWER_S = 5
SETTLE_S = 15
AIORTC_VIEWERS = 20
"""aiortc spends so much on a packet that a hundred viewers would not fit into a core."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server under one load: processor time per packet that reached a viewer; `forwarding` is the main thread's."""

    server: str
    load: str
    viewers: int
    seconds: float
    us_per_packet: float
    forwarding_us_per_packet: float
    percent_of_a_core: float
    packets_per_s: float
    expected_packets_per_s: float
    kbps_per_viewer: float
    never_came: int
    memory_kb_per_viewer: float
    rungs: dict[str, int]
    load_1m: float


def own_address() -> str:
    """Return an IPv4 address of this machine other than loopback, which Janus and aiortc never offer.

    Packets to it stay on the loopback device all the same. Raises RuntimeError.
    """
    for name, entries in psutil.net_if_addrs().items():
        for entry in entries:
            if entry.family == socket.AF_INET and not entry.address.startswith("127.") and name != "lo":
                return entry.address
    raise RuntimeError("this machine has no IPv4 address but loopback, and neither Janus nor aiortc offers that one")


async def measure(kind: type, load: Load, viewers: int, seconds: float, folder: Path, port: int) -> Row:
    """Run one server under one load."""
    ip = own_address()
    async with kind(folder / f"{kind.name}-{load.voice_ms}", port, "127.0.0.1" if kind is Ours else ip) as server:
        loop = asyncio.get_running_loop()
        source = Source(load, server.send)
        crowd = Crowd("127.0.0.1" if kind is Ours else ip)
        try:
            await server.open(source)
            await asyncio.sleep(0.5)
            await crowd.join(server.agree)
            await asyncio.sleep(FIRST_VIEWER_S)
            alone = resident_bytes(server.pid)
            for _ in range(viewers - 1):
                await crowd.join(server.agree)
            await asyncio.sleep(SETTLE_S)
            before, packets, size, missing = spent(server.pid), crowd.packets, crowd.bytes, crowd.missing
            begin_s = loop.time()
            await asyncio.sleep(seconds)
            passed_s = loop.time() - begin_s
            cost, packets, size = spent(server.pid) - before, crowd.packets - packets, crowd.bytes - size
            together = resident_bytes(server.pid)
            rungs = await server.rungs(crowd.peers) if kind is Ours else {}
            return Row(
                server=kind.name,
                load=load.name,
                viewers=viewers,
                seconds=round(passed_s, 1),
                us_per_packet=round(cost.all_s / max(packets, 1) * 1e6, 2),
                forwarding_us_per_packet=round(cost.main_s / max(packets, 1) * 1e6, 2),
                percent_of_a_core=round(cost.all_s / passed_s * 100, 1),
                packets_per_s=round(packets / passed_s),
                expected_packets_per_s=round(load.packets_per_s * viewers),
                kbps_per_viewer=round(size * 8 / 1000 / passed_s / viewers, 1),
                never_came=crowd.missing - missing,
                memory_kb_per_viewer=round((together - alone) / 1024 / max(viewers - 1, 1)),
                rungs=rungs,
                load_1m=round(psutil.getloadavg()[0], 1),
            )
        finally:
            await source.close()
            await crowd.close()


async def run(options: argparse.Namespace) -> list[Row]:
    """Measure what is asked for, one after the other, and print each row."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for load in LOADS[: options.loads]:
            print(f"\n{load.name}: {load.packets_per_s:.1f} packets/s, {load.kbps:.0f} kbit/s")
            for kind in SERVERS:
                if options.only in ("", kind.name):
                    viewers = min(options.viewers, AIORTC_VIEWERS) if kind is Aiortc else options.viewers
                    rows.append(await measure(kind, load, viewers, options.seconds, Path(folder), options.port))
                    show(rows[-1])
    return rows


def show(row: Row) -> None:
    """Print one row."""
    print(
        f"  {row.server:7} {row.viewers:4} viewers  {row.us_per_packet:7.2f} us a packet "
        f"({row.forwarding_us_per_packet:.2f} in the first thread)  {row.percent_of_a_core:5.1f} % of a core  "
        f"{row.packets_per_s:6} packets/s of {row.expected_packets_per_s}  {row.kbps_per_viewer:6.1f} kbit/s each  "
        f"{row.memory_kb_per_viewer} KB a viewer  lost {row.never_came}  {row.rungs or ''}",
        flush=True,
    )


def report(rows: list[Row]) -> dict:
    """Put the first load's figures in front, all rows behind them."""
    first = {row.server: row for row in rows if row.load == LOADS[0].name}
    return {
        **{f"{name}_us_per_packet": row.us_per_packet for name, row in first.items()},
        "janus_times_ours": round(first["janus"].us_per_packet / first["ours"].us_per_packet, 2),
        "viewers": first["ours"].viewers,
        "memory_kb_per_viewer": first["ours"].memory_kb_per_viewer,
        "machine": machine(),
        "rows": [asdict(row) for row in rows],
    }


def main() -> int:
    """Measure, print, keep; return the exit status."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--viewers", type=int, default=100)
    options.add_argument("--seconds", type=float, default=30)
    options.add_argument("--loads", type=int, default=len(LOADS), help="how many of the loads")
    options.add_argument(
        "--only", choices=[kind.name for kind in SERVERS], default="", help="one server; keeps nothing"
    )
    options.add_argument("--port", type=int, default=31010, help="the first of four UDP ports")
    given = options.parse_args()
    try:
        rows = asyncio.run(run(given))
    except (NoJanus, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    if given.only:
        return 0
    told = report(rows)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "fanout.json").write_text(json.dumps(told, indent=1) + "\n")
    (RESULTS / "fanout.svg").write_text(draw([(row.load, row.server, row.us_per_packet) for row in rows]))
    print(f"\nJanus takes {told['janus_times_ours']} times as much as ours; {told['machine']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
