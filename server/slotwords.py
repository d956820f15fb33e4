"""The interface's words for why a time cannot be had, and for free times offered instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask_babel import format_date, format_time
from flask_babel import gettext as _

from rules.schedule import MAX_AHEAD, MAX_MINUTES, MIN_MINUTES, Conflict, SlotFault, Suggestion
from server.i18n import local
from store.models import Session

# The form's field to which a fault belongs, and the API's.
FIELD_OF = {
    SlotFault.TOO_SHORT: "minutes",
    SlotFault.TOO_LONG: "minutes",
    SlotFault.NOT_FIVE_MINUTES: "minutes",
    SlotFault.IN_THE_PAST: "starts_at",
    SlotFault.TOO_FAR_AHEAD: "starts_at",
    SlotFault.BAD_YEAR: "starts_at",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A free time as a button: what is sent, and what is read."""

    value: str
    text: str


@dataclass(frozen=True, slots=True)
class ClashText:
    """What stands in the way, in words, and what is free instead."""

    reasons: list[str]
    suggestions: list[Choice]


def fault_text(fault: SlotFault) -> str:
    """Say why a start or a length cannot be booked."""
    return {
        SlotFault.TOO_SHORT: _("At least %(least)s minutes, please.", least=MIN_MINUTES),
        SlotFault.TOO_LONG: _("At most %(most)s minutes, please; or book two lessons.", most=MAX_MINUTES),
        SlotFault.NOT_FIVE_MINUTES: _("The length goes in steps of five minutes."),
        SlotFault.IN_THE_PAST: _("This time has passed. Choose a later one."),
        SlotFault.TOO_FAR_AHEAD: _("At most %(days)s days ahead can be booked.", days=MAX_AHEAD.days),
        SlotFault.BAD_YEAR: _("This year cannot be booked."),
    }[fault]


def conflict_texts(
    conflicts: Iterable[Conflict], sessions: Mapping[str, Session], visible: set[str], channels: int
) -> list[str]:
    """Say what is taken and by what; a session that the reader may not see is not named."""
    found: dict[str, None] = {}
    for conflict in conflicts:
        other = sessions.get(conflict.session_id)
        kind = conflict.resource.partition(":")[0]
        if kind == "channel":
            found[_("All live channels (%(count)d) are taken at this time.", count=channels)] = None
        elif kind == "host":
            found[_("The host leads another lesson at that time%(which)s.", which=_which(other, visible))] = None
        else:
            found[_("The host school's link is in use at that time%(which)s.", which=_which(other, visible))] = None
    return list(found)


def _which(session: Session | None, visible: set[str]) -> str:
    if session is None or session.id not in visible:
        return ""
    ends_at = session.starts_at + timedelta(minutes=session.minutes)
    span = f"{_clock(session.starts_at)}–{_clock(ends_at)}"
    return _(": “%(title)s”, %(span)s", title=session.title, span=span)


def choices(suggestions: Iterable[Suggestion], minutes: int) -> list[Choice]:
    """Make buttons of free times."""
    return [Choice(machine_time(s.starts_at), slot_text(s.starts_at, minutes)) for s in suggestions]


def slot_text(starts_at: datetime, minutes: int) -> str:
    """Write a slot in the viewer's zone: Tue, 24 November, 10:00–10:45."""
    on = format_date(local(starts_at), "EEE, d MMMM", rebase=False)
    return f"{on}, {_clock(starts_at)}–{_clock(starts_at + timedelta(minutes=minutes))}"


def machine_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _clock(moment: datetime) -> str:
    return format_time(local(moment), "HH:mm", rebase=False)
