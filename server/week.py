"""The week: what is booked, what is live, and where channels are free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from flask import Blueprint, render_template, request
from flask_babel import format_date
from flask_babel import gettext as _

from rules import rights
from rules.rights import Actor
from server import access, i18n, rows, timetable
from server.operations.sessions import channels
from server.problems import Problem
from server.timetable import Stretch
from store import booking, database, programme

blueprint = Blueprint("week", __name__)


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day of the week as the page shows it; `open`: something may still be booked on it."""

    date: date
    name: str
    today: bool
    open: bool
    rows: list[rows.SessionRow]
    stretches: list[Stretch]


@blueprint.get("/week")
@access.signed_in
def week() -> str:
    """Show one week, Monday to Sunday, in the reader's zone."""
    now = database.utc_now()
    monday = timetable.monday_of(asked_day(request.args.get("date"), now))
    days = _days(access.current_actor(), monday, now)
    sunday = monday + timedelta(days=6)
    heading = _(
        "%(first)s – %(last)s",
        first=format_date(monday, "d MMMM", rebase=False),
        last=format_date(sunday, "d MMMM y", rebase=False),
    )
    return render_template(
        "week.html",
        heading=heading,
        days=days,
        monday=monday,
        previous=_shifted(monday, -1),
        following=_shifted(monday, 1),
        zone=i18n.zone_label(i18n.viewer_zone().key, timetable.day_bounds(monday, i18n.viewer_zone())[0]),
        channels=channels(),
        may_book=rights.may_book_something(access.current_actor()),
    )


def asked_day(text: str | None, now: datetime) -> date:
    """Read the day that was asked for, today by default; raises Problem 422 for no day, and for years out of range."""
    if not text:
        return now.astimezone(i18n.viewer_zone()).date()
    day = timetable.read_day(text)
    if day is None or not timetable.FIRST_DAY <= day <= timetable.LAST_DAY:
        raise Problem(
            422,
            _("This day cannot be shown."),
            todo=_("Write a day from 2000 to 2100, like 2026-11-23 or 23.11.2026."),
            extra={"errors": {"date": [_("Write a day from 2000 to 2100, like 2026-11-23 or 23.11.2026.")]}},
        )
    return day


def _days(actor: Actor, monday: date, now: datetime) -> list[DayRow]:
    zone = i18n.viewer_zone()
    first, _end = timetable.day_bounds(monday, zone)
    _start, end = timetable.day_bounds(monday + timedelta(days=6), zone)
    shown = programme.sessions_between(actor, first, end, cancelled=True)
    taken = booking.taken_times(first, end)
    today = now.astimezone(zone).date()
    found = []
    for day in timetable.split_by_day(shown, monday, 7, zone):
        bounds = timetable.day_bounds(day.date, zone)
        found.append(
            DayRow(
                date=day.date,
                name=format_date(day.date, "EEEE, d MMMM", rebase=False),
                today=day.date == today,
                open=day.date >= today,
                rows=[rows.session_row(session, now) for session in day.items],
                stretches=timetable.taken_stretches(taken, channels(), *bounds) if day.date >= today else [],
            )
        )
    return found


def _shifted(monday: date, weeks: int) -> date | None:
    day = monday + weeks * timetable.WEEK
    return day if timetable.FIRST_DAY <= day <= timetable.LAST_DAY else None
