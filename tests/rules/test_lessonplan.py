"""A lesson plan is kept as JSON and read back."""

import json
from dataclasses import replace

import pytest

from rules.lessonplan import Content, LessonPlan, PicturePlan, Reason, VoicePlan, from_json, to_json

PICTURE = PicturePlan(640, 360, 12.5, 47.25, 5, 0, 10.0, (("tune", "1"),))
VOICE = VoicePlan(14_000, 48_000, 60, 3.5, -1.5, 80, 0.0, -62.0, True)
PLAN = LessonPlan(Content.CAMERA, PICTURE, VOICE, 81.2, 20_000_000, 81.0, (Reason("size", (("height", 360),)),))


@pytest.mark.parametrize("plan", [PLAN, replace(PLAN, picture=None, predicted_vmaf=None), replace(PLAN, voice=None)])
def test_plan_comes_back_from_json_as_it_was(plan: LessonPlan) -> None:
    """Nothing of a plan is lost on its way through a JSON column."""
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


@pytest.mark.parametrize("kept", [{}, to_json(PLAN) | {"version": 0}, to_json(PLAN) | {"picture": {"width": 1}}])
def test_damaged_plan_is_refused(kept: dict) -> None:
    """A plan of another version or with parts missing is no plan."""
    with pytest.raises(ValueError):
        from_json(kept)
