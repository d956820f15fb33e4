"""Say what a lesson's small files are to be: the plan that analysis makes, that is stored, shown and carried out.

A plan is the same for every chunk of a lesson, so that chunks made by different workers fit together. It is kept as
JSON with the recording; docs/lesson-planner.md tells how its numbers come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from rules.renditions import Picture

# Raised when a stored plan can no longer be read by `from_json`; such a plan is made anew.
PLAN_VERSION = 1


class Content(StrEnum):
    """What a lesson's picture mostly shows, as far as encoding is concerned."""

    SLIDES = "slides"
    BOARD = "board"
    CAMERA = "camera"
    SCREEN = "screen"


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """How the small video's picture is encoded with SVT-AV1.

    width, height: pixels, even. fps: frames per second, never above the source's. crf: quarter steps, 1 (best) to 70.
    preset: the encoder's speed, smaller is slower. film_grain: 0 is none. keyframe_s: longest way between keyframes.
    params: further parameters of SVT-AV1, name and value.
    """

    width: int
    height: int
    fps: float
    crf: float
    preset: int
    film_grain: int
    keyframe_s: float
    params: tuple[tuple[str, str], ...] = ()

    @property
    def picture(self) -> Picture:
        """The size and rate that come out."""
        return Picture(self.width, self.height, self.fps)


@dataclass(frozen=True, slots=True)
class VoicePlan:
    """How sound is levelled and encoded, mono.

    rate_bps: of Opus; other codecs keep their preset's. gain_db: added to everything; limit_dbfs: no sample above it.
    highpass_hz: 0 is none. denoise_db: how far the noise is pushed down, 0 is not at all; noise_floor_dbfs: what was
    measured between the words. speech: whether it is speech or music that the encoder should be told of.
    """

    rate_bps: int
    sample_rate_hz: int
    frame_ms: int
    gain_db: float
    limit_dbfs: float
    highpass_hz: int
    denoise_db: float
    noise_floor_dbfs: float
    speech: bool


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the plan is as it is: a code that server/planwords.py has the words for, and the figures in them."""

    code: str
    figures: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True, slots=True)
class LessonPlan:
    """What the small files of one lesson are to be; `picture` and `voice` are None where there is nothing to encode.

    predicted_vmaf: 0 to 100 at the plan's own frame rate, None without a picture; predicted_bytes: of the small video.
    target_vmaf: what was asked for; a byte budget may have lowered it.
    """

    content: Content | None
    picture: PicturePlan | None
    voice: VoicePlan | None
    predicted_vmaf: float | None
    predicted_bytes: int
    target_vmaf: float
    reasons: tuple[Reason, ...] = ()


def to_json(plan: LessonPlan) -> dict[str, Any]:
    """Turn a plan into what a JSON column holds."""
    return {
        "version": PLAN_VERSION,
        "content": plan.content.value if plan.content else None,
        "picture": _flat(plan.picture) if plan.picture else None,
        "voice": _flat(plan.voice) if plan.voice else None,
        "predicted_vmaf": plan.predicted_vmaf,
        "predicted_bytes": plan.predicted_bytes,
        "target_vmaf": plan.target_vmaf,
        "reasons": [{"code": reason.code, "figures": dict(reason.figures)} for reason in plan.reasons],
    }


def from_json(kept: Mapping[str, Any]) -> LessonPlan:
    """Read a plan back. Raises ValueError where it is of another version or damaged."""
    try:
        if kept["version"] != PLAN_VERSION:
            raise ValueError(f"a plan of version {kept['version']}, not {PLAN_VERSION}")
        picture, voice = kept["picture"], kept["voice"]
        return LessonPlan(
            content=Content(kept["content"]) if kept["content"] else None,
            picture=PicturePlan(**{**picture, "params": tuple(map(tuple, picture["params"]))}) if picture else None,
            voice=VoicePlan(**voice) if voice else None,
            predicted_vmaf=kept["predicted_vmaf"],
            predicted_bytes=kept["predicted_bytes"],
            target_vmaf=kept["target_vmaf"],
            reasons=tuple(Reason(one["code"], tuple(one["figures"].items())) for one in kept["reasons"]),
        )
    except (KeyError, TypeError, AttributeError) as trouble:
        raise ValueError(f"no plan: {trouble!r}") from trouble


def _flat(part: PicturePlan | VoicePlan) -> dict[str, Any]:
    found = {field.name: getattr(part, field.name) for field in fields(part)}
    if "params" in found:
        found["params"] = [list(one) for one in found["params"]]
    return found
