"""Pure: judge the lessons in which a link changes, differs from its neighbour, is the host's, or loses UDP.

Each function returns what was not as asked, in words; nothing: passed. Moments are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.slowlink_figures import between, concealed_percent, growth, queue_peak_s, voice_holes
from bench.slowlink_rows import BY_NAME, Figures

RECOVERY_S, RISE_S = 2.0, 15.0
QUEUE_S = 0.4
SAME_FPS, SAME_KBPS = 0.95, 0.9
"""What "unchanged" means: the clip's content differs from minute to minute, and with it rate and frames a little."""
TCP_HEARD_S, TCP_BACK_S = 5.0, 12.0
HOST_FPS = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """The moments of a lesson whose link falls and rises again."""

    begin_s: float
    drop_s: float
    rise_s: float
    end_s: float


def judge_change(samples: Sequence[dict], reports: Sequence[dict], at: Change) -> tuple[dict, list[str]]:
    """Judge 512 → 64 → 512 kbit/s (B2)."""
    high, low = BY_NAME["512"], BY_NAME["64"]
    after = between(samples, at.rise_s + RISE_S, at.end_s)
    queue_s = max(queue_peak_s(reports, at.begin_s, at.drop_s), queue_peak_s(reports, at.drop_s + RECOVERY_S, at.end_s))
    facts = {
        "concealed_percent": round(concealed_percent(between(samples, at.begin_s, at.end_s))[0], 2),
        "concealed_low_percent": round(
            concealed_percent(between(samples, at.drop_s + RECOVERY_S, at.rise_s))[0],
            2,
        ),
        "fps_after": round(_fps(after), 1),
        "fps_low": round(_fps(between(samples, at.drop_s + RECOVERY_S, at.rise_s)), 1),
        "queue_ms": round(queue_s * 1000),
        "queue_drop_ms": round(queue_peak_s(reports, at.drop_s, at.drop_s + RECOVERY_S) * 1000),
    }
    found = []
    if facts["concealed_percent"] > 3:
        found.append(f"voice concealed {facts['concealed_percent']} % over the whole > 3 %")
    if facts["concealed_low_percent"] > low.concealed_percent:
        found.append(f"voice concealed {facts['concealed_low_percent']} % from {RECOVERY_S:g} s after the drop on")
    if facts["fps_after"] < high.fps:
        found.append(f"{facts['fps_after']} fps from {RISE_S:g} s after the rise on < {high.fps:g}")
    if queue_s >= QUEUE_S:
        found.append(f"{facts['queue_ms']} ms in the queue beside the {RECOVERY_S:g} s after the drop")
    return facts, found


def _fps(samples: Sequence[dict]) -> float:
    if len(samples) < 2:
        return 0.0
    return growth(samples, "video", "decoded") * 1000 / (samples[-1]["at"] - samples[0]["at"])


def judge_neighbours(alone: Figures, beside: Figures) -> list[str]:
    """Judge a fast viewer before and after a slow one came (B3)."""
    found = []
    if beside.concealed_percent > BY_NAME["512"].concealed_percent:
        found.append(f"the fast viewer's voice is concealed for {beside.concealed_percent:.2f} %")
    if beside.fps < BY_NAME["512"].fps:
        found.append(f"the fast viewer has {beside.fps:.1f} fps < {BY_NAME['512'].fps:g}")
    for name, share in (
        ("fps", SAME_FPS),
        ("picture_kbps", SAME_KBPS),
        ("host_fps", SAME_FPS),
        ("host_kbps", SAME_KBPS),
    ):
        before, after = getattr(alone, name), getattr(beside, name)
        if after < before * share:
            found.append(f"{name} fell from {before:g} to {after:g}")
    if (beside.width, beside.height) != (alone.width, alone.height):
        found.append(f"the picture went from {alone.width}x{alone.height} to {beside.width}x{beside.height}")
    return found


def judge_uplink(kbps: int, figures: Figures) -> list[str]:
    """Judge what a viewer on a good link has of a host with so much uplink (B4)."""
    found = []
    limit = BY_NAME[str(kbps)].concealed_percent
    if figures.concealed_percent > limit:
        found.append(f"{kbps}: voice concealed {figures.concealed_percent:.2f} % > {limit:g} %")
    if figures.heard_s is None:
        found.append(f"{kbps}: voice never heard")
    if figures.fps < HOST_FPS:
        found.append(f"{kbps}: {figures.fps:.1f} fps < {HOST_FPS:g}")
    return found


def judge_blocked(figures: Figures) -> list[str]:
    """Judge a lesson that begins where UDP is blocked (B5)."""
    if figures.heard_s is None:
        return ["with UDP blocked no voice comes"]
    found = [] if figures.protocol == "tcp" else [f"media came over {figures.protocol!r} although UDP is blocked"]
    if figures.heard_s > TCP_HEARD_S:
        found.append(f"with UDP blocked voice is heard after {figures.heard_s:.1f} s > {TCP_HEARD_S:g} s")
    return found


def judge_death(
    samples: Sequence[dict], states: Sequence[dict], blocked_s: float, end_s: float
) -> tuple[dict, list[str]]:
    """Judge a lesson whose UDP dies at `blocked_s` (B5); `states` is what the page said, with moments in ms."""
    holes = [hole for hole in voice_holes(between(samples, blocked_s - 1, end_s)) if hole[1] > blocked_s]
    last = samples[-1] if samples else {}
    said = [state["text"] for state in states if state["at"] / 1000 > blocked_s]
    back_s = max((end for _start, end in holes), default=blocked_s) - blocked_s
    dead = bool(holes) and holes[-1][1] >= last["at"] / 1000
    facts = {"back_s": None if dead else round(back_s, 1), "protocol": last.get("protocol", ""), "page_said": said}
    found = []
    if dead or facts["protocol"] != "tcp":
        found.append("voice never came back over TCP")
    elif back_s > TCP_BACK_S:
        found.append(f"voice is back after {back_s:.1f} s > {TCP_BACK_S:g} s")
    if not said:
        found.append("the page said nothing")
    return facts, found
