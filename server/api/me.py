"""Who the token's owner is, how they are spoken to, and their own addresses.

Passwords, logins and tokens are for the page alone: who finds a token must not be able to keep its owner out.
"""

from __future__ import annotations

from flask import g
from flask_smorest import Blueprint

from rules.renditions import Kind
from server import access, feeds
from server.api.shapes import AddressesShape, PersonShape
from server.links import public_link
from server.me import ProfileBody
from store import database, people
from store import feeds as kept
from store.models import Person

blueprint = Blueprint("api-me", __name__, description="The owner of the token")


@blueprint.get("/me")
@access.signed_in
@blueprint.response(200, PersonShape)
def me() -> Person:
    """Return the owner of the token with their roles."""
    return g.person


@blueprint.patch("/me")
@access.signed_in
@blueprint.arguments(ProfileBody(partial=True))
@blueprint.response(200, PersonShape)
def change(data: dict) -> Person:
    """Change one's name, language or time zone; null is the zone of one's school."""
    person = g.person
    people.update_profile(person.id, name=data.get("name", person.name), locale=data.get("locale", person.locale))
    if "timezone" in data:
        people.set_timezone(person.id, data["timezone"])
    return people.person(person.id)


@blueprint.get("/me/addresses")
@access.signed_in
@blueprint.response(200, AddressesShape)
def addresses() -> dict:
    """Return one's calendar address, and the podcast's where there is one. Whoever knows them sees what one sees."""
    return _addresses()


@blueprint.post("/me/calendar")
@access.signed_in
@blueprint.response(200, AddressesShape)
def renew_calendar() -> dict:
    """Make a new calendar address; the old one stops working."""
    people.renew_calendar_secret(g.person.id)
    return _addresses()


@blueprint.put("/me/podcast")
@access.signed_in
@blueprint.arguments(feeds.FeedBody)
@blueprint.response(200, AddressesShape)
def choose_podcast(data: dict) -> dict:
    """Make a podcast address, or choose other files for the one that is there."""
    kept.set_kind(g.person.id, Kind(data["kind"]), database.utc_now())
    return _addresses()


@blueprint.post("/me/podcast/renew")
@access.signed_in
@blueprint.response(200, AddressesShape)
def renew_podcast() -> dict:
    """Make a new podcast address; the old one stops working. 404 where there is none."""
    access.require_known(kept.renew(g.person.id, database.utc_now()))
    return _addresses()


@blueprint.delete("/me/podcast")
@access.signed_in
@blueprint.response(204)
def remove_podcast() -> None:
    """Give the podcast address up. 404 where there is none."""
    access.require_known(kept.remove(g.person.id))


def _addresses() -> dict:
    person = people.person(g.person.id)
    podcast = kept.feed_of(person.id)
    return {
        "calendar": public_link(f"/calendar/{person.calendar_secret}.ics"),
        "podcast": feeds.address(podcast) if podcast else None,
        "podcast_kind": podcast.kind if podcast else None,
    }
