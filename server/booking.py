"""Pages to book, see, change and cancel a lesson."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from rules import rights
from rules.lifecycle import SessionState
from rules.rights import Actor, Audience
from rules.schedule import MAX_MINUTES
from server import access, deliveries, doors, i18n, linkwords, rows, words
from server.lessonschemas import LessonForm
from server.operations import guests
from server.operations import sessions as operations
from server.operations.outcome import Trouble
from server.schemas import Form
from store import database, library, people, programme, seminars
from store.models import School, Session

blueprint = Blueprint("booking", __name__)

LABELS = {
    "title": _l("Title"),
    "kind": _l("Kind"),
    "subject": _l("Subject"),
    "grades": _l("Grades"),
    "date": _l("Day"),
    "time": _l("Start"),
    "minutes": _l("Length"),
    "host_school_id": _l("Host school"),
    "host_person_id": _l("Host"),
    "seminar_id": _l("Seminar"),
    "description": _l("What it is about"),
    "audience": _l("Who may watch"),
    "invited": _l("Invited schools"),
    "start": _l("Start"),
}
DEFAULT_MINUTES = 45


@blueprint.route("/sessions/new", methods=["GET", "POST"])
@access.may(rights.may_book_something)
def new_session() -> str | Response | tuple[str, int]:
    """Book a lesson; a form with something wrong comes back filled in."""
    actor = access.current_actor()
    form = Form(LessonForm(), _blank(actor), LABELS)
    if request.method == "GET":
        return _form_page(form, _("Book a lesson"), _("Book"), "/week")
    if form.check(request.form):
        result = operations.book(_fields(form), actor, database.utc_now(), form.key)
        if not isinstance(result, Trouble):
            if not result.repeated:
                flash(_("Booked: live channel %(channel)s is yours.", channel=result.channel))
            return redirect(f"/sessions/{result.session_id}", 303)
        return _form_page(form, _("Book a lesson"), _("Book"), "/week", trouble=result)
    return _form_page(form, _("Book a lesson"), _("Book"), "/week")


@blueprint.route("/sessions/<session_id>/edit", methods=["GET", "POST"])
@access.may(rights.may_book_something)
def edit_session(session_id: str) -> str | Response | tuple[str, int]:
    """Change a lesson."""
    actor = access.current_actor()
    session, _facts = operations.editable(session_id, actor)
    back, heading = f"/sessions/{session.id}", _("Change the lesson")
    form = Form(LessonForm(), _typed(session), LABELS)
    version = operations.revision(session)
    if request.method == "POST":
        operations.require_unchanged(session, request.form.get("version", ""))
    trouble = None
    if request.method == "POST" and form.check(request.form):
        result = operations.change(session, _fields(form), actor, database.utc_now())
        if not isinstance(result, Trouble):
            flash(_("Saved."))
            return redirect(back, 303)
        trouble = result
    return _form_page(form, heading, _("Save"), back, trouble=trouble, version=version, session=session)


@blueprint.get("/sessions/<session_id>")
@access.signed_in_or_guest
def session_page(session_id: str) -> str:
    """Show one lesson with what the reader may do with it."""
    actor, now = access.current_actor(), database.utc_now()
    session, facts = operations.seen(session_id, actor)
    may_host = rights.may_host(actor, facts)
    open_doors = doors.doors(
        session.state,
        session.starts_at,
        session.minutes,
        now,
        may_host=may_host,
        may_watch=rights.may_watch(actor, facts),
    )
    schools = [link.school for link in session.invited]
    shows_links = may_host or rights.coordinates_anything(actor)
    held = session.state in (SessionState.LIVE, SessionState.ENDED)
    shown = library.recordings_of(session.id) if not actor.is_guest else []
    return render_template(
        "session.html",
        row=rows.session_row(session, now),
        doors=open_doors,
        zone=i18n.zone_label(i18n.viewer_zone().key, session.starts_at),
        may_edit=rights.may_edit_session(actor, facts) and session.state == SessionState.BOOKED,
        may_upload=rights.may_upload_to(actor, facts) and session.state != SessionState.CANCELLED,
        may_guests=rights.may_see_guests(actor, facts) and guests.why_closed(session.state) == "",
        invited=[{"name": s.name, "link": linkwords.link(s) if shows_links else ""} for s in schools],
        links=_links_text(session, schools) if shows_links else [],
        recordings=[
            {
                "id": r.id,
                "started_at": r.started_at,
                "text": rows.recording_text(r),
                "arrived": deliveries.arrival_rows(r)[0] if rights.may_see_arrivals(actor, facts) else "",
            }
            for r in shown
        ],
        attendance=_attendance(session) if held and rights.may_see_attendance(actor, facts) else None,
    )


@blueprint.route("/sessions/<session_id>/cancel", methods=["GET", "POST"])
@access.may(rights.may_book_something)
def cancel_session(session_id: str) -> str | Response:
    """Ask once more, then cancel."""
    session, _facts = operations.editable(session_id, access.current_actor())
    if request.method == "GET":
        return render_template("session_cancel.html", session=session)
    operations.cancel(session, database.utc_now())
    flash(_("The lesson is cancelled and its time is free."))
    return redirect(f"/sessions/{session.id}", 303)


def _fields(form: Form) -> dict:
    """Return the checked fields with the start as a moment: the suggestion that was clicked, else day and clock.

    A clock time that a change of clocks skips is taken as the moment after the gap (PEP 495, fold 0).
    """
    data = dict(form.data)
    local = datetime.combine(data.pop("date"), data.pop("time"), i18n.viewer_zone()).astimezone(UTC)
    data["starts_at"] = data.pop("start") or local
    return data


def _blank(actor: Actor) -> dict[str, object]:
    """Fill a new form in as far as the asker's place and the address tell."""
    schools = sorted(school for school in actor.schools if rights.may_book(actor, school, actor.person_id or ""))
    local = i18n.local(database.utc_now() + timedelta(days=1))
    return {
        "kind": "open_lesson",
        "date": request.args.get("date") or local.strftime("%Y-%m-%d"),
        "time": request.args.get("time") or "10:00",
        "minutes": DEFAULT_MINUTES,
        "host_school_id": schools[0] if schools else "",
        "host_person_id": actor.person_id if schools else "",
        "seminar_id": request.args.get("seminar", ""),
        "audience": Audience.DISTRICT.value,
    }


