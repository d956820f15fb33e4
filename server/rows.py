"""What lists and pages show of sessions, attendance and recordings: words in the viewer's language, no decisions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from rules import leases
from rules.lifecycle import RecordingState, RenditionState, SessionKind
from rules.renditions import SHOWN_RATES_KBPS, VIDEO_KINDS, Kind, download_minutes
from server import keepwords, words
from server.timetable import Pause, phase_of
from store.models import Recording, Rendition, Session

RUNNING = (RenditionState.PIECES, RenditionState.ENCODING, RenditionState.VERIFYING)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session with the words that stand beside it."""

    session: Session
    kind: str
    grades: str
    phase: str
    phase_text: str
    ends_at: datetime
    length: str


@dataclass(frozen=True, slots=True)
class PauseRow:
    """A break in a programme."""

    text: str
    session: None = None


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a recording; `url` is "" until it can be downloaded, `own` the time at the reader's own school."""

    kind: str
    name: str
    url: str
    size: str
    own: str
    times: list[dict[str, str]]
    sha256: str
    manifest: str
    text: str
    renewed: bool
    running: bool
    percent: float


@dataclass(frozen=True, slots=True)
class Player:
    """One player of the page with its sources, best first."""

    tag: str
    heading: str
    sources: list[dict[str, str]]


def session_row(session: Session, now: datetime) -> SessionRow:
    """Dress one session for a page."""
    phase = phase_of(session.state, session.starts_at, session.minutes, now)
    return SessionRow(
        session=session,
        kind=str(words.KINDS[SessionKind(session.kind)]),
        grades=words.grades(session.grades),
        phase=phase,
        phase_text=str(words.PHASES[phase]),
        ends_at=session.starts_at + timedelta(minutes=session.minutes),
        length=words.minutes(session.minutes),
    )


def pause_row(pause: Pause) -> PauseRow:
    """Dress one break for a page."""
    return PauseRow(_("Break, %(length)s", length=words.minutes(pause.minutes)))


def recording_text(recording: Recording) -> str:
    """Say in one line how far a recording is."""
    state = RecordingState(recording.state)
    if state is not RecordingState.WORKING:
        return str(words.RECORDINGS[state])
    ready = sum(1 for rendition in recording.renditions if rendition.state == RenditionState.PUBLISHED)
    return ngettext(
        "%(ready)d of %(num)d file ready", "%(ready)d of %(num)d files ready", len(recording.renditions), ready=ready
    )


def gap_texts(recording: Recording) -> list[str]:
    """Say where in the recording the host was away and for how long."""
    return [
        _("at %(at)s for %(length)s", at=words.duration(gap["at_s"]), length=words.seconds(gap["seconds"]))
        for gap in recording.gaps
    ]


def file_row(rendition: Rendition, url: str, own_kbps: int | None = None) -> FileRow:
    """Dress one file of a recording for a page; `own_kbps` is what the reader's school downloads at."""
    # One that is made anew (a pack whose captions changed) can be had until the next one is there.
    published = rendition.is_available
    times = {rate: words.minutes(download_minutes(rendition.bytes, rate)) for rate in _rates(own_kbps) if published}
    text = words.rendition_progress(rendition.state, rendition.stage, rendition.percent, rendition.eta_s)
    if rendition.state == RenditionState.WAITING and rendition.error in leases.PATIENT:
        text = f"{text}: {words.reason(rendition.error)}"
    if rendition.state == RenditionState.REMOVED:
        text = keepwords.gone(rendition)
    if rendition.state == RenditionState.FAILED:
        text = _("could not be made: %(reason)s", reason=words.reason(rendition.error or "internal"))
    return FileRow(
        kind=rendition.kind,
        name=str(words.FILES[Kind(rendition.kind)]),
        url=url if published else "",
        size=words.size(rendition.bytes) if published else "",
        own=times.get(own_kbps, ""),
        times=[{"rate": str(rate), "text": times[rate]} for rate in SHOWN_RATES_KBPS if published],
        sha256=rendition.sha256,
        manifest=f"/manifests/{rendition.id}" if published else "",
        text=text,
        renewed=published and rendition.state != RenditionState.PUBLISHED,
        running=rendition.state in RUNNING,
        percent=round(rendition.percent, 1),
    )


def _rates(own_kbps: int | None) -> set[int]:
    return {*SHOWN_RATES_KBPS, own_kbps} if own_kbps else set(SHOWN_RATES_KBPS)


def players(files: list[FileRow]) -> list[Player]:
    """Choose players for what is published: a picture where there is one, and voice alone beside it.

    Browsers take the first source that they can play, so the smaller one (AV1, Opus) stands first.
    """
    ready = [file for file in files if file.url and Kind(file.kind) in words.PLAYER_TYPES]
    video = [_source(file) for file in ready if Kind(file.kind) in VIDEO_KINDS]
    voice = [_source(file) for file in ready if Kind(file.kind) not in VIDEO_KINDS]
    found = []
    if video:
        found.append(Player("video", _("Watch"), video))
    if voice:
        found.append(Player("audio", _("Listen: voice alone"), voice))
    return found


def _source(file: FileRow) -> dict[str, str]:
    return {"url": file.url, "type": words.PLAYER_TYPES[Kind(file.kind)]}
