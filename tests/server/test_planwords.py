"""The reasons of a lesson's plan, in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask_babel import force_locale

from rules.lessonplan import Content, LessonPlan, Reason, to_json
from server import planwords

FIGURES = {
    "height": 360,
    "fps": 12.5,
    "vmaf": 81.26,
    "percent": 40,
    "target": 90.0,
    "lufs": -27.0,
    "gain_db": 10.0,
    "db": 8.0,
    "floor_dbfs": -45.0,
    "kbps": 14.0,
}


def used() -> set[str]:
    """Gather the codes that the rules and workers give."""
    root = Path(__file__).parents[2]
    text = "".join((root / name).read_text("utf-8") for name in ("rules/pictureplan.py", "rules/soundplan.py"))
    text += (root / "workers/trials.py").read_text("utf-8")
    found = set(re.findall(r'"((?:picture|voice)_[a-z_]+)"', text))
    return found | {f"picture_{content.value}" for content in Content}


def test_every_reason_has_words() -> None:
    """What the planner may say has a sentence, and no sentence is left over."""
    assert used() == planwords.CODES


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("code", sorted(planwords.CODES))
def test_sentences_are_whole(app, language: str, code: str) -> None:
    """Each sentence has its figures filled in and ends like one, in both languages."""
    with app.test_request_context(), force_locale(language):
        said = planwords.sentence(Reason(code, tuple(FIGURES.items())))
    assert said.endswith(".")
    assert "%(" not in said
    assert "{" not in said


def test_a_plan_is_told_in_its_order(app) -> None:
    """A camera lesson says what it is, and what another height would have cost."""
    told = (
        Reason("picture_camera", (("height", 360), ("fps", 10.0), ("vmaf", 82.0))),
        Reason("picture_other_height", (("height", 480), ("percent", 40))),
    )
    kept = {"version": 1, "lesson": to_json(LessonPlan(Content.CAMERA, None, None, 82.0, 1, 80.0, told))}
    with app.test_request_context(), force_locale("en"):
        assert planwords.reasons(kept) == [
            "A camera lesson: 360p, 10 frames a second, quality 82 of 100 (VMAF).",
            "At 480p the same quality would have cost 40% more.",
        ]


@pytest.mark.parametrize("kept", [None, {}, {"lesson": None}, {"lesson": {"version": 0}}, {"version": 1}])
def test_no_plan_needs_no_words(app, kept: dict | None) -> None:
    """A recording that is not planned yet, or was by another version, shows nothing."""
    with app.test_request_context():
        assert planwords.reasons(kept) == []
