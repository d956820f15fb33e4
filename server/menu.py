"""The main menu: what a person may open, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request
from flask_babel import gettext as _

from rules import rights
from server.access import current_actor

# Which paths belong to an entry; the first that fits is marked.
BELONGS = {
    "/week": ("/week", "/sessions"),
    "/seminars": ("/seminars",),
    "/library": ("/library", "/recordings", "/storage"),
    "/uploads/": ("/uploads",),
    "/schools": ("/schools",),
    "/link-test": ("/link-test",),
    "/people": ("/people", "/invitations"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of the menu."""

    url: str
    text: str
    current: bool


def items() -> list[Item]:
    """List the entries for whoever asks; the one of the page shown is marked."""
    actor = current_actor()
    if actor.person_id is None:
        return []
    found = [("/week", _("Week")), ("/seminars", _("Seminars")), ("/library", _("Library"))]
    if rights.may_book_something(actor):
        found.append(("/uploads/", _("Upload")))
    if rights.coordinates_anything(actor):
        found += [("/schools", _("Schools")), ("/people", _("People"))]
    here = next((url for url, under in BELONGS.items() if request.path.startswith(under)), "")
    found.append(("/link-test", _("Link test")))
    return [Item(url, text, url == here) for url, text in found]
