"""Say which files are made of a recording, in which order, with which numbers, and what they cost to fetch."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

# Raised whenever a number below changes, so that files made before can be told from files made after.
PRESET_VERSION = 1

# Rates at which every file's minutes are shown, kbit/s.
SHOWN_RATES_KBPS = (64, 256, 1024)
# HTTP, TCP and IP headers on 1,400-byte segments, and the occasional segment sent twice.
WIRE_OVERHEAD = 1.06

MAX_NAME_BYTES = 180


class Kind(StrEnum):
    """What sort of file a rendition is."""

    VOICE_OPUS = "voice_opus"
    VOICE_AAC = "voice_aac"
    PACK = "pack"
    VIDEO_SMALL = "video_small"
    VIDEO_COMPAT = "video_compat"
    SOURCE = "source"


# Smallest first: the voice of a lesson is on the page while its picture is still being made.
ORDER = (Kind.VOICE_OPUS, Kind.VOICE_AAC, Kind.PACK, Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT)
VIDEO_KINDS = frozenset({Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT})
VOICE_KINDS = frozenset({Kind.VOICE_OPUS, Kind.VOICE_AAC})


@dataclass(frozen=True, slots=True)
class Container:
    """How a file of a kind is named and announced; `muxer` is ffmpeg's name of the container."""

    extension: str
    content_type: str
    muxer: str


CONTAINERS = {
    Kind.VOICE_OPUS: Container("opus", "audio/ogg; codecs=opus", "ogg"),
    Kind.VOICE_AAC: Container("m4a", "audio/mp4", "mp4"),
    Kind.PACK: Container("zip", "application/zip", ""),
    # MP4 rather than WebM, so that one player and one seek table serve both videos; AV1 and Opus are at home in it.
    Kind.VIDEO_SMALL: Container("mp4", "video/mp4", "mp4"),
    Kind.VIDEO_COMPAT: Container("mp4", "video/mp4", "mp4"),
}


@dataclass(frozen=True, slots=True)
class AudioPreset:
    """How sound is encoded. Opus voice is mono with 60 ms frames: fewest bytes of headers (RFC 6716 2.1.4)."""

    codec: str
    rate_bps: int
    channels: int
    sample_rate_hz: int
    frame_ms: int | None


@dataclass(frozen=True, slots=True)
class VideoPreset:
    """How a picture is encoded; `speed` is the encoder's own preset name or number, `profile` "" where it has none."""

    codec: str
    max_height: int
    min_fps: float
    max_fps: float
    crf: int
    max_rate_bps: int
    speed: str
    profile: str
    keyframe_s: int


AUDIO = {
    Kind.VOICE_OPUS: AudioPreset("libopus", 16_000, 1, 48_000, 60),
    Kind.VOICE_AAC: AudioPreset("aac", 32_000, 1, 24_000, None),
    Kind.VIDEO_SMALL: AudioPreset("libopus", 16_000, 1, 48_000, 60),
    Kind.VIDEO_COMPAT: AudioPreset("aac", 32_000, 1, 24_000, None),
}

# The small video is planned for each lesson (rules.pictureplan).
VIDEO = {
    # Baseline has no B-frames and no CABAC: what a ten-year-old PC and the oldest phones play.
    Kind.VIDEO_COMPAT: VideoPreset("libx264", 360, 10.0, 15.0, 28, 350_000, "veryfast", "baseline", 10),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture that will be encoded: even width and height in pixels, frames per second."""

    width: int
    height: int
    fps: float


def planned_kinds(has_video: bool) -> tuple[Kind, ...]:
    """List the files to make of a recording, smallest first; one without a picture gives voice alone."""
    return tuple(kind for kind in ORDER if has_video or kind not in VIDEO_KINDS)


def picture(kind: Kind, width: int, height: int, fps: float) -> Picture:
    """Fit a source picture (pixels, frames per second) into a kind's preset, never above the source.

    A frame rate that divides the source's is preferred: 25 becomes 12.5 and 30 becomes 15, which does not judder.
    Raises ValueError where the source has no size or rate.
    """
    if width < 2 or height < 2 or fps <= 0:
        raise ValueError(f"no picture to fit: {width}x{height} at {fps} frames/s")
    preset = VIDEO[kind]
    out_height = min(height, preset.max_height)
    out_width = width * out_height / height
    return Picture(max(2, round(out_width / 2) * 2), out_height // 2 * 2, _fit_fps(fps, preset))


def _fit_fps(fps: float, preset: VideoPreset) -> float:
    if fps <= preset.max_fps:
        return fps
    divisor = 2
    while fps / divisor > preset.max_fps:
        divisor += 1
    even = fps / divisor
    return even if even >= preset.min_fps else preset.max_fps


def download_seconds(size_bytes: int, rate_kbps: float) -> float:
    """Estimate how long a download takes on a link of this rate (kbit/s on the wire), headers included."""
    if rate_kbps <= 0:
        raise ValueError("a rate is above 0 kbit/s")
    return size_bytes * 8 * WIRE_OVERHEAD / (rate_kbps * 1000)


def download_minutes(size_bytes: int, rate_kbps: float) -> int:
    """Round a download up to whole minutes, at least 1: what a page shows must not be too short."""
    return max(1, -int(-download_seconds(size_bytes, rate_kbps) // 60))


@dataclass(frozen=True, slots=True)
class HumanSize:
    """A size to show: a number, the decimals worth showing, and its unit "B", "kB", "MB" or "GB" (powers of 1,000)."""

    value: float
    decimals: int
    unit: str


def human_size(size_bytes: int) -> HumanSize:
    """Choose the unit and decimals in which a size is read at a glance: 1.4 MB, 23 MB, 512 kB."""
    if size_bytes < 1000:
        return HumanSize(size_bytes, 0, "B")
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        # 999.6 would be shown as 1000 of the smaller unit.
        if value < 999.5 or unit == "GB":
            break
    return HumanSize(value, 1 if value < 9.95 and unit != "kB" else 0, unit)


# Reserved on Windows and in FAT, where USB sticks come from.
_RESERVED = frozenset('<>:"/\\|?*%')
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})


def download_name(title: str, kind: Kind, extension: str) -> str:
    """Build a file's name from a lesson's title and its kind."""
    return saved_name(title, f" ({kind.value.replace('_', ' ')}).{extension}")


def saved_name(title: str, tail: str) -> str:
    """Build a file name that ends with `tail`: Cyrillic kept, nothing that a file system or a header would trip over.

    At most 180 bytes of UTF-8 with the extension, which leaves room for a browser's " (1)" within ext4's 255.
    """
    stem = " ".join(_clean(title).split()).strip(". ")
    if not stem or stem.lower().split(".")[0] in _DEVICES:
        stem = f"lesson {stem}".strip()
    room = MAX_NAME_BYTES - len(tail.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(". ") + tail


def _clean(title: str) -> str:
    # NFC, because macOS spells й in two code points that other systems show as two.
    kept = []
    for char in unicodedata.normalize("NFC", title):
        if char in _RESERVED or unicodedata.category(char)[0] in "CZ":  # controls, direction marks, separators
            kept.append(" ")
        else:
            kept.append(char)
    return "".join(kept)
