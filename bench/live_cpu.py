"""Measure what forwarding costs: one host at 300 kbit/s, ten aiortc viewers, all on one UDP port.

Run `python -m bench.live_cpu [viewers] [seconds]`. Prints the share of a core that the media process took (its own CPU
time, recording included), what it sent, and how many frames it decoded; writes bench/results/live_cpu.json.
"""

from __future__ import annotations

import asyncio
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import imageio_ffmpeg
import psutil

from tests.slow.mediadoor import MediaDoor
from tests.slow.stack import free_port
from tests.slow.test_media_forward import Watcher, until

RESULTS = Path(__file__).resolve().parent / "results" / "live_cpu.json"


def make_clip(path: Path, seconds: int) -> None:
    """Encode a moving test picture at about 276 kbit/s with a voice-like tone at 24, before anything is measured."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    source = ["-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={seconds}"]
    source += ["-f", "lavfi", "-i", f"sine=frequency=300:sample_rate=48000:duration={seconds}"]
    video = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "250"]
    rate = ["-b:v", "276k", "-minrate", "276k", "-maxrate", "276k", "-bufsize", "276k", "-x264-params", "nal-hrd=cbr"]
    subprocess.run(
        [
            binary,
            "-loglevel",
            "error",
            "-y",
            *source,
            *video,
            *rate,
            "-c:a",
            "libopus",
            "-ac",
            "2",
            "-b:a",
            "24k",
            str(path),
        ],
        check=True,
    )


def metrics_of(text: str) -> dict[str, float]:
    """Read the exposition format's plain samples."""
    rows = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in rows}


async def measure(viewers: int, seconds: int) -> dict:
    """Run the lesson and return the figures."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mkv"
        make_clip(clip, seconds + 20)
        async with MediaDoor(Path(folder) / "data", free_port()) as door:
            quiet = (
                "-hide_banner",
                "-nostdin",
                "-loglevel",
                "error",
                "-re",
                "-i",
                str(clip),
                "-map",
                "0",
                "-c",
                "copy",
            )
            host = await asyncio.create_subprocess_exec(
                imageio_ffmpeg.get_ffmpeg_exe(), *quiet, "-f", "whip", f"{door.url}/whip/bench"
            )

            async def live() -> bool:
                return (await door.ask("GET", "/rooms/bench"))[1].get("state") == "live"

            await until(live, "the lesson is live")
            watchers = [Watcher() for _ in range(viewers)]
            for index, watcher in enumerate(watchers):
                await watcher.watch(f"{door.url}/whep/bench", f"guest:{index}")
            await asyncio.sleep(8)
            process = psutil.Process(door.process.pid)
            before, started_s = metrics_of((await door.ask("GET", "/metrics"))[1]["text"]), time.monotonic()
            cpu_before = process.cpu_times()
            await asyncio.sleep(seconds)
            cpu_after, passed_s = process.cpu_times(), time.monotonic() - started_s
            after = metrics_of((await door.ask("GET", "/metrics"))[1]["text"])
            state = (await door.ask("GET", "/rooms/bench"))[1]
            for watcher in watchers:
                await watcher.close()
            host.terminate()
            await host.wait()
    cpu_s = cpu_after.user + cpu_after.system - cpu_before.user - cpu_before.system
    sent = after["tropa_media_packets_sent_total"] - before["tropa_media_packets_sent_total"]
    sent_bytes = after["tropa_media_bytes_sent_total"] - before["tropa_media_bytes_sent_total"]
    return {
        "viewers": state["viewers"],
        "seconds": round(passed_s, 1),
        "host_kbps": state["host"]["kbps"],
        "percent_of_a_core": round(100 * cpu_s / passed_s, 2),
        "us_per_packet_sent_all_included": round(1e6 * cpu_s / sent, 1),
        "packets_per_s": round(sent / passed_s, 1),
        "kbps_per_viewer": round(sent_bytes * 8 / 1000 / passed_s / viewers, 1),
        "frames_decoded": int(after["tropa_media_frames_decoded_total"]),
        "sessions_on_one_port": int(after["tropa_media_sessions"]),
        "load_1m": round(psutil.getloadavg()[0], 1),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores",
    }


def main() -> None:
    """Measure, print, keep."""
    viewers = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    result = asyncio.run(measure(viewers, seconds))
    for name, value in result.items():
        print(f"{name:36} {value}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
