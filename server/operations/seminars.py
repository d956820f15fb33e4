"""Make and change seminars, and say which ones somebody may see."""

from __future__ import annotations

from datetime import datetime

from flask_babel import gettext as _

from rules import rights
from rules.rights import Actor
from server import access
from server.operations.outcome import Trouble, wrong
from store import database, people, repeats, seminars
from store.models import Seminar, Session


def seen(seminar_id: str, actor: Actor) -> tuple[Seminar, list[Session]]:
    """Load a seminar with those of its sessions that the actor may see; 404 where there is nothing for them."""
    seminar = seminars.get_seminar(seminar_id)
    found = seminars.seminar_sessions(seminar_id, actor, cancelled=True) if seminar is not None else []
    access.require_known(
        seminar is not None and (bool(found) or rights.may_edit_seminar(actor, seminar.organiser_school_id))
    )
    return seminar, found


def editable(seminar_id: str, actor: Actor) -> Seminar:
    """Load a seminar that the actor may change, else refuse."""
    seminar, _sessions = seen(seminar_id, actor)
    access.require(
        rights.may_edit_seminar(actor, seminar.organiser_school_id), _("Only its organisers may change this seminar.")
    )
    return seminar


def create(data: dict, actor: Actor, now: datetime, key: str) -> Seminar | Trouble:
    """Add a seminar from checked fields; the same request under the same key adds one."""
    refused = _refusal(data, actor)
    if refused is not None:
        return refused
    with database.write(database.LOCK_PEOPLE):
        before = repeats.made_before(actor.person_id, key, data)
        made = seminars.get_seminar(before) if before is not None else None
        if made is None:
            made = seminars.create_seminar(**data, created_by=actor.person_id, now=now)
            repeats.remember(actor.person_id, key, data, made.id, now)
    return made


def change(seminar: Seminar, data: dict, actor: Actor, now: datetime) -> Seminar | Trouble:
    """Change a seminar; the right to change it as it stands was asked before."""
    return _refusal(data, actor) or seminars.update_seminar(seminar.id, **data, now=now)


def _refusal(data: dict, actor: Actor) -> Trouble | None:
    school_id = data["organiser_school_id"]
    if school_id is not None and people.school(school_id) is None:
        return wrong("organiser_school_id", _("There is no such school."))
    if not rights.may_edit_seminar(actor, school_id):
        text = _("You organise seminars of your own school only; the district's coordinator does the others.")
        return Trouble(403, errors={"organiser_school_id": [text]}, message=text, slug="not-yours")
    return None
