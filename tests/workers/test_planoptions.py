"""A plan as ffmpeg's options and filters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.lessonplan import PicturePlan, VoicePlan
from workers.plan import Filter
from workers.planoptions import chain, picture_options, voice_filters, voice_options

PICTURE = PicturePlan(854, 480, 10.0, 57.25, 4, 0, 20.0, (("tune", "1"),))
VOICE = VoicePlan(13_000, 48_000, 60, 4.5, -1.5, 80, 8.0, -48.0, True)


def test_the_encoder_gets_what_the_plan_says() -> None:
    """CRF in quarter steps, preset and further parameters reach SVT-AV1; keyframes are counted in frames."""
    options = picture_options(PICTURE, 1)
    assert options["g"] == 200
    assert options["svtav1-params"] == "crf=57.25:preset=4:lp=1:film-grain=0:tune=1"


def test_speech_and_music_are_told_apart() -> None:
    """Opus is told what it encodes."""
    assert voice_options(VOICE)["application"] == "voip"
    assert voice_options(replace(VOICE, speech=False))["application"] == "audio"
    assert voice_options(VOICE)["frame_duration"] == 60


def test_noise_is_taken_away_before_it_is_made_louder() -> None:
    """The floor was measured before the gain, and the limiter has the last word."""
    assert [one.name for one in voice_filters(VOICE)] == ["highpass", "afftdn", "volume", "alimiter"]


def test_a_voice_that_is_well_is_only_limited() -> None:
    """Nothing is done that nobody asked for."""
    assert [one.name for one in voice_filters(replace(VOICE, gain_db=0.0, highpass_hz=0, denoise_db=0.0))] == [
        "alimiter"
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1", "a=x=1"),
        ("gte(t,1)", r"a=x=gte(t\,1)"),
        ("/tmp/a:b", r"a=x=/tmp/a\\:b"),
        ("[in];", r"a=x=\[in\]\;"),
    ],
)
def test_what_the_syntax_means_otherwise_is_protected(value: str, written: str) -> None:
    """Commas, colons and brackets in a value stay in it."""
    assert chain((Filter("a", (("x", value),)),)) == written


def test_filters_stand_in_a_row() -> None:
    """Filters without options have none."""
    assert chain((Filter("a", ()), Filter("b", (("c", "1"), ("d", "2"))))) == "a,b=c=1:d=2"
