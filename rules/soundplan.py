"""Plan a lesson's voice from what was heard: level, noise, and the rate that its content needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rules.lessonplan import Reason, VoicePlan

# A level is taken this often; ITU-R BS.1770-5 asks for 400 ms blocks that overlap by 75 %, which is one each 100 ms.
LEVEL_EVERY_S = 0.1
# BS.1770-5: blocks below the absolute gate never count, nor those this far below the mean of the rest.
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
# Below this nothing was sent at all (a microphone that is off, silence put in for gaps): it says nothing about noise.
SILENCE_DBFS = -80.0
# EBU R 128 s2 lets speech streams be at -20 to -16 LUFS; small loudspeakers want the loud end, mono is heard alike.
AIM_LUFS = -17.0
MAX_GAIN_DB = 30.0
# Lossy coding overshoots: EBU R 128 s2 asks for 1 dB below full scale at least, low rates for a little more.
LIMIT_DBFS = -1.5
# What a room's hum is below, and a man's voice is above (ITU-T P.341 lets 100 Hz fall by 3 dB).
HIGHPASS_HZ = 80
# Noise at this level after levelling is not noticed beside speech at AIM_LUFS; more than 12 dB of cleaning is heard.
QUIET_DBFS, MAX_DENOISE_DB, MIN_DENOISE_DB = -60.0, 12.0, 4.0
# RFC 6716 2.1.1: wideband speech from 12 kbit/s on; music needs 32.
SPEECH_BPS, MUSIC_BPS, LEAST_BPS = 13_000, 32_000, 10_000
# 60 ms packets carry a third of the container's and the range coder's overhead of 20 ms ones (RFC 6716 2.1.4).
FRAME_MS = 60
# Speech pauses: within two seconds a fifth or more of it is below half of their mean level; music is steadier
# (Scheirer and Slaney, ICASSP 1997: share of low-energy frames).
WINDOW_LEVELS, STEADY_SHARE, MUSIC_SHARE = 20, 0.1, 0.3
# Windows further below the loudest ones are room, not programme.
PROGRAMME_DB = 15.0


@dataclass(frozen=True, slots=True)
class Level:
    """One tenth of a second of sound: momentary loudness (LUFS), RMS level and peak (dBFS); -inf is digital silence."""

    momentary_lufs: float
    rms_dbfs: float
    peak_dbfs: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What one pass over the sound found.

    loudness_lufs: integrated (BS.1770-5), None where nothing is loud enough to count. peak_dbfs: the highest sample.
    noise_floor_dbfs: level between the words. speech_share: share of the time that is well above it (0 to 1).
    music: whether much of it is steadier than speech.
    """

    loudness_lufs: float | None
    peak_dbfs: float
    noise_floor_dbfs: float
    speech_share: float
    music: bool


def heard(levels: Sequence[Level]) -> Heard:
    """Sum up the levels of a whole lesson."""
    sounding = sorted(level.rms_dbfs for level in levels if level.rms_dbfs > SILENCE_DBFS)
    if not sounding:
        return Heard(None, SILENCE_DBFS, SILENCE_DBFS, 0.0, False)
    floor, loud = sounding[len(sounding) // 10], sounding[len(sounding) * 19 // 20]
    threshold = floor + max(6.0, (loud - floor) * 0.4)
    return Heard(
        loudness_lufs=integrated([level.momentary_lufs for level in levels]),
        peak_dbfs=max(level.peak_dbfs for level in levels),
        noise_floor_dbfs=round(floor, 1),
        speech_share=round(sum(rms > threshold for rms in sounding) / len(levels), 3),
        music=_is_music(levels, loud),
    )


def integrated(momentary_lufs: Sequence[float]) -> float | None:
    """Compute programme loudness (LUFS) from momentary loudness each 100 ms: BS.1770-5, annex 1, gated twice."""
    powers = [10 ** (block / 10) for block in momentary_lufs if block > ABSOLUTE_GATE_LUFS]
    if not powers:
        return None
    gate = sum(powers) / len(powers) * 10 ** (RELATIVE_GATE_LU / 10)
    kept = [power for power in powers if power > gate]
    return round(10 * math.log10(sum(kept) / len(kept)), 1)


def _is_music(levels: Sequence[Level], loud_dbfs: float) -> bool:
    steady = counted = 0
    for first in range(0, len(levels) - WINDOW_LEVELS + 1, WINDOW_LEVELS):
        sizes = [10 ** (level.rms_dbfs / 20) for level in levels[first : first + WINDOW_LEVELS]]
        mean = sum(sizes) / len(sizes)
        if mean < 10 ** ((loud_dbfs - PROGRAMME_DB) / 20):
            continue
        counted += 1
        steady += sum(size < mean / 2 for size in sizes) < STEADY_SHARE * len(sizes)
    return counted > 0 and steady / counted > MUSIC_SHARE


def plan_voice(found: Heard) -> tuple[VoicePlan, tuple[Reason, ...]]:
    """Choose level, cleaning and rate, and say why."""
    reasons = []
    gain_db = 0.0
    if found.loudness_lufs is not None:
        gain_db = round(max(-MAX_GAIN_DB, min(MAX_GAIN_DB, AIM_LUFS - found.loudness_lufs)), 1)
        if abs(gain_db) >= 1.0:
            figures = (("lufs", found.loudness_lufs), ("gain_db", gain_db))
            reasons.append(Reason("voice_louder" if gain_db > 0 else "voice_quieter", figures))
    denoise_db = 0.0
    if not found.music and found.loudness_lufs is not None:
        denoise_db = min(MAX_DENOISE_DB, round(found.noise_floor_dbfs + gain_db - QUIET_DBFS))
        if denoise_db < MIN_DENOISE_DB:
            denoise_db = 0.0
        else:
            reasons.append(Reason("voice_cleaned", (("floor_dbfs", found.noise_floor_dbfs), ("db", denoise_db))))
    rate_bps = MUSIC_BPS if found.music else SPEECH_BPS
    reasons.append(Reason("voice_music" if found.music else "voice_speech", (("kbps", rate_bps / 1000),)))
    voice = VoicePlan(
        rate_bps=rate_bps,
        sample_rate_hz=48_000,
        frame_ms=FRAME_MS,
        gain_db=gain_db,
        limit_dbfs=LIMIT_DBFS,
        highpass_hz=0 if found.music else HIGHPASS_HZ,
        denoise_db=denoise_db,
        noise_floor_dbfs=found.noise_floor_dbfs,
        speech=not found.music,
    )
    return voice, tuple(reasons)
