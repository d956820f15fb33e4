"""Plan a lesson's voice from what was heard: level, noise, and the rate that its content needs."""

from __future__ import annotations

from dataclasses import dataclass

from rules.lessonplan import VoicePlan


@dataclass(frozen=True, slots=True)
class Heard:
    """What one pass over the sound found.

    loudness_lufs: integrated (EBU R 128), None where nothing is loud enough to count. peak_dbfs: the highest sample.
    noise_floor_dbfs: level between the words. speech_share: share of the time in which somebody speaks (0 to 1).
    music: whether what sounds is music rather than speech. sample_rate_hz: of the best source.
    """

    loudness_lufs: float | None
    peak_dbfs: float
    noise_floor_dbfs: float
    speech_share: float
    music: bool
    sample_rate_hz: int


def plan_voice(heard: Heard) -> VoicePlan:
    """Choose level, cleaning and rate."""
    gain_db = 0.0 if heard.loudness_lufs is None else max(-20.0, min(20.0, AIM_LUFS - heard.loudness_lufs))
    return VoicePlan(
        rate_bps=32_000 if heard.music else 14_000,
        sample_rate_hz=48_000,
        frame_ms=60,
        gain_db=round(gain_db, 1),
        limit_dbfs=-1.5,
        highpass_hz=0 if heard.music else 80,
        denoise_db=0.0,
        noise_floor_dbfs=heard.noise_floor_dbfs,
        speech=not heard.music,
    )


# EBU R 128 s2 (streaming) asks for -20 to -16 LUFS; mono speech on small loudspeakers wants the loud end.
AIM_LUFS = -17.0
