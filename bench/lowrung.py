"""Measure what low rungs cost (per cent of a core) and how they hold their rates over two seconds.

Frame sizes are of coded frames, without RTP and its headers.

    .venv/bin/python -m bench.lowrung [--seconds 30]

Reads ../shared/media where it is present, else draws a picture of its own. Prints tables and writes
bench/results/lowrung.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from pathlib import Path

import av

from media.lowrung.client import LowRungs
from media.lowrung.rungs import SPECS, Rung
from media.lowrung.streams import MovingStream, StillStream
from tests.slow.lowrunghost import FPS, SIZE, Camera, Viewer, film, picture, voice

RESULTS = Path(__file__).parent / "results" / "lowrung.json"
MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"
CLIPS = {
    "webcam": "simpl-webcam-pair-720p.webm",
    "whiteboard": "simpl-whiteboard-meeting-720p.webm",
    "slides": "swc-slides-narration-155s.mkv",
}
KEYFRAME_EACH_S = 8
WINDOW_S = 2
CASES = [(Rung.LOW, None), (Rung.MIDDLE, 60_000), (Rung.MIDDLE, None), (Rung.MIDDLE, 200_000)]


def pictures(clip: str, seconds: float) -> list[av.VideoFrame]:
    """Return pictures of 640x360 (or what keeps the aspect ratio) at 15 a second."""
    path = MEDIA / CLIPS.get(clip, "")
    if clip not in CLIPS or not path.is_file():
        return [picture(number, SIZE) for number in range(int(seconds * FPS))]
    found: list[av.VideoFrame] = []
    with av.open(str(path)) as container:
        height = 360
        for frame in container.decode(video=0):
            if frame.time * FPS >= len(found):
                width = round(frame.width * height / frame.height / 2) * 2
                found.append(frame.reformat(width, height, "yuv420p"))
            if len(found) >= seconds * FPS:
                break
    return found


def moving(clip: str, shots: list[av.VideoFrame], rung: Rung, codec: str, rate_bps: int) -> dict:
    """Encode one moving rung with a forced keyframe each few seconds."""
    stream, sent = MovingStream(rung, codec, rate_bps), []
    cpu_s = time.process_time()
    for number, shot in enumerate(shots):
        if number and number % (KEYFRAME_EACH_S * FPS) == 0:
            stream.forced = True
        timestamp = number * 90_000 // FPS
        if stream.wants(timestamp):
            coded = stream.push(shot, timestamp)
            if coded is not None:
                sent.append((number / FPS, 8 * len(coded.data), coded.keyframe))
    cpu_s = time.process_time() - cpu_s
    stream.close()
    seconds = len(shots) / FPS
    windows = [sum(bits for at, bits, _ in sent if begin <= at < begin + WINDOW_S) for begin, _, _ in sent]
    return {
        **{"clip": clip, "rung": rung.name, "codec": codec, "kbps": rate_bps / 1000},
        "sent_kbps": round(sum(bits for _, bits, _ in sent) / seconds / 1000, 1),
        "worst_2s_kbps": round(max(windows) / WINDOW_S / 1000, 1),
        "longest_queue_s": round(_queue_s(sent, rate_bps), 2),
        "fps": round(len(sent) / seconds, 2),
        "first_keyframe_bytes": sent[0][1] // 8,
        "largest_keyframe_bytes": max(bits for _, bits, key in sent if key) // 8,
        "largest_other_bytes": max(bits for _, bits, key in sent if not key) // 8,
        "cpu_percent": round(cpu_s / seconds * 100, 2),
    }


def _queue_s(sent: list[tuple[float, int, bool]], rate_bps: int) -> float:
    """Return how long the last bit waits at worst on a link of just this rate."""
    level, last_s, worst = 0.0, 0.0, 0.0
    for at, bits, _ in sent:
        level = max(0.0, level - (at - last_s) * rate_bps) + bits
        last_s, worst = at, max(worst, level)
    return worst / rate_bps


def stills(clip: str, shots: list[av.VideoFrame], codec: str) -> dict:
    """Encode stills."""
    stream = StillStream(codec, SPECS[Rung.STILL].rate_bps)
    sizes = []
    cpu_s = time.process_time()
    for number, shot in enumerate(shots):
        if stream.wants(number * 90_000 // FPS):
            coded = stream.push(shot, number * 90_000 // FPS)
            sizes.append(len(coded.data) if coded is not None else None)
    cpu_s = time.process_time() - cpu_s
    return {
        **{"clip": clip, "rung": "STILL", "codec": codec, "bytes": sizes},
        "cpu_percent": round(cpu_s / (len(shots) / FPS) * 100, 2),
    }


async def child(host: str, rungs: list[tuple[Rung, str]], seconds: float) -> dict:
    """Let a real child work in real time for a host of 640x360 at 15 fps; its processor time includes decoding."""
    viewer, cameras = Viewer(), [Camera(host)]
    low = LowRungs(viewer.on_frame, viewer.on_voice, cameras[0].ask_keyframe)
    for rung, codec in rungs:
        low.start(rung, codec)
    await film(low, cameras[0], 5 * FPS)
    await asyncio.sleep(1)
    before_s = low.stats.cpu_s
    talking = asyncio.create_task(_talk(low, seconds))
    await film(low, cameras[0], int(seconds * FPS))
    await talking
    await asyncio.sleep(1.2)  # the last report
    spent_s = low.stats.cpu_s - before_s
    await low.close()
    cameras[0].close()
    return {
        **{"host": host, "rungs": "+".join(f"{rung.name}/{codec}" for rung, codec in rungs)},
        "frames": sum(map(len, viewer.frames.values())),
        "cpu_percent": round(spent_s / seconds * 100, 2),
    }


async def _talk(low: LowRungs, seconds: float) -> None:
    if not low.wants_voice:
        return
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    for timestamp, payload in voice(seconds, 60):
        await asyncio.sleep(max(0.0, begin_s + timestamp / 48_000 - loop.time()))
        low.voice(timestamp, payload)


def _table(rows: list[dict]) -> None:
    print("  ".join(f"{name:>12}" for name in rows[0]))
    for row in rows:
        print("  ".join(f"{value!s:>12}" for value in row.values()))


def main() -> None:
    """Measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=30)
    given = options.parse_args()
    av.logging.set_level(av.logging.FATAL)
    clips = [clip for clip, file in CLIPS.items() if (MEDIA / file).is_file()]
    if not clips:
        print(f"no clips in {MEDIA}: drawing a picture instead")
        clips = ["drawn"]
    rates, still_rows = [], []
    for clip in clips:
        shots = pictures(clip, given.seconds)
        for codec in ("AV1", "VP8"):
            rates += [moving(clip, shots, rung, codec, rate or SPECS[rung].rate_bps) for rung, rate in CASES]
            still_rows.append(stills(clip, shots, codec))
    _table(rates)
    _table(still_rows)
    both = [(Rung.LOW, "AV1"), (Rung.MIDDLE, "AV1")]
    trials = [
        *(("AV1", [one]) for one in both),
        ("AV1", both),
        ("AV1", [(rung, "VP8") for rung, _ in both]),
        ("VP8", both),
        ("H264", both),
        ("VP9", both),
        ("AV1", [*both, (Rung.STILL, "AV1"), (Rung.VOICE, "")]),
    ]
    whole = [asyncio.run(child(host, rungs, given.seconds)) for host, rungs in trials]
    _table(whole)
    machine = {"machine": platform.machine(), "python": platform.python_version(), "system": platform.system()}
    RESULTS.parent.mkdir(exist_ok=True)
    told = {"machine": machine, "child": whole, "rates": rates, "stills": still_rows}
    RESULTS.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
