"""The interface's words for what the rules and tables name by keys."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from rules.intake import Note, Trouble
from rules.lifecycle import RecordingState, RenditionState, SessionKind
from rules.renditions import Kind, human_size
from server.i18n import decimal

KINDS = {
    SessionKind.OPEN_LESSON: _l("open lesson"),
    SessionKind.EXTRACURRICULAR: _l("extracurricular lesson"),
    SessionKind.ROUND_TABLE: _l("round table"),
    SessionKind.WEBINAR: _l("webinar"),
}
# Offered while typing; anything else may be written.
SUBJECTS = (
    _l("Mathematics"),
    _l("Russian language"),
    _l("Literature"),
    _l("English language"),
    _l("History"),
    _l("Geography"),
    _l("Biology"),
    _l("Physics"),
    _l("Chemistry"),
    _l("Informatics"),
    _l("World around us"),
    _l("Technology"),
    _l("Fine arts"),
    _l("Music"),
)
PHASES = {
    "cancelled": _l("cancelled"),
    "ended": _l("ended"),
    "live": _l("live now"),
    "due": _l("now"),
    "next": _l("ahead"),
}
FILES = {
    Kind.VOICE_OPUS: _l("Voice, smallest"),
    Kind.VOICE_AAC: _l("Voice for old players"),
    Kind.PACK: _l("Lesson pack: voice, slides, captions"),
    Kind.VIDEO_SMALL: _l("Small video"),
    Kind.VIDEO_COMPAT: _l("Video for old computers"),
    Kind.SOURCE: _l("As it was recorded"),
}
RECORDINGS = {
    RecordingState.WAITING: _l("waiting for its turn"),
    RecordingState.WORKING: _l("files are being made"),
    RecordingState.PUBLISHED: _l("ready"),
    RecordingState.FAILED: _l("no file could be made"),
    RecordingState.CANCELLED: _l("stopped"),
}
RENDITIONS = {
    RenditionState.WAITING: _l("waiting for its turn"),
    RenditionState.PIECES: _l("being made"),
    RenditionState.ENCODING: _l("being made"),
    RenditionState.VERIFYING: _l("being checked"),
    RenditionState.PUBLISHED: _l("ready"),
    RenditionState.FAILED: _l("could not be made"),
    RenditionState.CANCELLED: _l("stopped"),
    RenditionState.REMOVED: _l("removed"),
}
# What a browser needs to know before it fetches anything; the levels are those of 480p (AV1 3.0) and 360p (H.264 3.0).
PLAYER_TYPES = {
    Kind.VOICE_OPUS: 'audio/ogg; codecs="opus"',
    Kind.VOICE_AAC: 'audio/mp4; codecs="mp4a.40.2"',
    Kind.VIDEO_SMALL: 'video/mp4; codecs="av01.0.04M.08, opus"',
    Kind.VIDEO_COMPAT: 'video/mp4; codecs="avc1.42E01E, mp4a.40.2"',
}


def size(size_bytes: int) -> str:
    """Write a size as people read it: 1,4 MB."""
    human = human_size(size_bytes)
    unit = {"B": _("B"), "kB": _("kB"), "MB": _("MB"), "GB": _("GB")}[human.unit]
    return f"{decimal(human.value, human.decimals)}\u00a0{unit}"


def minutes(count: int) -> str:
    """Write a length in minutes, from an hour on in hours and minutes."""
    hours, rest = divmod(count, 60)
    if not hours:
        return ngettext("%(num)d min", "%(num)d min", count)
    if not rest:
        return _("%(hours)d h", hours=hours)
    return _("%(hours)d h %(minutes)02d min", hours=hours, minutes=rest)


def duration(seconds: float) -> str:
    """Write a length in seconds as m:ss or h:mm:ss."""
    whole = round(seconds)
    clock = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{clock}" if whole >= 3600 else clock.removeprefix("0")


def grades(text: str) -> str:
    """Write a grade set, e.g. "grades 1–4" with its dash; "" where a session is for no grade in particular."""
    if not text:
        return ""
    return _("grade %(grade)s", grade=text) if text.isdigit() else _("grades %(grades)s", grades=text.replace("-", "–"))


def rendition_progress(state: str, stage: str, percent: float, eta_s: float | None) -> str:
    """Write where a file stands: its stage, percent and the time left where they are known."""
    said = str(RENDITIONS[RenditionState(state)])
    if state not in (RenditionState.ENCODING, RenditionState.PIECES):
        return said
    if stage:
        said = f"{said} ({stage_name(stage)})"
    said = f"{said}, {percent:.0f}\u00a0%"
    return said if eta_s is None else ", ".join((said, _("%(time)s left", time=duration(eta_s))))


def stage_name(stage: str) -> str:
    """Write a worker's stage; one that has no word yet is shown as the worker names it."""
    return {
        "fetch": _("fetching"),
        "listen": _("listening"),
        "plan": _("looking at the lesson"),
        "encode": _("encoding"),
        "verify": _("checking"),
        "publish": _("storing"),
    }.get(stage, stage)


