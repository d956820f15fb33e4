"""Pure: turn what a page noted and what the link reported into figures for one stretch of time.

Samples are as bench/slowlink_probe.js makes them (`at` in Unix milliseconds), reports as bench/linkemu prints them
(`at` in Unix seconds). A page that connects anew has samples of several peers, whose counters each begin at 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from bench.slowlink_rows import Figures

Samples = Sequence[dict]


def between(samples: Samples, from_s: float, to_s: float) -> list[dict]:
    """Return the samples of a stretch (Unix seconds)."""
    return [sample for sample in samples if from_s * 1000 <= sample["at"] <= to_s * 1000]


def growth(samples: Samples, part: str, name: str) -> float:
    """Return how much a counter grew over the samples; a new peer starts again from 0."""
    return sum(step for _at, step in _steps(samples, part, name))


def _steps(samples: Samples, part: str, name: str) -> Iterator[tuple[int, float]]:
    """Yield (at, growth) between neighbours."""
    for before, after in pairwise(samples):
        start = before.get(part, {}).get(name, 0) if before["peer"] == after["peer"] else 0
        yield after["at"], max(0.0, after.get(part, {}).get(name, start) - start)


def concealed_percent(samples: Samples) -> tuple[float, float]:
    """Return how much of the voice was invented, and how much was silence put in for what did not come."""
    total, concealed, silent = (growth(samples, "audio", name) for name in ("total", "concealed", "silent"))
    if total == 0:
        return 100.0, 0.0
    return 100 * (concealed - silent) / total, 100 * silent / total


def voice_holes(samples: Samples) -> list[tuple[float, float]]:
    """Return the stretches (Unix seconds) in which no voice left the jitter buffer."""
    holes: list[tuple[float, float]] = []
    for (before, _after), (at, step) in zip(pairwise(samples), _steps(samples, "audio", "emitted"), strict=True):
        if step > 0:
            continue
        start_s = before["at"] / 1000
        if holes and holes[-1][1] == start_s:
            start_s = holes.pop()[0]
        holes.append((start_s, at / 1000))
    return holes


def longest_gap_s(frames_ms: Sequence[int], from_s: float, to_s: float) -> float:
    """Return the longest time without a new frame on the screen, the ends of the stretch included."""
    shown = [at / 1000 for at in frames_ms if from_s * 1000 <= at <= to_s * 1000]
    return max(after - before for before, after in pairwise([from_s, *shown, to_s]))


def rate_kbps(reports: Sequence[dict], way: str, from_s: float, to_s: float) -> float:
    """Return what a link delivered at IP level."""
    inside = [report for report in reports if from_s <= report["at"] <= to_s]
    if len(inside) < 2:
        return 0.0
    grown = inside[-1][way]["delivered_bytes"] - inside[0][way]["delivered_bytes"]
    return grown * 8 / 1000 / (inside[-1]["at"] - inside[0]["at"])


def queue_peak_s(reports: Sequence[dict], from_s: float, to_s: float, way: str = "down") -> float:
    """Return the longest wait in front of the link."""
    return max((r[way]["queue_peak_s"] for r in reports if from_s <= r["at"] <= to_s), default=0.0)


def _counted(reports: Sequence[dict], name: str, from_s: float, to_s: float) -> int:
    inside = [report["down"][name] for report in reports if from_s <= report["at"] <= to_s]
    return inside[-1] - inside[0] if inside else 0


def measure(noted: dict, host: dict, reports: Sequence[dict], from_s: float, to_s: float) -> Figures:
    """Return the figures of a viewer's page between two moments; `noted` and `host` are what the pages hold."""
    inside, sent = between(noted["samples"], from_s, to_s), between(host["samples"], from_s, to_s)
    lasted_s = (inside[-1]["at"] - inside[0]["at"]) / 1000 if len(inside) > 1 else to_s - from_s
    sent_s = (sent[-1]["at"] - sent[0]["at"]) / 1000 if len(sent) > 1 else to_s - from_s
    concealed, silent = concealed_percent(inside)
    holes = voice_holes(inside) if len(inside) > 1 else [(from_s, to_s)]
    last = inside[-1] if inside else {}
    video, post = last.get("video", {}), noted["posts"][0]
    emitted = growth(inside, "audio", "emitted")
    sent_bytes = growth(sent, "sent_video", "bytes") + growth(sent, "sent_audio", "bytes")

    def kbps(part: str) -> float:
        return growth(inside, part, "bytes") * 8 / 1000 / lasted_s

    return Figures(
        heard_s=None if noted["voiceAt"] is None else (noted["voiceAt"] - post["at"]) / 1000,
        concealed_percent=round(concealed, 3),
        silent_percent=round(silent, 3),
        voice_hole_s=round(max((end - start for start, end in holes), default=0.0), 2),
        fps=round(growth(inside, "video", "decoded") / lasted_s, 2),
        longest_gap_s=round(longest_gap_s(noted["frames"], from_s, to_s), 2),
        width=video.get("width", 0),
        height=video.get("height", 0),
        freezes=int(growth(inside, "video", "freezes")),
        frozen_s=round(growth(inside, "video", "frozen"), 2),
        keyframes=int(growth(inside, "video", "keyframes")),
        voice_kbps=round(kbps("audio"), 1),
        picture_kbps=round(kbps("video"), 1),
        used_kbps=round(rate_kbps(reports, "down", from_s, to_s), 1),
        up_kbps=round(rate_kbps(reports, "up", from_s, to_s), 1),
        host_kbps=round(sent_bytes * 8 / 1000 / sent_s, 1),
        host_fps=round(growth(sent, "sent_video", "frames") / sent_s, 2),
        queue_ms=round(queue_peak_s(reports, from_s, to_s) * 1000, 1),
        dropped=_counted(reports, "dropped", from_s, to_s),
        lost=_counted(reports, "lost", from_s, to_s),
        voice_buffer_ms=round(1000 * growth(inside, "audio", "delay") / emitted, 1) if emitted else 0.0,
        answered_s=None if post["answeredAt"] is None else (post["answeredAt"] - post["at"]) / 1000,
        status=post["status"],
        offer_bytes=post["bytes"],
        codec=last.get("video_codec", "").removeprefix("video/"),
        protocol=last.get("protocol", ""),
    )
