"""Measure what recording costs (processor time per second of lesson), and send damaged packets through the parsers.

    .venv/bin/python -m bench.recorder [--seconds 10] [--damaged 1000000]

Prints a table and writes bench/results/recorder.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from pathlib import Path

from media import rtcp
from media.payload import Depacketizer
from media.payload.video import CODECS
from media.recorder import Recorder
from media.rtp import MalformedPacket, RtpPacket, parse_rtp, serialize_rtp
from tests.media.mutation import mutate
from tests.slow.rtp_source import Capture, capture

PORT = 21180
RESULTS = Path(__file__).parent / "results" / "recorder.json"


def recording_cost(codec: str | None, made: Capture) -> dict:
    """Record a capture as fast as it goes; the processor time is that of loop and writer thread together."""
    first_s, last_s = made.packets[0][2], made.packets[-1][2]
    with tempfile.TemporaryDirectory() as folder:
        cpu_s = time.process_time()
        recorder = Recorder(Path(folder), "bench", "bench", first_s, 8)
        recorder.host_connected(codec, True, first_s)
        for kind, packet, arrival_s in made.packets:
            recorder.on_rtp(kind, packet, arrival_s)
        recorder.seal("ended", last_s).result(60)
        spent_s = time.process_time() - cpu_s
        seconds = recorder.status()["seconds"]
    return {
        "codec": codec or "voice alone",
        "packets": len(made.packets),
        "kbps": round(sum(len(one.payload) for _, one, _ in made.packets) * 8 / seconds / 1000),
        "cpu_ms_per_second": round(spent_s / seconds * 1000, 2),
    }


def damage(count: int, made: dict[str, Capture]) -> list[dict]:
    """Send damaged packets through every parser; anything but a refusal ends the bench with its traceback."""
    rng = random.Random(1)
    video = {codec: [one for kind, one, _ in made[codec].packets if kind == "video"][:200] for codec in CODECS}
    rtp_seeds = [serialize_rtp(one) for one in video["VP8"]]
    rtcp_seeds = [rtcp.serialize(one) for _, one, _ in made["VP8"].reports]
    rtcp_seeds += [rtcp.serialize(rtcp.Nack(1, 2, tuple(range(0, 90, 7)))), rtcp.serialize(rtcp.Remb(1, 99999, (2, 3)))]
    rows = [
        _damage("RTP", count, rng, rtp_seeds, parse_rtp),
        _damage("RTCP", count, rng, rtcp_seeds, rtcp.parse_compound),
    ]
    for codec in CODECS:
        depacketizer = Depacketizer(codec)
        numbers = iter(range(count))

        def push(data: bytes, depacketizer: Depacketizer = depacketizer, numbers=numbers) -> None:
            number = next(numbers)
            depacketizer.push(number, RtpPacket(96, number & 0xFFFF, number // 3, 1, data, number % 3 == 2))

        rows.append(_damage(codec, count, rng, [one.payload for one in video[codec]], push))
    return rows


def _damage(name: str, count: int, rng: random.Random, seeds: list[bytes], parse) -> dict:
    refused, longest_s = 0, 0.0
    for _ in range(count):
        data = mutate(rng, rng.choice(seeds))
        begin_s = time.thread_time()
        try:
            parse(data)
        except MalformedPacket:
            refused += 1
        longest_s = max(longest_s, time.thread_time() - begin_s)
    return {"parser": name, "inputs": count, "refused": refused, "longest_cpu_ms": round(longest_s * 1000, 2)}


def _table(rows: list[dict]) -> None:
    print("  ".join(f"{name:>18}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{value!s:>18}" for value in row.values()))


def main() -> None:
    """Capture, measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--damaged", type=int, default=1_000_000)
    given = options.parse_args()
    made = {codec: capture(codec, given.seconds, PORT) for codec in (*CODECS, None)}
    cost = [recording_cost(codec, one) for codec, one in made.items()]
    _table(cost)
    damaged = damage(given.damaged, made)
    _table(damaged)
    machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "recording": cost, "damaged": damaged}, indent=1) + "\n")


if __name__ == "__main__":
    main()
