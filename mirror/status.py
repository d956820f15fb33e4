"""Say in words what a mirror has, what it does, and what troubles it: for `status` and for its page."""

from __future__ import annotations

from datetime import UTC, datetime

from mirror import receipts
from mirror.action import SPARE_BYTES, Do
from mirror.folder import Folder
from mirror.night import DISK_FULL
from mirror.quota import MEGABYTE
from mirror.state import State
from mirror.texts import Words, size
from rules.nightwindow import clock

# A disk with less than this takes no note of being full, so it is asked itself.
NOTE_BYTES = 1_000_000


def lines(folder: Folder, t: Words) -> list[str]:
    """Write a mirror's state, the most important first."""
    state = State.load(folder)
    return [
        *_trouble(folder, state, t),
        _now(state, t),
        *_lessons(folder, state, t),
        *_terms(state, t),
        *_contact(folder, state, t),
    ]


def _trouble(folder: Folder, state: State, t: Words) -> list[str]:
    what = DISK_FULL if folder.free_bytes() < NOTE_BYTES else state.trouble
    found = [t.gettext("Trouble: %(what)s.") % {"what": t.gettext(what)}] if what else []
    if state.clock.is_wrong(datetime.now(UTC)):
        found.append(t.gettext("This computer's clock is wrong. The server's time is used; please set the clock."))
    return found


def _now(state: State, t: Words) -> str:
    match state.do:
        case Do.FETCH:
            percent = 100 * state.done // state.size if state.size else 0
            return t.gettext("Fetching: %(title)s, %(percent)d %% of %(size)s.") % {
                "title": state.title,
                "percent": percent,
                "size": size(t, state.size),
            }
        case Do.SLEEP:
            return t.gettext("Waiting for the night. Until then nothing goes over the internet.")
        case Do.MONTH:
            return t.gettext(
                "This month's megabytes are used up. It goes on with the next month, or when the limit is raised."
            )
        case Do.PAUSE:
            return t.gettext("Trying again in a moment; what has come is kept.")
        case Do.DISK:
            return t.gettext(
                "The disk is full: %(title)s needs %(size)s. Make room; everything goes on by itself then."
            ) % {
                "title": state.title,
                "size": size(t, state.size + SPARE_BYTES),
            }
        case Do.REFRESH | Do.REPORT:
            return t.gettext("Asking the server what is new.")
        case Do.REST:
            return t.gettext("Everything is here.")
    return t.gettext("Not at work yet. Start it: python -m mirror run")


def _lessons(folder: Folder, state: State, t: Words) -> list[str]:
    here = [manifest.offer for _path, manifest in folder.manifests() if folder.has(manifest.offer)]
    total = size(t, sum(one.bytes for one in here))
    found = [
        t.ngettext(
            "%(num)d file is here and verified, %(size)s.", "%(num)d files are here and verified, %(size)s.", len(here)
        )
        % {"num": len(here), "size": total}
    ]
    missing = [one for one in (state.subscription.files if state.subscription else ()) if not folder.has(one)]
    if missing:
        left = size(t, sum(max(0, one.bytes - folder.begun_bytes(one)) for one in missing))
        found.append(
            t.ngettext(
                "%(num)d file is still to come, %(size)s.", "%(num)d files are still to come, %(size)s.", len(missing)
            )
            % {"num": len(missing), "size": left}
        )
    return found


def _terms(state: State, t: Words) -> list[str]:
    subscription = state.subscription
    if subscription is None:
        return []
    window = subscription.window
    if window:
        night = t.gettext("Downloads from %(first)s to %(last)s") % {
            "first": clock(window.from_minute),
            "last": clock(window.to_minute),
        }
    else:
        night = t.gettext("Downloads at any hour")
    rate = t.gettext("%(rate)d kbit/s at most") % {"rate": subscription.rate_kbps} if subscription.rate_kbps else ""
    found = [f"{subscription.school}. {', '.join(part for part in (night, rate) if part)}."]
    used = size(t, state.usage.wire_bytes)
    if subscription.monthly_mb is not None:
        most = size(t, subscription.monthly_mb * MEGABYTE)
        found.append(t.gettext("Used this month: %(used)s of %(most)s.") % {"used": used, "most": most})
    else:
        found.append(t.gettext("Used this month: %(used)s.") % {"used": used})
    return found


def _contact(folder: Folder, state: State, t: Words) -> list[str]:
    if not state.contact_at:
        return [t.gettext("The server was never reached.")]
    moment = datetime.fromisoformat(state.contact_at)
    if state.subscription is not None:
        moment = moment.astimezone(state.subscription.zone)
    found = [t.gettext("The server answered last: %(when)s.") % {"when": moment.strftime("%d.%m.%Y %H:%M")}]
    waiting = receipts.waiting(folder)
    if waiting:
        found.append(
            t.ngettext("%(num)d receipt waits to be told.", "%(num)d receipts wait to be told.", waiting)
            % {"num": waiting}
        )
    return found