def seconds(length_s: float) -> str:
    """Write a short length: seconds up to two minutes, then minutes."""
    whole = max(1, round(length_s))
    return ngettext("%(num)d second", "%(num)d seconds", whole) if whole < 120 else minutes(round(whole / 60))


def reason(code: str) -> str:
    """Write a worker's reason (docs/pipeline.md) and what to do next; an unknown one stays as it is."""
    return {
        "checksum": _("the recorded file was changed or damaged on the disk; restore it from a backup"),
        "segment_missing": _("a recorded file is missing; restore it from a backup"),
        "manifest_damaged": _("the list of the recorded files is damaged; restore it from a backup"),
        "no_sound_or_picture": _(
            "there is neither sound nor picture in it; record the lesson again, or send the file that the camera made"
        ),
        "source_damaged": _("the recorded file was damaged in storage; restore it from a backup"),
        "source_missing": _("the recorded file is missing from storage; restore it from a backup"),
        "damaged": _("the recorded sound or picture is damaged; the administrator finds more in the log"),
        "disk_full": _("the server's disk is full; make room and try again"),
        "timeout": _("it took too long on this server; try again when the server has less to do"),
        "storage": _("the files could not be read or stored; check the storage and try again"),
        "voice_missing": _("there is no voice to put into it; see why the voice could not be made"),
        "deck_damaged": _("the file could not be read as PDF; save it as PDF again and attach it anew"),
        "deck_locked": _("the PDF is locked with a password; save it without one and attach it anew"),
        "deck_pages": _("the PDF has too many pages; attach only those of this lesson"),
        "deck_missing": _("the file is missing from storage; attach it anew"),
        "workers_died": _("every worker that took it was stopped; try again"),
        "internal": _("a fault in the program; the administrator finds more in the log"),
        **_of_uploads(),
    }.get(code, code)


def _of_uploads() -> dict[str, str]:
    """Return the words for what is wrong with an uploaded file (rules.intake.Trouble)."""
    return {
        Trouble.EMPTY: _("the file is empty; copy it from the camera once more and send it again"),
        Trouble.ARCHIVE: _("it is an archive; unpack it and send the recording that is in it"),
        Trouble.PLAYLIST: _("it is a list of other files, without sound or picture; send those files themselves"),
        Trouble.NOT_MEDIA: _("it is neither video nor sound; send the file that the camera or telephone made"),
        Trouble.UNFINISHED_MP4: _(
            "the camera was switched off before it could finish the file, so that its table of contents is missing; "
            "put the card back into the camera and switch it on, many cameras repair the file by themselves"
        ),
        Trouble.DAMAGED_MP4: _(
            "its table of contents is damaged; copy the file from the camera once more, or save it as MP4 in a video "
            "program, and send that"
        ),
        Trouble.LOCKED: _(
            "it is encrypted (DRM) and plays only with its owner's key; send the file that the camera or telephone made"
        ),
        Trouble.UNDECODABLE: _(
            "its sound and picture are in a format that is not known here; save it as MP4 in a video program"
        ),
        Trouble.TOO_LONG: _("it is longer than lessons may be here; cut it into parts and send them one by one"),
        Trouble.TOO_LARGE_PICTURE: _("its picture has more points than can be worked on; save it smaller, up to 8K"),
        Trouble.TOO_COSTLY: _(
            "reading it took too much memory or time, it is probably damaged; save it as MP4 in a video program"
        ),
    }


def notes(found: list[dict]) -> list[str]:
    """Write what people should know of a recording that was made of a file (rules.intake.Note)."""
    return [_note(one) for one in found]


def _note(note: dict) -> str:
    match note["code"]:
        case Note.CUT_OFF:
            return _(
                "The file is cut off: %(read)s of %(declared)s could be read.",
                read=duration(note["read_s"]),
                declared=duration(note["declared_s"]),
            )
        case Note.JOINED:
            return _(
                "The file is several recordings joined into one, and its times begin anew: only the first %(read)s "
                "could be used. Send the recordings one by one, or save the file as MP4 in a video program and send "
                "that.",
                read=duration(note["read_s"]),
            )
        case Note.ONE_OF_SEVERAL_SOUNDS:
            language = f" ({note['language']})" if note["language"] not in ("", "und") else ""
            return _(
                "The file has %(count)d sound tracks; number %(number)d%(language)s was taken.",
                count=note["count"],
                number=note["number"],
                language=language,
            )
        case Note.PICTURE_LEFT_OUT:
            return _("The picture could not be read (%(codec)s), the sound was taken.", codec=note["codec"] or "?")
        case Note.SOUND_LEFT_OUT:
            return _("The sound could not be read (%(codec)s), the picture was taken.", codec=note["codec"] or "?")
    return str(note["code"])
