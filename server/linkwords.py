"""What measured links are called in words: what they get, what to do about them, how many schools have which."""

from __future__ import annotations

from collections.abc import Iterable

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext

from rules import linktest
from rules.linktest import Advice, Gets, Measured, Way
from server.i18n import decimal
from store.models import LinkTest, School

GETS = {
    Gets.NOTHING: lazy_gettext("too slow even for the voice alone"),
    Gets.VOICE: lazy_gettext("voice and slides only"),
    Gets.STILL: lazy_gettext("voice, slides, a still picture now and then"),
    Gets.MOVING: lazy_gettext("voice and a picture, 5 frames a second"),
    Gets.BETTER: lazy_gettext("voice and a picture, 10 frames a second"),
    Gets.SMOOTH: lazy_gettext("voice and a smooth small picture (360 lines)"),
    Gets.FULL: lazy_gettext("voice and the host's own picture"),
}
WAYS = {
    Way.UDP: lazy_gettext("over the direct way of lessons (UDP)"),
    Way.TCP: lazy_gettext("over TCP, as the direct way is blocked"),
    Way.HTTP: lazy_gettext("as web pages come, not the way of lessons"),
}
ADVICE = {
    Advice.SLOW_DOWN: lazy_gettext(
        "This link carries little. During a lesson let nothing else use it: no updates, no downloads, no other videos. "
        "A cable is better than Wi-Fi. If it stays like this, ask the provider, and download recordings at night."
    ),
    Advice.SLOW_UP: lazy_gettext(
        "A lesson given from here would have the voice but no moving picture. Show slides, or switch the camera off."
    ),
    Advice.LOSS: lazy_gettext(
        "Parts of what is sent get lost on the way. Wi-Fi far from its router is the usual reason: try a cable, then "
        "test again."
    ),
    Advice.DELAY: lazy_gettext(
        "Everything arrives late, as over a satellite. The lesson is whole all the same; pause after a question."
    ),
    Advice.BLOCKED: lazy_gettext(
        "Something here blocks UDP. Lessons come over TCP all the same, but stumble more on a bad link. Ask whoever "
        "looks after the network to open UDP port %(port)s."
    ),
    Advice.NO_MEDIA: lazy_gettext(
        "The way that live lessons take (port %(port)s, UDP or TCP) could not be tried: this browser lacks it, or the "
        "network blocks it. These figures were measured as web pages come. Try a newer browser, and ask whoever looks "
        "after the network to open the port."
    ),
    Advice.FINE: lazy_gettext("This link is good for lessons. Nothing has to be done."),
}


def gets(kbps: int | None, loss_percent: float | None = None) -> str:
    """Say what a link of this rate gets; "link not measured" where it is unknown."""
    return str(GETS[linktest.gets(kbps, loss_percent)]) if kbps is not None else _("link not measured")


def rate(kbps: int | None) -> str:
    """Write a measured rate; at the ceiling it may be more."""
    if kbps is None:
        return _("not measured")
    if kbps >= linktest.CEILING_KBPS:
        return _("%(rate)d kbit/s or more", rate=linktest.CEILING_KBPS)
    return _("%(rate)d kbit/s", rate=kbps)


def percent(share: float) -> str:
    """Write percent with one decimal, as the reader's language does."""
    return f"{decimal(share)}\u00a0%"


def link(school: School) -> str:
    """Write a school's link towards it with what it gets."""
    kbps = school.link_down_kbps
    return _("link not measured") if kbps is None else f"{_('%(rate)d kbit/s', rate=kbps)}: {gets(kbps)}"


def measured(row: LinkTest) -> Measured:
    """Return a row's figures as the rules take them."""
    way = Way(row.way) if row.way else Way.HTTP
    return Measured(row.down_kbps, row.up_kbps, row.rtt_ms, row.loss_percent, way)


def verdict(row: LinkTest) -> list[str]:
    """Say what a link gets for watching and for giving a lesson."""
    said = []
    if row.down_kbps is not None:
        said.append(_("To watch lessons: %(gets)s.", gets=gets(row.down_kbps, row.loss_percent)))
    if row.up_kbps is not None:
        said.append(_("To give lessons: %(gets)s.", gets=gets(row.up_kbps)))
    return said


def advice(row: LinkTest, media_port: int) -> list[str]:
    """Say what to do about a link."""
    return [str(ADVICE[one]) % {"port": media_port} for one in linktest.advise(measured(row))]


def figures(row: LinkTest) -> list[tuple[str, str]]:
    """List what was measured, by name."""
    found = [(_("To here"), rate(row.down_kbps)), (_("From here"), rate(row.up_kbps))]
    if row.rtt_ms is not None:
        found.append((_("There and back"), _("%(ms)d ms", ms=row.rtt_ms)))
    if row.loss_percent is not None:
        found.append((_("Lost on the way"), percent(row.loss_percent)))
    found.append((_("Measured"), str(WAYS[measured(row).way])))
    return found


def tally(rates_kbps: Iterable[int | None]) -> list[str]:
    """Say how many schools get less than a moving picture, and how many were never measured; nothing where none."""
    found = linktest.tally(rates_kbps)
    said = []
    for what in (Gets.NOTHING, Gets.VOICE, Gets.STILL):
        count = found.by_gets.get(what, 0)
        if count:
            said.append(f"{_of(count, found.schools)}: {GETS[what]}")
    if found.unmeasured:
        said.append(f"{_of(found.unmeasured, found.schools)}: {_('not measured')}")
    return said


def _of(count: int, schools: int) -> str:
    return ngettext("%(count)d of %(num)d school", "%(count)d of %(num)d schools", schools, count=count)
