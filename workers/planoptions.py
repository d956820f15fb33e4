"""Pure: turn a lesson plan into ffmpeg's options and filters; samples, chunks and voices all take them from here."""

from __future__ import annotations

from collections.abc import Iterable

from rules.lessonplan import PicturePlan, VoicePlan
from workers.plan import Filter

Options = dict[str, object]
# Of 10: a quarter less work than the most, which is what lets a voice of 45 minutes be there within the minute.
COMPLEXITY = 5


def picture_options(picture: PicturePlan, threads: int) -> Options:
    """List the encoder's options for the small video's picture, `threads` of them at most."""
    params = [
        ("crf", f"{picture.crf:g}"),
        ("preset", str(picture.preset)),
        ("lp", str(threads)),
        ("film-grain", str(picture.film_grain)),
        *picture.params,
    ]
    return {
        "c:v": "libsvtav1",
        "g": max(1, round(picture.keyframe_s * picture.fps)),
        "pix_fmt": "yuv420p",
        "svtav1-params": ":".join(f"{name}={value}" for name, value in params),
    }


def voice_options(voice: VoicePlan) -> Options:
    """List the encoder's options for Opus, mono."""
    return {
        "c:a": "libopus",
        "b:a": voice.rate_bps,
        "ac": 1,
        "ar": voice.sample_rate_hz,
        "application": "voip" if voice.speech else "audio",
        "compression_level": COMPLEXITY,
        "frame_duration": voice.frame_ms,
    }


def voice_filters(voice: VoicePlan) -> tuple[Filter, ...]:
    """List the filters that clean and level the joined sound; they keep its length."""
    filters = []
    if voice.highpass_hz:
        filters.append(Filter("highpass", (("f", str(voice.highpass_hz)),)))
    if voice.denoise_db:
        options = (("nr", f"{voice.denoise_db:g}"), ("nf", f"{voice.noise_floor_dbfs:g}"))
        filters.append(Filter("afftdn", options))
    if voice.gain_db:
        filters.append(Filter("volume", (("volume", f"{voice.gain_db:g}dB"),)))
    limit = 10 ** (voice.limit_dbfs / 20)
    filters.append(Filter("alimiter", (("limit", f"{limit:.4f}"), ("level", "0"), ("latency", "1"))))
    return tuple(filters)


def chain(filters: Iterable[Filter]) -> str:
    """Write filters as ffmpeg's filter graph syntax does: name=option=value:option=value, with commas between them."""
    return ",".join(
        one.name + ("=" + ":".join(f"{name}={_quoted(value)}" for name, value in one.options) if one.options else "")
        for one in filters
    )


def _quoted(value: str) -> str:
    """Protect what the syntax would take for its own: twice, for the graph and for the filter's options."""
    inner = value.replace("\\", "\\\\").replace(":", "\\:").replace("'", "\\'")
    return "".join(f"\\{char}" if char in "\\'[],;" else char for char in inner)
