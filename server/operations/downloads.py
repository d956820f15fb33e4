"""What schools download by, and the computers that fetch for them: who may, what is made, what they are given."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import gettext as _

from rules import rights
from rules.downloads import Offered, Terms, best_file
from rules.lifecycle import RenditionState
from rules.renditions import Kind
from rules.rights import Actor
from server import access
from server.operations.recordings import require_ready
from server.problems import Problem
from store import database, library, mirrors, people, programme
from store.deliverymodels import SchoolMirror
from store.models import Rendition, School

MAX_MIRRORS = 20
# A clock that is further ahead is wrong, and what it says would stand on a page for years.
AHEAD = timedelta(days=1)


def managed(school_id: str, actor: Actor) -> School:
    """Load a school whose downloads the actor may set; 404 without such a school, 403 where they may not."""
    school = people.school(school_id)
    access.require(
        rights.may_set_downloads(actor, school_id),
        _("A school's downloads are set by its own people and by coordinators. Nothing was changed."),
    )
    if school is None:
        raise Problem(404, _("There is no such school."))
    return school


def add_mirror(school: School, name: str, actor: Actor) -> tuple[SchoolMirror, str]:
    """Let one more computer fetch for a school; returns row and token. Raises Problem 409 where there are too many."""
    with database.write(database.LOCK_PEOPLE):
        if len(mirrors.mirrors(school.id)) >= MAX_MIRRORS:
            detail = _("There are %(count)s tokens already; revoke one first.", count=MAX_MIRRORS)
            raise Problem(409, detail, slug="too-many")
        return mirrors.create(school.id, name, actor.person_id, database.utc_now())


def by_token(now: datetime) -> SchoolMirror:
    """Find which school's computer asks. Raises Problem 401."""
    token = access.bearer()
    found = mirrors.find(token, now) if token else None
    if found is None:
        raise Problem(
            401,
            _("This token is unknown, expired or revoked."),
            todo=_("A new one is made on the school's page for downloads."),
            headers={"WWW-Authenticate": 'Bearer realm="Tropa"'},
        )
    return found


def subscribed(mirror: SchoolMirror) -> list[Rendition]:
    """List the files that a school takes: of the chosen kinds, else the best one of each recording."""
    wanted = mirrors.choice(mirror.school_id)
    files = mirrors.files_for(mirror.school_id, wanted)
    if wanted.kinds:
        return files
    # The month is left out: near its end the best file would turn smaller, and be fetched beside the one that is there.
    terms = Terms(mirror.school.link_down_kbps, wanted.rate_kbps, wanted.window)
    by_recording: dict[str, list[Rendition]] = {}
    for file in files:
        by_recording.setdefault(file.recording_id, []).append(file)
    found = []
    for some in by_recording.values():
        best = best_file([Offered(file.kind, file.bytes) for file in some], terms)
        found += [file for file in some if best is not None and file.kind == best.kind]
    return found


def for_mirror(rendition_id: str, mirror: SchoolMirror) -> Rendition:
    """Load a published file that is for a school's computer; 404 otherwise."""
    rendition = library.rendition(rendition_id)
    if rendition is None or rendition.kind == Kind.SOURCE or not _is_for(rendition, mirror):
        raise Problem(404, _("There is no such file."))
    require_ready(rendition)
    return rendition


def keep_report(mirror: SchoolMirror, data: dict, now: datetime) -> tuple[list[str], list[str]]:
    """Keep what a computer tells; returns the files whose receipts were kept, and those that are unknown by now."""
    mirrors.note_usage(mirror.id, data["month"], data["month_bytes"], data["said"])
    kept, unknown = [], []
    for receipt in data["receipts"]:
        file = library.rendition(receipt["file"])
        is_known = file is not None and file.state == RenditionState.PUBLISHED and file.sha256 == receipt["sha256"]
        if is_known and file.kind != Kind.SOURCE and _is_for(file, mirror):
            at = min(receipt["verified_at"], now + AHEAD)
            mirrors.keep_receipt(mirror.school_id, file.id, file.sha256, receipt["way"], at, now)
            kept.append(receipt["file"])
        else:
            unknown.append(receipt["file"])
    return kept, unknown


def _is_for(rendition: Rendition, mirror: SchoolMirror) -> bool:
    return rights.school_may_see(mirror.school_id, programme.session_facts(rendition.recording.session))
