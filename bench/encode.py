"""Compare our small videos with those of Kolibri, openZIM, PeerTube and Opencast: bytes, VMAF and speed in one run.

python -m bench.encode [--media FOLDER] [--only webcam,slides] [--peers kolibri]

For each clip: every peer's preset; ours at the source's frame rate with at least Kolibri's VMAF (`ratio_to_kolibri`:
our bytes by Kolibri's, sound included); ours as a lesson gets it by itself. VMAF is that of whole clips against their
source at 854x480, each at the frame rate of its row. Writes bench/results/encode.json and encode.svg; with --only, what
is there of other clips stays.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from bench import encode_chart, encode_ours
from bench.encode_clips import Clip, clips
from bench.encode_ours import REFERENCE, Known, Made
from bench.encode_peers import PEERS, Peer, encode
from bench.processcost import machine
from rules.pictureplan import Wanted
from workers import samples

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results"
MEDIA = ROOT.parent / "shared/media"
LESSON_S = 45 * 60
# Peers change nothing about the frame rate but Opencast, which goes up to 25: compared at the source's, at most this.
MAX_FPS = 30.0


def main() -> int:
    """Run the bench and keep its results."""
    options = _options()
    wanted = [peer for peer in PEERS if not options.peers or peer.name in options.peers]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found, given = clips(options.media, folder, options.only)
        if not given:
            print(f"no clips in {options.media}: this run makes its own, whose figures say little about lessons")
        told: dict = {"ratio_to_kolibri": {}, "load_before": {}, "clips": {}}
        before = options.results / "encode.json"
        if options.only and before.exists():
            told |= json.loads(before.read_text("utf-8"))
        told |= {"machine": machine(), "media": "given" if given else "made"}
        for clip in found:
            print(f"{clip.name}: {clip.line.duration_s:.0f} s, {clip.line.width}x{clip.line.height}", flush=True)
            told["load_before"][clip.name] = [round(load, 2) for load in os.getloadavg()]
            rows = _clip(clip, wanted, folder)
            told["clips"][clip.name] = rows
            if "kolibri" in rows and "tropa" in rows:
                told["ratio_to_kolibri"][clip.name] = round(rows["tropa"]["bytes"] / rows["kolibri"]["bytes"], 3)
            _keep(told, options.results)
    print("ours / Kolibri's bytes at Kolibri's VMAF or better:", told["ratio_to_kolibri"])
    print(f"wrote {options.results / 'encode.json'} and encode.svg")
    return 0


def _clip(clip: Clip, peers: list[Peer], folder: Path) -> dict[str, dict]:
    """Measure every preset on one clip."""
    fps = min(MAX_FPS, clip.line.fps)
    rows: dict[str, dict] = {}
    for peer in peers:
        path, seconds = encode(peer, clip.path, folder, clip.line.width / clip.line.height, fps)
        vmaf = samples.vmaf(path, clip.path, fps, REFERENCE, folder, time.monotonic)
        rows[peer.name] = _row(clip, path, vmaf, fps, seconds) | {"preset_of": peer.source}
        _print(peer.name, rows[peer.name])
    known = encode_ours.know(clip, folder)
    if "kolibri" in rows:
        rows["tropa"] = _ours(clip, known, encode_ours.reach(clip, known, rows["kolibri"]["vmaf"], fps, folder))
        _print("tropa", rows["tropa"])
    rows["tropa-default"] = _ours(clip, known, encode_ours.make(clip, known, Wanted(), folder))
    _print("tropa-default", rows["tropa-default"])
    return rows


def _row(clip: Clip, path: Path, vmaf: float, fps: float, seconds: float) -> dict:
    size, length_s = path.stat().st_size, clip.line.duration_s
    return {
        "bytes": size,
        "kbps": round(size * 8 / length_s / 1000, 2),
        "vmaf": round(vmaf, 2),
        "fps": fps,
        "encode_s": round(seconds, 2),
        "times_real_time": round(length_s / seconds, 2),
        "bytes_of_45_min": round(size / length_s * LESSON_S),
    }


def _ours(clip: Clip, known: Known, made: Made) -> dict:
    picture = made.plan.picture
    return _row(clip, made.path, made.vmaf, picture.fps, made.encode_s) | {
        "content": made.plan.content.value,
        "picture": f"{picture.width}x{picture.height}",
        "crf": picture.crf,
        "preset": picture.preset,
        "predicted_vmaf": made.plan.predicted_vmaf,
        "predicted_bytes": made.plan.predicted_bytes,
        "look_and_listen_s": round(known.seconds, 2),
        "plan_s": round(made.plan_s, 2),
    }


def _print(name: str, row: dict) -> None:
    print(
        f"  {name:14} {row['kbps']:8.1f} kbit/s  VMAF {row['vmaf']:5.1f} at {row['fps']:4.1f} frames/s "
        f" {row['times_real_time']:5.1f} x real time  45 min: {row['bytes_of_45_min'] / 1e6:6.1f} MB",
        flush=True,
    )


def _keep(told: dict, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encode.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    rows = [
        (clip, preset, row["kbps"], row["vmaf"])
        for clip, found in told["clips"].items()
        for preset, row in found.items()
    ]
    (folder / "encode.svg").write_text(encode_chart.draw(rows), "utf-8")


def _options() -> argparse.Namespace:
    def names(said: str) -> tuple[str, ...]:
        return tuple(said.split(",")) if said else ()

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--media", type=Path, default=MEDIA, help="folder of clips")
    parser.add_argument("--only", type=names, default=(), help="clips to measure, with commas between; all")
    parser.add_argument("--peers", type=names, default=(), help="peers to measure, with commas between; all")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for encode.json and encode.svg")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
