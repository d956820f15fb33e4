"""People and their roles, as far as the asker's reach goes."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from rules import rights
from rules.rights import Actor, Role
from server import access, schemas
from server.problems import Problem
from server.roles import ROLES, role_at
from store import database, people
from store.models import Membership, Person

blueprint = Blueprint("people", __name__)

PER_PAGE = 100
DISTRICT = "district"  # stands for "no school" in a select, where an empty value means that nothing was chosen
LABELS = {"role": lazy_gettext("Role"), "place": lazy_gettext("Where")}


class RoleBody(schemas.Body):
    """A role and where it is held: a school's id or DISTRICT."""

    role = schemas.OneOf(tuple(role.value for role in Role), required=True)
    place = schemas.Line(most=16, least=1, required=True)


@blueprint.get("/people")
@access.may(rights.coordinates_anything)
def people_list() -> str:
    """List people with their roles; a school's coordinator sees that school's."""
    actor = access.current_actor()
    wanted = request.args.get("q", "").strip()[:100]
    school_id = request.args.get("school", "")[:16]
    rows = [row for row in visible(actor, school_id or None) if _matches(row, wanted)]
    last = max(1, -(-len(rows) // PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    return render_template(
        "people.html",
        rows=rows[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(rows),
        page=page,
        last=last,
        wanted=wanted,
        school_id=school_id,
        schools=_schools_of(actor),
        role_at=role_at,
    )


def _matches(row: Person, wanted: str) -> bool:
    return wanted.casefold() in f"{row.name} {row.email}".casefold()


def visible(actor: Actor, school_id: str | None) -> list[Person]:
    """List the people whom the actor may see: everybody's for the district, else those of the schools coordinated."""
    if rights.coordinates(actor, school_id):
        return people.persons(school_id)
    if school_id is not None:
        return []
    found = {row.id: row for school in _schools_of(actor) for row in people.persons(school.id)}
    return sorted(found.values(), key=lambda row: (row.name, row.id))


def _schools_of(actor: Actor) -> list:
    return [school for school in people.schools() if rights.coordinates(actor, school.id)]


def places(actor: Actor) -> list[tuple[str, str]]:
    """List where the actor may give roles, for a select."""
    district = [(DISTRICT, _("whole district"))] if rights.coordinates(actor, None) else []
    return district + [(school.id, school.name) for school in _schools_of(actor)]


def role_choices(actor: Actor) -> list[tuple[str, str]]:
    """List the roles that the actor may give somewhere, for a select."""
    return [
        (role.value, str(text))
        for role, text in ROLES.items()
        if role is not Role.ADMINISTRATOR or rights.may_administer(actor)
    ]


def chosen_place(actor: Actor, form: schemas.Form) -> tuple[Role, str | None] | None:
    """Return the role and school that a checked form names, or None with the reason on the form."""
    role, place = Role(form.data["role"]), form.data["place"]
    school_id = None if place == DISTRICT else place
    if school_id is not None and people.school(school_id) is None:
        form.refuse("place", _("There is no such school."))
    elif role is Role.ADMINISTRATOR and school_id is not None:
        form.refuse("place", _("Administrators are for the whole district only."))
    elif not rights.may_invite_person(actor, role, school_id):
        form.refuse("role", _("You cannot give this role there; the district's coordinator can."))
    else:
        return role, school_id
    return None


@blueprint.get("/people/<person_id>")
@access.may(rights.coordinates_anything)
def person_page(person_id: str) -> str:
    """Show one person with their roles."""
    return _page(seen(person_id), schemas.Form(RoleBody(), labels=LABELS))


def seen(person_id: str) -> Person:
    """Load a person whom the asker may know of; anybody else does not exist for them."""
    row = people.person(person_id)
    access.require_known(_is_known(row))
    return row


def _is_known(row: Person | None) -> bool:
    actor = access.current_actor()
    return row is not None and (rights.coordinates(actor, None) or any(in_reach(actor, m) for m in row.memberships))


def held(row: Person) -> frozenset[tuple[Role, str | None]]:
    return frozenset((Role(m.role), m.school_id) for m in row.memberships)


def in_reach(actor: Actor, membership: Membership) -> bool:
    return rights.may_invite_person(actor, Role(membership.role), membership.school_id)


def _page(row: Person, form: schemas.Form) -> str:
    actor = access.current_actor()
    return render_template(
        "person.html",
        row=row,
        form=form,
        roles=[(m, role_at(m.role, m.school), in_reach(actor, m)) for m in row.memberships],
        manageable=rights.may_manage_person(actor, held(row)),
        is_self=row.id == actor.person_id,
        role_choices=role_choices(actor),
        places=places(actor),
    )


@blueprint.post("/people/<person_id>/roles")
@access.may(rights.coordinates_anything)
def add_role(person_id: str) -> str | Response | tuple[str, int]:
    """Give a person one more role."""
    row = seen(person_id)
    form = schemas.Form(RoleBody(), labels=LABELS)
    if form.check(request.form):
        chosen = chosen_place(access.current_actor(), form)
        if chosen is not None:
            people.grant(person_id, *chosen)
            flash(_("The role is given."))
            return redirect(f"/people/{person_id}")
    return _page(row, form), 422


@blueprint.post("/people/<person_id>/roles/<int:membership_id>/remove")
@access.may(rights.coordinates_anything)
def remove_role(person_id: str, membership_id: int) -> Response:
    """Take a role away."""
    row = seen(person_id)
    membership = next((m for m in row.memberships if m.id == membership_id), None)
    if membership is None:
        abort(404)
    access.require(in_reach(access.current_actor(), membership))
    try:
        people.revoke_membership(membership_id)
    except people.LastAdministrator:
        raise last_administrator() from None
    flash(_("The role is taken away."))
    return redirect(f"/people/{person_id}" if _is_known(people.person(person_id)) else "/people")


@blueprint.post("/people/<person_id>/<any(disable, enable):what>")
@access.may(rights.coordinates_anything)
def switch(person_id: str, what: str) -> Response:
    """Disable an account, which ends its logins and tokens, or enable it again."""
    row = seen(person_id)
    actor = access.current_actor()
    access.require(rights.may_manage_person(actor, held(row)))
    access.require(
        row.id != actor.person_id,
        _("You cannot disable your own account; ask another coordinator."),
    )
    try:
        people.set_disabled(person_id, what == "disable", database.utc_now())
    except people.LastAdministrator:
        raise last_administrator() from None
    flash(_("The account is disabled.") if what == "disable" else _("The account is enabled."))
    return redirect(f"/people/{person_id}")


def last_administrator() -> Problem:
    return Problem(
        409,
        _("This is the district's last administrator; without one nobody could make another. Nothing was changed."),
        title=_("One administrator must stay"),
        todo=_("Give the role to somebody else first."),
        slug="last-administrator",
    )
