"""The library of recordings, and the page of one with player, files and progress."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from rules import rights
from rules.captions import MAX_END_MS, clock
from rules.lifecycle import RenditionState
from rules.renditions import Kind
from server import access, captions, deliveries, i18n, keeping, planwords, rows, timetable, words
from server.lessonschemas import ID
from server.operations import captions as spoken
from server.operations import recordings as operations
from server.operations.recordings import file_url
from server.problems import Problem
from store import captions as kept_captions
from store import database, library, people
from store.models import Recording

blueprint = Blueprint("library", __name__)

MAX_WORDS_CHARS = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the reader looks for, as the form shows it."""

    words: str
    subject: str
    grade: int | None
    school: str
    first: date | None
    last: date | None

    def filter(self) -> library.Filter:
        """Return it as the store understands it; days are those of the reader's zone."""
        zone = i18n.viewer_zone()
        return library.Filter(
            text=self.words,
            subject=self.subject,
            grade=self.grade,
            school_id=self.school or None,
            since=timetable.day_bounds(self.first, zone)[0] if self.first else None,
            before=timetable.day_bounds(self.last, zone)[1] if self.last else None,
        )


def asked() -> Wanted:
    """Read the filter from the query; raises Problem 422 naming the field that cannot be used."""
    grade = request.args.get("grade", "")
    if grade and not (grade.isascii() and grade.isdigit() and len(grade) < 3 and 1 <= int(grade) <= 11):
        raise _unusable("grade", _("A grade is a number from 1 to 11."))
    school = request.args.get("school", "")
    if school and not ID.fullmatch(school):
        raise _unusable("school", _("There is no such school."))
    return Wanted(
        words=_text("words"),
        subject=_text("subject"),
        grade=int(grade) if grade else None,
        school=school,
        first=_day("from"),
        last=_day("to"),
    )


def asked_page() -> int:
    """Read the page's number from the query, 1 where there is none that can be used."""
    return min(max(request.args.get("page", 1, type=int), 1), library.MAX_PAGE)


@blueprint.get("/library")
@access.signed_in
def recording_list() -> str:
    """Find recordings."""
    actor, wanted = access.current_actor(), asked()
    whose = deliveries.for_asker(actor, database.utc_now())
    page = library.search(actor, wanted.filter(), asked_page())
    moments = spoken.moments(page.items, wanted.words)
    kept = {name: value for name, value in request.args.items() if name != "page"}
    return render_template(
        "library.html",
        wanted=wanted,
        may_see_storage=rights.coordinates_anything(actor),
        narrowed=any((wanted.subject, wanted.grade, wanted.school, wanted.first, wanted.last)),
        subjects=library.subjects(actor),
        schools=people.schools(),
        found=ngettext("%(num)d recording found.", "%(num)d recordings found.", page.total),
        rows=[_row(recording, whose, moments.get(recording.id)) for recording in page.items],
        whose=whose,
        terms=deliveries.terms_text(whose) if whose else "",
        page=page.page,
        last=page.pages,
        url=lambda number: f"/library?{urlencode({**kept, 'page': number})}",
    )


@blueprint.get("/recordings/<recording_id>")
@access.signed_in
def recording_page(recording_id: str) -> str:
    """Show one recording: player, files with size and minutes, progress."""
    actor = access.current_actor()
    recording, facts = operations.seen(recording_id, actor)
    session = recording.session
    renditions = operations.shown_renditions(recording, actor, facts)
    whose = deliveries.for_asker(actor, database.utc_now())
    own_kbps = whose.terms.rate_kbps if whose else None
    files = [rows.file_row(row, file_url(row), own_kbps) for row in renditions]
    best = deliveries.best_of(renditions, whose)
    arrived, arrivals = "", []
    if rights.may_see_arrivals(actor, facts.session):
        arrived, arrivals = deliveries.arrival_rows(recording)
    return render_template(
        "recording.html",
        recording=recording,
        session=session,
        facts=_facts(recording),
        length=words.duration(recording.duration_s) if recording.duration_s else "",
        state=rows.recording_text(recording),
        failure=words.reason(recording.failure),
        gaps=rows.gap_texts(recording),
        notes=words.notes(recording.notes),
        plan=planwords.reasons(recording.plan),
        players=rows.players(files),
        files=files,
        whose=whose,
        best=deliveries.told(best, whose.terms) if best else "",
        best_url=next((file.url for file in files if best and file.kind == best.kind), ""),
        terms=deliveries.terms_text(whose) if whose else "",
        arrived=arrived,
        arrivals=arrivals,
        unfinished=not operations.is_finished(recording),
        may_retry=operations.may_retry(recording, actor, facts),
        may_cancel=operations.may_cancel(recording, actor, facts),
        may_set_slides=rights.may_set_slides(actor, facts),
        keeping=keeping.shown(recording),
        sources=operations.source_sizes(recording),
        captions=captions.rows([track for track in kept_captions.tracks(recording.id) if track.search_text]),
        may_caption=rights.may_edit_captions(actor, facts),
        moment=_moment(),
    )


