"""The page of a lesson's guests: personal links for teachers without an account."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from rules import rights
from rules.rights import Actor, SessionFacts
from server import access
from server.lessonschemas import GuestBody
from server.operations import guests as operations
from server.operations.outcome import Trouble
from server.schemas import Form
from store import database, people
from store.models import Guest, Session

blueprint = Blueprint("guests", __name__)

LABELS = {"name": _l("Name"), "school_id": _l("School")}


@blueprint.route("/sessions/<session_id>/guests", methods=["GET", "POST"])
@access.signed_in
def guest_list(session_id: str) -> str | Response | tuple[str, int]:
    """List a lesson's personal links and make one more."""
    actor = access.current_actor()
    session, facts, found = operations.seen(session_id, actor)
    form = Form(GuestBody(), {}, LABELS)
    status = 200
    if request.method == "POST" and form.check(request.form):
        result = operations.invite(session, facts, form.data, actor, database.utc_now(), form.key)
        if not isinstance(result, Trouble):
            flash(_("The link is ready. Copy it and send it to %(name)s.", name=result.name))
            return redirect(f"/sessions/{session.id}/guests", 303)
        status = result.status
        for name, texts in result.errors.items():
            for text in texts:
                form.refuse(name, text)
    return _page(form, actor, session, facts, found), 422 if form.errors and status == 200 else status


@blueprint.post("/sessions/<session_id>/guests/<guest_id>/revoke")
@access.signed_in
def revoke_guest(session_id: str, guest_id: str) -> Response:
    """Take a personal link back."""
    operations.revoke(session_id, guest_id, access.current_actor(), database.utc_now())
    flash(_("The link no longer works."))
    return redirect(f"/sessions/{session_id}/guests", 303)


def _page(form: Form, actor: Actor, session: Session, facts: SessionFacts, found: list[Guest]) -> str:
    now, closed = database.utc_now(), operations.why_closed(session.state)
    schools = [s for s in people.schools() if rights.may_invite_guest(actor, facts, s.id)]
    shown = [
        {
            "id": row.id,
            "name": row.name,
            "school": row.school.name if row.school else "",
            "url": None if closed else operations.link(row, now),
            "gone": _("expired"),
        }
        for row in found
    ]
    return render_template(
        "guests.html",
        form=form,
        session=session,
        guests=shown,
        closed=closed,
        schools=[(s.id, s.name) for s in schools],
        school_required=not rights.may_invite_guest(actor, facts, None),
    )
