"""Podcast addresses: the feed of what a person may see, its files, and what is done with the address on one's page."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from flask import Blueprint, Response, abort, flash, redirect, request
from flask_babel import force_locale, lazy_gettext
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from rules.lifecycle import RenditionState
from rules.renditions import Kind
from rules.rights import Actor
from server import access, schemas, words
from server.files import stored_answer
from server.links import public_link
from server.operations import recordings as operations
from server.podcast import Channel, Episode, rss
from server.problems import Problem
from server.ranges import disposition
from store import database, feeds, library, people
from store.deliverymodels import Feed
from store.models import Recording, Rendition

blueprint = Blueprint("feeds", __name__)

# Voice that every podcast program plays comes first. A zip is no episode.
KINDS = (Kind.VOICE_AAC, Kind.VOICE_OPUS, Kind.VIDEO_COMPAT, Kind.VIDEO_SMALL)
EPISODES = 100
LABELS = {"kind": lazy_gettext("Which files")}


class FeedBody(schemas.Body):
    """Which files the podcast brings."""

    kind = schemas.OneOf(tuple(kind.value for kind in KINDS), required=True)


def choices() -> list[tuple[str, str]]:
    """List the kinds of files that a podcast may bring, with their names."""
    return [(kind.value, str(words.FILES[kind])) for kind in KINDS]


def address(row: Feed) -> str:
    """Return the podcast's address."""
    return public_link(f"/feed/{row.secret}.xml")


@blueprint.get("/feed/<secret>.xml")
@access.public
def feed(secret: str) -> Response:
    """Give the newest lessons that a person may see to a podcast program that knows the person's secret address."""
    found = feeds.person_by_secret(secret)
    if found is None:
        abort(404)
    person, row = found
    page = library.search(people.actor_of(person), library.Filter(), 1, EPISODES)
    with force_locale(person.locale):  # a podcast program brings no login and no cookie
        channel = Channel(
            title=_("Tropa: lessons"),
            description=_("Recorded lessons for %(name)s. Whoever knows this address hears them.", name=person.name),
            url=public_link("/library"),
            self_url=address(row),
            language=person.locale,
            begun_at=row.created_at,
        )
        files = [(one, file) for one in page.items for file in one.renditions if _is_ready(file, row.kind)]
        body = rss(channel, [_episode(one, file, row.secret) for one, file in files])
    response = Response(body, content_type="application/rss+xml; charset=utf-8")
    response.add_etag()
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request)


@blueprint.get("/feed/<secret>/<rendition_id>/<path:name>")
@access.public
def episode_file(secret: str, rendition_id: str, name: str) -> AnyResponse:
    """Send an episode's file to whoever knows the address, as far as its owner may have it today."""
    found = feeds.person_by_secret(secret)
    actor = people.actor_of(found[0]) if found is not None else Actor()
    rendition = operations.allowed_file(rendition_id, actor)
    if rendition is None or rendition.state != RenditionState.PUBLISHED or rendition.kind == Kind.SOURCE:
        abort(404)
    response = stored_answer(rendition)
    del response.headers["Link"]  # the manifests are for those who log in
    response.headers["Content-Disposition"] = disposition("inline", operations.file_name(rendition))
    return response


@blueprint.post("/me/feed")
@access.signed_in
def choose() -> AnyResponse:
    """Make a podcast address, or choose other files for the one that is there."""
    form = schemas.Form(FeedBody(), None, LABELS)
    if not form.check(request.form):
        raise Problem(422, _("Please choose one from the list."), slug="validation")
    feeds.set_kind(_person_id(), Kind(form.data["kind"]), database.utc_now())
    flash(_("Saved."))
    return redirect("/me#feed")


@blueprint.post("/me/feed/<any(renew, remove):what>")
@access.signed_in
def exchange(what: str) -> AnyResponse:
    """Exchange one's podcast address for a new one, or give it up; the old one stops working at once."""
    now: datetime = database.utc_now()
    if not (feeds.renew(_person_id(), now) if what == "renew" else feeds.remove(_person_id())):
        abort(404)
    if what == "renew":
        flash(_("The podcast has a new address. Enter it in your program; the old one no longer works."))
    else:
        flash(_("The podcast address no longer works."))
    return redirect("/me#feed")


def _person_id() -> str:
    return access.current_actor().person_id or ""


def _is_ready(file: Rendition, kind: str) -> bool:
    return file.kind == kind and file.state == RenditionState.PUBLISHED


def _episode(recording: Recording, file: Rendition, secret: str) -> Episode:
    session = recording.session
    facts = (session.subject, words.grades(session.grades), session.host_school.name)
    name = quote(operations.file_name(file), safe="")
    return Episode(
        guid=f"{recording.id}-{file.kind}@tropa",
        title=session.title,
        description="\n".join(part for part in (" · ".join(filter(None, facts)), session.description) if part),
        author=session.host_person.name,
        page_url=public_link(f"/recordings/{recording.id}"),
        file_url=public_link(f"/feed/{secret}/{file.id}/{name}"),
        bytes=file.bytes,
        content_type=file.content_type,
        published_at=recording.started_at,
        duration_s=file.duration_s,
    )
