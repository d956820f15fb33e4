"""Lessons on links that change, differ or break: each scenario runs a lesson of its own and has it judged."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bench.linkspace import Seat
from bench.slowlink_figures import measure
from bench.slowlink_judge import Change, judge_blocked, judge_change, judge_death, judge_neighbours, judge_uplink
from bench.slowlink_rows import SETTLE_S, Figures
from bench.slowlink_stage import LiveStage, Viewer

STEADY_S, LOW_S, HIGH_S = 20.0, 30.0, 30.0
DEEP_QUEUE_MS = 2000
"""Deep enough that a queue of 400 ms is the server's own moderation."""
ALONE_S = 20.0
DEATH_S, AFTER_DEATH_S = 5.0, 25.0
UPLINKS_KBPS = (128, 64)
DELAY = "delay=40"


def _until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.time()))


def _stage(data: Path, given: argparse.Namespace, host_link: tuple[str, str] = ("", "")) -> LiveStage:
    return LiveStage(data, host_page=given.host == "page", host_link=host_link)


def _result(said: str, failures: list[str], **facts: object) -> dict:
    return {"said": said, "passed": not failures, "failures": failures, **facts}


def change(data: Path, given: argparse.Namespace) -> dict:
    """Let the link fall from 512 to 64 kbit/s and rise again in mid-lesson."""
    with (
        _stage(data, given) as stage,
        Seat(stage.place(), f"rate=512,{DELAY},queue={DEEP_QUEUE_MS}", f"rate=64,{DELAY}") as seat,
    ):
        viewer = stage.viewer(seat, page=given.viewer == "page")
        begin_s = viewer.joined_s + SETTLE_S
        at = Change(begin_s, begin_s + STEADY_S, begin_s + STEADY_S + LOW_S, begin_s + STEADY_S + LOW_S + HIGH_S)
        _until(at.drop_s)
        seat.link.change(down="rate=64")
        _until(at.rise_s)
        seat.link.change(down="rate=512")
        _until(at.end_s + 1)
        noted = viewer.notes()
        viewer.close()
        facts, failures = judge_change(noted["samples"], seat.link.reports, at)
    said = (
        f"512 → 64 → 512: voice concealed {facts['concealed_percent']} %, {facts['concealed_low_percent']} % in the low"
        f" stretch at {facts['fps_low']} fps, {facts['fps_after']} fps after it, queue {facts['queue_ms']} ms"
        f" ({facts['queue_drop_ms']} at the drop)."
    )
    return _result(said, failures, scenario="B2", **facts)


def neighbours(data: Path, given: argparse.Namespace) -> dict:
    """Let a viewer on 64 kbit/s join one on 1000."""
    slow_words = f"rate=64,{DELAY},queue={given.queue:g}"
    with (
        _stage(data, given) as stage,
        Seat(stage.place(), f"rate=1000,{DELAY},queue={given.queue:g}", f"rate=1000,{DELAY}") as wide,
        Seat(stage.place(), slow_words, slow_words) as narrow,
    ):
        fast = stage.viewer(wide, page=given.viewer == "page")
        alone_s = fast.joined_s + SETTLE_S
        _until(alone_s + ALONE_S)
        slow = stage.viewer(narrow, page=given.viewer == "page", place=1)
        from_s = slow.joined_s + SETTLE_S
        to_s = from_s + given.seconds
        _until(to_s + 1)
        host = stage.host_notes()
        alone = measure(fast.notes(), host, wide.link.reports, alone_s, alone_s + ALONE_S)
        beside = measure(fast.notes(), host, wide.link.reports, from_s, to_s)
        other = measure(slow.notes(), host, narrow.link.reports, from_s, to_s)
        fast.close()
        slow.close()
    said = (
        f"1000 kbit/s alone {alone.fps} fps, {alone.picture_kbps} kbit/s; beside 64: {beside.fps} fps,"
        f" {beside.picture_kbps} kbit/s, voice concealed {beside.concealed_percent} %; host {alone.host_kbps} → "
        f"{beside.host_kbps} kbit/s; the slow one {other.concealed_percent} % concealed, {other.fps} fps."
    )
    failures = judge_neighbours(alone, beside)
    return _result(said, failures, scenario="B3", alone=asdict(alone), beside=asdict(beside), slow=asdict(other))


def uplink(data: Path, given: argparse.Namespace) -> dict:
    """Let the host's own link be slow and the viewer's good."""
    failures, said, runs = [], [], {}
    for kbps in UPLINKS_KBPS:
        words = f"rate={kbps},{DELAY},queue={given.queue:g}"
        with _stage(data, given, (words, words)) as stage, Seat(stage.place()) as seat:
            viewer = stage.viewer(seat, page=given.viewer == "page")
            figures = _watched(stage, viewer, [], viewer.joined_s + SETTLE_S, given.seconds)
        failures += judge_uplink(kbps, figures)
        said.append(
            f"{kbps}: voice concealed {figures.concealed_percent} %, {figures.fps} fps at {figures.width}x"
            f"{figures.height}, host sends {figures.host_kbps} kbit/s"
        )
        runs[str(kbps)] = asdict(figures)
    return _result("host's uplink " + "; ".join(said) + ".", failures, scenario="B4", uplinks=runs)


def no_udp(data: Path, given: argparse.Namespace) -> dict:
    """Block UDP from the beginning, then let it die under another viewer, who has our own page."""
    words = f"rate=512,{DELAY},queue={given.queue:g}"
    with _stage(data, given) as stage:
        with Seat(stage.place(), words + ",block=udp", words + ",block=udp") as seat:
            viewer = stage.viewer(seat, page=given.viewer == "page")
            figures = _watched(stage, viewer, seat.link.reports, viewer.joined_s + SETTLE_S, 10)
        with Seat(stage.place(), words, words) as seat:
            viewer = stage.viewer(seat, page=True, place=1)
            blocked_s = viewer.joined_s + SETTLE_S + DEATH_S
            _until(blocked_s)
            seat.link.change(down="block=udp", up="block=udp")
            _until(blocked_s + AFTER_DEATH_S)
            noted = viewer.notes()
            viewer.close()
            facts, failures = judge_death(noted["samples"], noted["states"], blocked_s, blocked_s + AFTER_DEATH_S)
    heard = "never" if figures.heard_s is None else f"after {figures.heard_s:.1f} s"
    back = "never" if facts["back_s"] is None else f"after {facts['back_s']} s"
    said = (
        f"UDP blocked: voice heard {heard} over {figures.protocol or 'nothing'}; UDP dies: voice back {back}, "
        f"the page said {', '.join(facts['page_said']) or 'nothing'}."
    )
    return _result(said, judge_blocked(figures) + failures, scenario="B5", blocked=asdict(figures), death=facts)


def _watched(stage: LiveStage, viewer: Viewer, reports: list[dict], from_s: float, seconds: float) -> Figures:
    """Wait for the end of a window, close the viewer and return the figures."""
    _until(from_s + seconds + 1)
    noted = viewer.notes()
    viewer.close()
    return measure(noted, stage.host_notes(), reports, from_s, from_s + seconds)


SCENARIOS: dict[str, Callable[[Path, argparse.Namespace], dict]] = {
    "B2": change,
    "B3": neighbours,
    "B4": uplink,
    "B5": no_udp,
}
