"""Pure: the links that lessons must work on, what is asked on each, and whether a measured run has it."""

from __future__ import annotations

from dataclasses import dataclass

SETTLE_S = 10.0
HOST_RATE_SHARE = 0.95
"""So much of what the host sends counts as the host's full rate: packets under way at the window's ends differ."""


@dataclass(frozen=True, slots=True)
class Row:
    """One link and its limits. Percent, milliseconds of the whole round trip, kbit/s at IP level, seconds.

    `fps` and `still_s` are 0 where nothing is asked; `used_share` is the part of the link that must be used unless the
    host's full rate arrives.
    """

    name: str
    down_kbps: float
    up_kbps: float
    rtt_ms: float
    loss_percent: float
    burst: float
    concealed_percent: float
    heard_s: float
    fps: float = 0.0
    still_s: float = 0.0
    used_share: float = 0.0

    def words(self, rate_kbps: float, queue_ms: float) -> str:
        """Describe one direction to the link emulator; loss meets both directions."""
        words = f"rate={rate_kbps:g},delay={self.rtt_ms / 2:g},queue={queue_ms:g}"
        return words + (f",loss={self.loss_percent:g},burst={self.burst:g}" if self.loss_percent else "")


ROWS = (
    Row("512", 512, 64, 80, 0, 1, concealed_percent=0.3, heard_s=2, fps=15, used_share=0.75),
    Row("256", 256, 64, 80, 1, 1, concealed_percent=0.5, heard_s=3, fps=12),
    Row("128", 128, 64, 80, 0, 1, concealed_percent=0.5, heard_s=3, fps=10),
    Row("64", 64, 64, 80, 0, 1, concealed_percent=1, heard_s=4, fps=5),
    Row("64-bursts", 64, 64, 300, 2, 3, concealed_percent=2, heard_s=6, fps=4),
    Row("32", 32, 32, 200, 0, 1, concealed_percent=1, heard_s=6, still_s=15),
    Row("24", 24, 24, 600, 0, 1, concealed_percent=2, heard_s=8),
)
BY_NAME = {row.name: row for row in ROWS}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one viewer had in the window. Rates in kbit/s: `used_kbps` and `up_kbps` at IP level, others as payload."""

    heard_s: float | None
    concealed_percent: float
    silent_percent: float
    voice_hole_s: float
    fps: float
    longest_gap_s: float
    width: int
    height: int
    freezes: int
    frozen_s: float
    keyframes: int
    voice_kbps: float
    picture_kbps: float
    used_kbps: float
    up_kbps: float
    host_kbps: float
    host_fps: float
    queue_ms: float
    dropped: int
    lost: int
    voice_buffer_ms: float
    answered_s: float | None
    status: int | None
    offer_bytes: int
    codec: str
    protocol: str
    page_s: float | None = None
    page_kb: float | None = None


HOLE_S = 2.0
"""Voice that does not come at all ends as silence, which browsers do not count as concealed: this long is a failure."""


def failures(row: Row, figures: Figures) -> list[str]:
    """Return in words what is asked on a row and was not had; empty: passed."""
    found = []
    if figures.status != 201:
        found.append(f"WHEP answered {figures.status or 'nothing'}")
    if figures.concealed_percent > row.concealed_percent:
        found.append(f"voice concealed {figures.concealed_percent:.2f} % > {row.concealed_percent:g} %")
    if figures.voice_hole_s >= HOLE_S:
        found.append(f"no voice for {figures.voice_hole_s:.1f} s")
    if figures.heard_s is None or figures.heard_s > row.heard_s:
        heard = "never" if figures.heard_s is None else f"after {figures.heard_s:.1f} s"
        found.append(f"voice heard {heard}, {row.heard_s:g} s allowed")
    if row.fps and figures.fps < row.fps:
        found.append(f"{figures.fps:.1f} fps < {row.fps:g}")
    if row.still_s and figures.longest_gap_s > row.still_s:
        found.append(f"no new picture for {figures.longest_gap_s:.0f} s > {row.still_s:g} s")
    full = figures.voice_kbps + figures.picture_kbps >= HOST_RATE_SHARE * figures.host_kbps > 0
    if row.used_share and figures.used_kbps < row.used_share * row.down_kbps and not full:
        found.append(
            f"{figures.used_kbps:.0f} kbit/s used, neither {row.used_share:.0%} of the link nor all of the host's"
        )
    return found


def worst(row: Row, runs: list[Figures]) -> Figures:
    """Return the run that counts: the one with the most failures, then with the most concealed voice."""
    return max(runs, key=lambda run: (len(failures(row, run)), run.concealed_percent, -run.fps))
