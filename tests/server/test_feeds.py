"""Podcasts: for whoever knows the address, of what its owner may see today, until it is exchanged or given up."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from rules.rights import Role
from store import people
from store.database import utc_now
from store.models import Membership, db
from tests.server.lessons import BODY, TITLE, make_lessons

ITUNES = "{http://www.itunes.com/dtds/podcast-1.0.dtd}"


@pytest.fixture
def lessons(app, district):
    """A lesson of Sosnovka's for itself, with a voice file."""
    return make_lessons(app, district)


def address(browser) -> str:
    """Have a podcast made and return its path."""
    assert browser.post("/me/feed", {"kind": "voice_opus"}, page="/me").status_code == 302
    return re.search(r"/feed/[\w-]+\.xml", browser.get("/me").get_data(as_text=True))[0]


def test_a_podcast_brings_lessons_without_login(app, as_role, lessons) -> None:
    """Title, length, and an enclosure that can be fetched, in parts too."""
    path, program = address(as_role("teacher")), app.test_client()
    answer = program.get(path)
    assert answer.mimetype == "application/rss+xml"
    item = ElementTree.fromstring(answer.data).find("channel/item")
    assert item.find("title").text == TITLE
    assert item.find(f"{ITUNES}duration").text == "00:40:00"
    enclosure = item.find("enclosure")
    assert (enclosure.get("type"), enclosure.get("length")) == ("audio/ogg", str(len(BODY)))
    url = enclosure.get("url").replace("http://localhost", "")
    assert program.get(url).data == BODY
    part = program.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.data) == (206, BODY[10:20])
    again = program.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_it_brings_what_its_owner_may_see(app, as_role, lessons) -> None:
    """Another school's teacher has an empty one, and their secret opens no file of this lesson."""
    path = address(as_role("other_teacher"))
    program = app.test_client()
    assert b"<item>" not in program.get(path).data
    secret = path.removeprefix("/feed/").removesuffix(".xml")
    assert program.get(f"/feed/{secret}/{lessons.rendition}/x").status_code == 404


def test_rights_end_with_the_owner(app, as_role, district, lessons) -> None:
    """Whoever leaves the school hears no more of it; whoever is disabled hears nothing."""
    path, program = address(as_role("teacher")), app.test_client()
    secret = path.removeprefix("/feed/").removesuffix(".xml")
    assert program.get(f"/feed/{secret}/{lessons.rendition}/x").status_code == 200
    person = district.people["teacher"]
    with app.app_context():
        membership = db.session.query(Membership).filter_by(person_id=person).one().id
        people.revoke_membership(membership)
    assert program.get(f"/feed/{secret}/{lessons.rendition}/x").status_code == 404
    with app.app_context():
        people.grant(person, Role.TEACHER, district.schools["sosnovka"])
        people.set_disabled(person, True, utc_now())
    assert program.get(path).status_code == 404


def test_an_exchanged_address_no_longer_works(app, as_role, lessons) -> None:
    """Exchanging makes a new one, giving up leaves none; both end the old one at once."""
    teacher, program = as_role("teacher"), app.test_client()
    old = address(teacher)
    assert teacher.post("/me/feed/renew", page="/me").status_code == 302
    new = address(teacher)
    assert new != old and (program.get(old).status_code, program.get(new).status_code) == (404, 200)
    assert teacher.post("/me/feed/remove", page="/me").status_code == 302
    assert program.get(new).status_code == 404
    assert teacher.post("/me/feed/renew", page="/me").status_code == 404


def test_a_kind_that_is_none_is_refused(as_role, lessons) -> None:
    """A zip or the source is no episode."""
    for kind in ("pack", "source", "", "../x"):
        assert as_role("teacher").post("/me/feed", {"kind": kind}, page="/me").status_code == 422
