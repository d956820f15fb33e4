"""Languages and time zones of the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from flask import Flask, current_app, g, has_request_context, request
from flask_babel import Babel, format_date, format_datetime, format_decimal, format_time, get_locale
from flask_babel import gettext as _
from markupsafe import Markup

LANGUAGES = {"ru": "Русский", "en": "English"}
DEFAULT_LANGUAGE = "ru"
LANGUAGE_COOKIE = "tropa_language"
TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"
MOSCOW = ZoneInfo("Europe/Moscow")

babel = Babel()


def init_app(app: Flask, default_timezone: str) -> None:
    """Let pages speak the person's language and show times in the zone of the person's school."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(TRANSLATIONS)
    app.config["BABEL_DEFAULT_LOCALE"] = DEFAULT_LANGUAGE
    app.config["TROPA_TIMEZONE"] = default_timezone
    babel.init_app(app, locale_selector=_language, timezone_selector=lambda: viewer_zone().key)
    app.jinja_env.filters.update(
        {
            "when": when,
            "dated": dated,
            "clock": clock,
            "day": day,
            "zone_label": zone_label,
            "local": local,
            "decimal": decimal,
        }
    )
    app.jinja_env.globals.update(LANGUAGES=LANGUAGES, get_locale=get_locale, viewer_zone=viewer_zone)


def _language() -> str:
    if has_request_context() and request.path.startswith("/api/"):
        # A program names its language in each request or leaves it to the token's owner; browsers name the system's.
        named = request.accept_languages.best_match(LANGUAGES)
        if named:
            return named
    person = g.get("person")
    if person is not None and person.locale in LANGUAGES:
        return person.locale
    asked = request.cookies.get(LANGUAGE_COOKIE, "") if has_request_context() else ""
    return asked if asked in LANGUAGES else DEFAULT_LANGUAGE


def current_language() -> str:
    """Return the language in which this request is answered: "ru" or "en"."""
    return _language()


def viewer_zone() -> ZoneInfo:
    """Return the zone that the viewer has chosen, else that of their first school, else the installation's."""
    if "zone" not in g:
        person = g.get("person")
        chosen = person.timezone if person is not None else None
        g.zone = ZoneInfo(chosen or usual_zone())
    return g.zone


def usual_zone() -> str:
    """Return the zone of the viewer's first school, else the installation's: what holds while none is chosen."""
    person = g.get("person")
    schools = [m.school for m in person.memberships if m.school] if person is not None else []
    return schools[0].timezone if schools else current_app.config["TROPA_TIMEZONE"]


def local(value: datetime, zone: str | None = None) -> datetime:
    """Turn an aware time into the wall clock of a zone (the viewer's unless named)."""
    return value.astimezone(ZoneInfo(zone) if zone else viewer_zone())


def when(value: datetime, zone: str | None = None) -> Markup:
    """Write a moment as a <time> element: day, month and clock in the viewer's zone, UTC for machines."""
    return _time_element(value, format_datetime(local(value, zone), "d MMMM, HH:mm", rebase=False))


def dated(value: datetime, zone: str | None = None) -> Markup:
    """Write a moment with its year: recordings stay for years."""
    return _time_element(value, format_datetime(local(value, zone), "d MMMM y, HH:mm", rebase=False))


def clock(value: datetime, zone: str | None = None) -> Markup:
    """Write only the clock of a moment as a <time> element."""
    return _time_element(value, format_time(local(value, zone), "HH:mm", rebase=False))


def day(value: datetime, zone: str | None = None) -> str:
    """Write weekday, day and month of a moment."""
    return format_date(local(value, zone), "EEEE, d MMMM", rebase=False)


def _time_element(value: datetime, shown: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), shown)


def decimal(value: float, digits: int = 1) -> str:
    """Write a number with the comma or point of the viewer's language."""
    return format_decimal(round(value, digits))


def _offset(delta: timedelta) -> str:
    minutes = int(delta.total_seconds()) // 60
    sign, minutes = ("-" if minutes < 0 else "+"), abs(minutes)
    return f"{sign}{minutes // 60}" + (f":{minutes % 60:02d}" if minutes % 60 else "")


def zone_label(name: str, at: datetime | None = None) -> str:
    """Write a zone the way timetables do: MSK+4 (UTC+7). Offsets are those of the given moment, now by default."""
    at = at or datetime.now(UTC)
    offset = at.astimezone(ZoneInfo(name)).utcoffset() or timedelta()
    from_moscow = offset - (at.astimezone(MOSCOW).utcoffset() or timedelta())
    shift = _offset(from_moscow) if from_moscow else ""
    return _("MSK%(shift)s (UTC%(offset)s)", shift=shift, offset=_offset(offset))


def zone_choices(current: str = "") -> list[tuple[str, str]]:
    """List zones for a select as (name, label), Russia's first from west to east, with the current one always in it."""
    cities = {
        "Europe/Kaliningrad": _("Kaliningrad"),
        "Europe/Moscow": _("Moscow"),
        "Europe/Samara": _("Samara"),
        "Asia/Yekaterinburg": _("Yekaterinburg"),
        "Asia/Omsk": _("Omsk"),
        "Asia/Novosibirsk": _("Novosibirsk"),
        "Asia/Krasnoyarsk": _("Krasnoyarsk"),
        "Asia/Irkutsk": _("Irkutsk"),
        "Asia/Yakutsk": _("Yakutsk"),
        "Asia/Vladivostok": _("Vladivostok"),
        "Asia/Magadan": _("Magadan"),
        "Asia/Kamchatka": _("Kamchatka"),
        "Europe/Minsk": _("Minsk"),
        "Asia/Almaty": _("Almaty"),
        "Asia/Bishkek": _("Bishkek"),
        "Asia/Tashkent": _("Tashkent"),
        "Asia/Yerevan": _("Yerevan"),
        "UTC": "UTC",
    }
    if current and current not in cities and is_zone(current):
        cities[current] = current.rpartition("/")[2].replace("_", " ")
    return [(name, f"{city} – {zone_label(name)}") for name, city in cities.items()]


_ZONES = frozenset(available_timezones())


def is_zone(name: str) -> bool:
    """Say whether a name is a zone of the IANA database."""
    return name in _ZONES
