"""Pure: iCalendar text (RFC 5545) of sessions, for files and subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from icalendar import Calendar, Event
from icalendar.enums import STATUS

PRODUCT = "-//Tropa//Tropa 0.1//EN"
REFRESH = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Entry:
    """One session as calendars see it. `revision` rises with every change (RFC 5546 2.1.4)."""

    session_id: str
    revision: int
    title: str
    description: str
    place: str
    url: str
    category: str
    starts_at: datetime
    minutes: int
    cancelled: bool
    created_at: datetime
    updated_at: datetime


def uid_of(session_id: str) -> str:
    """Return the UID of a session: the same for ever, whatever address the server is reached by (RFC 7986 5.3)."""
    return f"session-{session_id}@tropa"


def calendar_bytes(entries: Iterable[Entry], uid: str, name: str, url: str | None = None) -> bytes:
    """Return a VCALENDAR of the entries with METHOD:PUBLISH; times in UTC, so no VTIMEZONE is needed.

    The library writes the name as X-WR-CALNAME too, the only one that older readers (Outlook) know.
    """
    return Calendar.new(
        prodid=PRODUCT,
        method="PUBLISH",
        uid=uid,
        name=name,
        url=url,
        refresh_interval=REFRESH,
        subcomponents=[_event(entry) for entry in entries],
    ).to_ical()


def _event(entry: Entry) -> Event:
    return Event.new(
        uid=uid_of(entry.session_id),
        sequence=entry.revision,
        stamp=entry.updated_at,
        created=entry.created_at,
        last_modified=entry.updated_at,
        start=entry.starts_at,
        end=entry.starts_at + timedelta(minutes=entry.minutes),
        summary=entry.title,
        description=entry.description,
        location=entry.place,
        url=entry.url,
        categories=[entry.category],
        status=STATUS.CANCELLED if entry.cancelled else STATUS.CONFIRMED,
    )