def _typed(session: Session) -> dict[str, object]:
    local = i18n.local(session.starts_at)
    names = (
        "title",
        "kind",
        "subject",
        "grades",
        "minutes",
        "host_school_id",
        "host_person_id",
        "description",
        "audience",
    )
    return {name: getattr(session, name) for name in names} | {
        "date": local.strftime("%Y-%m-%d"),
        "time": local.strftime("%H:%M"),
        "seminar_id": session.seminar_id or "",
        "invited": [link.school_id for link in session.invited],
    }


def _form_page(
    form: Form,
    heading: str,
    submit: str,
    back: str,
    *,
    trouble: Trouble | None = None,
    version: str = "",
    session: Session | None = None,
) -> tuple[str, int]:
    actor = access.current_actor()
    for name, texts in (trouble.errors if trouble else {}).items():
        for text in texts:
            form.refuse("date" if name == "starts_at" else name, text)
    status = trouble.status if trouble else 422 if form.errors else 200
    hosting = [s for s in people.schools() if rights.coordinates(actor, s.id) or s.id in actor.schools]
    programmes = [row for row, _first, _count in seminars.seminars(actor)]
    programmes = [row for row in programmes if rights.may_edit_seminar(actor, row.organiser_school_id)]
    if session is not None and session.seminar is not None and session.seminar not in programmes:
        programmes.append(session.seminar)
    everybody = people.schools()
    chosen = set(form.all("invited")) if form.value("audience") == Audience.INVITED else set()
    page = render_template(
        "session_form.html",
        form=form,
        heading=heading,
        submit=submit,
        back=back,
        clash=trouble.clash if trouble else None,
        version=version,
        zone=i18n.zone_label(i18n.viewer_zone().key),
        kinds=list(words.KINDS.items()),
        subjects=sorted({*library.subjects(actor), *map(str, words.SUBJECTS)}),
        max_minutes=MAX_MINUTES,
        schools=[(s.id, s.name) for s in hosting],
        hosts=_host_choices(actor, {s.id for s in hosting}),
        seminars=[(row.id, row.title) for row in programmes],
        audiences=[
            (Audience.DISTRICT, _("every school of the district")),
            (Audience.INVITED, _("invited schools only")),
        ],
        invitable=[(s.id, f"{s.name} – {linkwords.link(s)}") for s in everybody],
        links=linkwords.tally(s.link_down_kbps for s in everybody if not chosen or s.id in chosen),
        links_of_chosen=bool(chosen),
    )
    return page, status


def _host_choices(actor: Actor, school_ids: set[str]) -> list[tuple[str, str]]:
    """List who may lead lessons at these schools, each with the schools that it is about."""
    if not rights.coordinates_anything(actor):
        return [(actor.person_id or "", actor.name)]
    found = []
    for person in people.possible_hosts():
        places = [m.school.name for m in person.memberships if m.school is not None and m.school_id in school_ids]
        district = any(m.school_id is None for m in person.memberships)
        if places or district:
            where = ", ".join(dict.fromkeys(places)) or _("whole district")
            found.append((person.id, f"{person.name} – {where}"))
    return found


def _links_text(session: Session, invited: list[School]) -> list[str]:
    """Say how many of those whom the lesson is for get less than a moving picture, or were never measured."""
    district = session.audience == Audience.DISTRICT
    return linkwords.tally(s.link_down_kbps for s in (people.schools() if district else invited))


def _attendance(session: Session) -> list[dict[str, str]]:
    """Gather the stays of each viewer: name, school, first coming and minutes in all."""
    found: dict[str, dict] = {}
    for stay in programme.attendance(session.id):
        kept = found.setdefault(
            stay.viewer_key, {"name": stay.name, "school": stay.school.name if stay.school else "", "s": 0.0}
        )
        kept.setdefault("from", stay.joined_at)
        kept["s"] += (stay.left_at - stay.joined_at).total_seconds()
    zone = ZoneInfo(i18n.viewer_zone().key)
    for kept in found.values():
        since = kept["from"].astimezone(zone).strftime("%H:%M")
        kept["text"] = _(
            "from %(time)s, %(length)s in all", time=since, length=words.minutes(max(1, round(kept["s"] / 60)))
        )
    return list(found.values())
