"""Choose the best file of a recording for one school: by its link, its night, and what is left of its month."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rules.nightwindow import Window
from rules.renditions import WIRE_OVERHEAD, Kind, download_minutes

# Where a school has set no night, a file should at least come while somebody waits for it.
PATIENCE_MINUTES = 60
# What a school gets most from comes first. The picture for old computers and the voice for old players are asked for by
# those who need them; nobody's best file is one of several times the size.
WORTH = ("video_small", "pack", Kind.VOICE_OPUS, Kind.VOICE_AAC, "video_compat")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a school downloads by: rates in kbit/s, what is left of its month. None: unknown, or no limit."""

    link_kbps: int | None = None
    cap_kbps: int | None = None
    window: Window | None = None
    left_bytes: int | None = None

    @property
    def rate_kbps(self) -> int | None:
        """Return the rate at which files come, None where the link was never measured and there is no cap."""
        return min((rate for rate in (self.link_kbps, self.cap_kbps) if rate is not None), default=None)


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that can be downloaded: its kind and size."""

    kind: str
    bytes: int


class Fit(StrEnum):
    """How well the chosen file suits the school."""

    FITS = "fits"  # within one night, or an hour where there is no night
    NIGHTS = "nights"  # takes several
    SLOW = "slow"  # longer than anybody waits, and no night is set
    OVER_QUOTA = "over_quota"  # more than is left of the month
    UNKNOWN = "unknown"  # the link was never measured


@dataclass(frozen=True, slots=True)
class Best:
    """The file named to a school; `minutes` at its rate (None: unknown), `nights` it takes (0: no night is set)."""

    kind: str
    bytes: int
    minutes: int | None
    nights: int
    fit: Fit


def best_file(offered: Iterable[Offered], terms: Terms) -> Best | None:
    """Name the file of most worth that fits; where none does, the smallest and why it does not. None: nothing there."""
    files = [file for file in offered if file.kind in WORTH]
    if not files:
        return None
    judged = [_judge(file, terms) for file in sorted(files, key=lambda file: WORTH.index(file.kind))]
    fitting = [best for best in judged if best.fit is Fit.FITS]
    if fitting:
        return fitting[0]
    return min(judged, key=lambda best: best.bytes)


def wire_bytes(size_bytes: int) -> int:
    """Estimate what a file costs on the wire, headers included."""
    return int(size_bytes * WIRE_OVERHEAD)


def _judge(file: Offered, terms: Terms) -> Best:
    over = terms.left_bytes is not None and wire_bytes(file.bytes) > terms.left_bytes
    rate = terms.rate_kbps
    if rate is None:
        return Best(file.kind, file.bytes, None, 0, Fit.OVER_QUOTA if over else Fit.UNKNOWN)
    minutes = download_minutes(file.bytes, rate)
    night = terms.window.minutes if terms.window is not None else 0
    nights = -(-minutes // night) if night else 0
    if over:
        fit = Fit.OVER_QUOTA
    elif minutes > (night or PATIENCE_MINUTES):
        fit = Fit.NIGHTS if night else Fit.SLOW
    else:
        fit = Fit.FITS
    return Best(file.kind, file.bytes, minutes, nights, fit)