@blueprint.get("/recordings/<recording_id>/progress")
@access.signed_in
def progress(recording_id: str) -> dict:
    """Say how far each file is, for the page's script."""
    actor = access.current_actor()
    recording, facts = operations.seen(recording_id, actor)
    files = [rows.file_row(row, "") for row in operations.shown_renditions(recording, actor, facts)]
    return {
        "text": rows.recording_text(recording),
        "done": operations.is_finished(recording),
        "ready": sum(1 for row in recording.renditions if row.state == RenditionState.PUBLISHED),
        "files": [
            {"kind": file.kind, "text": file.text, "running": file.running, "percent": file.percent} for file in files
        ],
    }


@blueprint.post("/recordings/<recording_id>/retry")
@access.signed_in
def retry(recording_id: str) -> Response:
    """Have failed and stopped files made again."""
    operations.retry(recording_id, access.current_actor())
    flash(_("The files will be made again."))
    return redirect(f"/recordings/{recording_id}", 303)


@blueprint.post("/recordings/<recording_id>/cancel")
@access.signed_in
def cancel(recording_id: str) -> Response:
    """Stop the making of files that are not ready yet."""
    operations.cancel(recording_id, access.current_actor())
    flash(_("The work on this recording has been stopped. Files that were ready are kept, and so is the recording."))
    return redirect(f"/recordings/{recording_id}", 303)


def _moment() -> str:
    """Have the players begin where a link of the search says (?at=seconds), as a Media Fragments URI 1.0 (4.2.1)."""
    at_s = request.args.get("at", 0, type=int)
    return f"#t={at_s}" if 0 < at_s <= MAX_END_MS // 1000 else ""


def _row(recording: Recording, whose: deliveries.ForSchool | None, moment: spoken.Moment | None) -> dict[str, object]:
    sizes = {row.kind: row.bytes for row in recording.renditions if row.is_available}
    parts = []
    for kind, text in ((Kind.VOICE_OPUS, _("voice")), (Kind.PACK, _("lesson pack")), (Kind.VIDEO_SMALL, _("video"))):
        if kind in sizes:
            parts.append(f"{text} {words.size(sizes[kind])}")
    length = words.duration(recording.duration_s) if recording.duration_s else ""
    on = format_date(i18n.local(recording.started_at), "d MMMM y", rebase=False)
    return {
        "id": recording.id,
        "title": recording.session.title,
        "facts": " · ".join(part for part in (on, _facts(recording), length) if part),
        "files": ", ".join(parts),
        "best": deliveries.best_text(recording.renditions, whose) if whose else "",
        "moment": _said(recording, moment) if moment else None,
    }


def _said(recording: Recording, moment: spoken.Moment) -> dict[str, str]:
    return {
        "url": f"/recordings/{recording.id}?at={moment.cue.start_ms // 1000}#player",
        "at": clock(moment.cue.start_ms, short=True),
        "text": moment.cue.text,
        "language": moment.language,
    }


def _facts(recording: Recording) -> str:
    session = recording.session
    parts = (session.subject, words.grades(session.grades), session.host_school.name)
    return " · ".join(part for part in parts if part)


def _text(name: str) -> str:
    text = request.args.get(name, "").strip()
    if len(text) > MAX_WORDS_CHARS or "\0" in text:
        raise _unusable(name, _("At most %(most)s characters, please.", most=MAX_WORDS_CHARS))
    return text


def _day(name: str) -> date | None:
    text = request.args.get(name, "")
    if not text:
        return None
    day = timetable.read_day(text)
    if day is None or not timetable.FIRST_DAY <= day <= timetable.LAST_DAY:
        raise _unusable(name, _("Write a day from 2000 to 2100, like 2026-11-23 or 23.11.2026."))
    return day


def _unusable(name: str, text: str) -> Problem:
    return Problem(422, text, slug="validation", extra={"errors": {name: [text]}})
