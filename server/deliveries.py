"""What pages and API say of downloads: the best file for a school, its terms in words, arrivals at schools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask_babel import gettext, ngettext
from flask_babel import gettext as _

from rules.downloads import Best, Fit, Offered, Terms, best_file
from rules.lifecycle import RenditionState
from rules.nightwindow import clock
from rules.renditions import Kind
from rules.rights import Actor
from server import i18n, words
from store import mirrors, people
from store.deliverymodels import SchoolMirror
from store.models import Recording, Rendition, School


@dataclass(frozen=True, slots=True)
class ForSchool:
    """The school that an asker's files are judged for, and what it downloads by."""

    school: School
    terms: Terms


@dataclass(frozen=True, slots=True)
class ArrivalRow:
    """One school with what has arrived there, in words."""

    school: str
    text: str
    arrived: bool


def for_asker(actor: Actor, now: datetime) -> ForSchool | None:
    """Load the school of somebody who belongs to one, with its terms; None for the district's people and guests."""
    found = people.school(min(actor.schools)) if actor.schools else None
    return ForSchool(found, mirrors.terms(found, month_of(found, now))) if found is not None else None


def month_of(school: School, now: datetime) -> str:
    """Name the calendar month at a school, by which its megabytes are counted: "2026-11"."""
    return now.astimezone(ZoneInfo(school.timezone)).strftime("%Y-%m")


def offered(renditions: list[Rendition]) -> list[Offered]:
    """List what can be downloaded of these files."""
    return [Offered(row.kind, row.bytes) for row in renditions if row.state == RenditionState.PUBLISHED]


def best_of(renditions: list[Rendition], whose: ForSchool | None) -> Best | None:
    """Choose the best file for a school; None where there is none, or no school."""
    return best_file(offered(renditions), whose.terms) if whose is not None else None


def best_text(renditions: list[Rendition], whose: ForSchool) -> str:
    """Name the best file for a school: "small video, 21 MB, 45 min at night"; "" where there is none."""
    best = best_of(renditions, whose)
    return told(best, whose.terms) if best is not None else ""


def told(best: Best, terms: Terms) -> str:
    """Write a file's name, size and time at the school's rate, and what stands against it."""
    name = str(words.FILES[Kind(best.kind)])
    parts = [name[:1].lower() + name[1:], words.size(best.bytes)]
    if best.minutes is not None:
        length = words.minutes(best.minutes)
        parts.append(_("%(length)s at night", length=length) if terms.window else length)
    if best.fit is Fit.NIGHTS:
        parts.append(ngettext("takes %(num)d night", "takes %(num)d nights", best.nights))
    elif best.fit is Fit.OVER_QUOTA:
        parts.append(_("more than is left of this month's megabytes"))
    elif best.fit is Fit.SLOW:
        parts.append(_("better at night"))
    elif best.fit is Fit.UNKNOWN:
        parts.append(_("the smallest, as the school's link was never tested"))
    return ", ".join(parts)


def terms_text(whose: ForSchool) -> str:
    """Write what a school downloads by: "256 kbit/s, at night from 22:00 to 06:00, 1.2 GB left this month"."""
    terms, parts = whose.terms, []
    parts.append(_("%(rate)d kbit/s", rate=terms.rate_kbps) if terms.rate_kbps else _("link not measured"))
    if terms.window:
        first, last = clock(terms.window.from_minute), clock(terms.window.to_minute)
        parts.append(_("at night from %(first)s to %(last)s", first=first, last=last))
    if terms.left_bytes is not None:
        parts.append(_("%(size)s left this month", size=words.size(terms.left_bytes)))
    return ", ".join(parts)


def arrival_rows(recording: Recording) -> tuple[str, list[ArrivalRow]]:
    """Say at how many of its schools a recording has arrived, and what where; "" and nothing where it is for none."""
    found = mirrors.arrivals(recording)
    rows = []
    for one in found:
        texts = []
        for kind, receipt in one.receipts.items():
            name = str(words.FILES[Kind(kind)])
            way = f", {_('by USB stick')}" if receipt.way == "usb" else ""
            texts.append(f"{name[:1].lower() + name[1:]}, {i18n.day(receipt.verified_at)}{way}")
        rows.append(ArrivalRow(one.school.name, "; ".join(texts) or _("not yet"), bool(texts)))
    arrived = sum(row.arrived for row in rows)
    if not rows:
        return "", []
    return (
        ngettext(
            "Arrived at %(arrived)d of %(num)d school.",
            "Arrived at %(arrived)d of %(num)d schools.",
            len(rows),
            arrived=arrived,
        ),
        rows,
    )


def mirror_text(row: SchoolMirror, school: School, now: datetime) -> list[str]:
    """Say when a school's computer was last heard of, what it has used this month, and what troubles it."""
    if row.last_seen_at is None:
        parts = [_("not heard of yet; start it there")]
    else:
        parts = [_("last heard of: %(when)s", when=i18n.day(row.last_seen_at))]
    if row.month == month_of(school, now):
        parts.append(_("%(size)s on the wire this month", size=words.size(row.month_bytes)))
    if row.said:
        parts.append(_("says: %(said)s", said=gettext(row.said)))
    return parts
