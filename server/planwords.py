"""Tell people in words why a lesson's small files are as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import gettext as _

from rules.lessonplan import Reason, from_json
from server.i18n import decimal

Figures = Mapping[str, float]


def reasons(plan: Mapping[str, Any] | None) -> list[str]:
    """Write the reasons of the plan that is kept with a recording (store.plans), a sentence each.

    [] where there is no plan yet, or one that this version cannot read.
    """
    kept = (plan or {}).get("lesson")
    if kept is None:
        return []
    try:
        lesson = from_json(kept)
    except ValueError:
        return []
    return [sentence(reason) for reason in lesson.reasons if reason.code in _SENTENCES]


def sentence(reason: Reason) -> str:
    """Write one reason."""
    return _SENTENCES[reason.code](dict(reason.figures))


def _size(figures: Figures) -> str:
    return _(
        "%(height)dp, %(fps)s frames a second, quality %(vmaf)s of 100 (VMAF)",
        height=figures["height"],
        fps=decimal(figures["fps"]),
        vmaf=decimal(figures["vmaf"], 0),
    )


_SENTENCES: dict[str, Callable[[Figures], str]] = {
    "picture_camera": lambda f: _("A camera lesson: %(size)s.", size=_size(f)),
    "picture_board": lambda f: _("A lesson at a board: %(size)s.", size=_size(f)),
    "picture_slides": lambda f: _("A lesson with slides: %(size)s.", size=_size(f)),
    "picture_screen": lambda f: _("A lesson on a screen: %(size)s.", size=_size(f)),
    "picture_other_height": lambda f: _(
        "At %(height)dp the same quality would have cost %(percent)d%% more.",
        height=f["height"],
        percent=f["percent"],
    ),
    "picture_source_height": lambda f: _("The recording itself is %(height)dp: more would only be bigger.", **f),
    "picture_in_budget": lambda f: _(
        "The quality was lowered to %(vmaf)s so that the file is no bigger than asked for.", vmaf=decimal(f["vmaf"], 0)
    ),
    "picture_over_budget": lambda f: _("No picture is as small as asked for; this is the smallest there is."),
    "picture_below_target": lambda f: _(
        "The recording is too poor for the quality %(target)s that was wanted; %(vmaf)s was reached.",
        target=decimal(f["target"], 0),
        vmaf=decimal(f["vmaf"], 0),
    ),
    "voice_louder": lambda f: _("The voice was quiet and has been made louder by %(db)s dB.", db=decimal(f["gain_db"])),
    "voice_quieter": lambda f: _(
        "The voice was loud and has been made quieter by %(db)s dB.", db=decimal(-f["gain_db"])
    ),
    "voice_cleaned": lambda f: _("The noise of the room has been reduced by %(db)d dB.", db=f["db"]),
    "voice_speech": lambda f: _("Sound: speech, %(kbps)d kbit/s.", kbps=f["kbps"]),
    "voice_music": lambda f: _("Sound: music, %(kbps)d kbit/s.", kbps=f["kbps"]),
    "voice_in_budget": lambda f: _("The voice gave up bits for the picture: %(kbps)d kbit/s.", kbps=f["kbps"]),
}
CODES = frozenset(_SENTENCES)
