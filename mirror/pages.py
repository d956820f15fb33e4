"""The pages that the school sees: a list with search, a lesson with its player, the state. No script of ours."""

from __future__ import annotations

from html import escape
from string import Template
from urllib.parse import quote, urlencode

from mirror.shapes import Offer
from mirror.shelf import Shelved
from mirror.texts import LANGUAGES, Words, is_russian, kind, length, size

VIDEO = ("video_small", "video_compat")
VOICE = ("voice_opus", "voice_aac")
PER_PAGE = 50


class Raw(str):
    """Text that is HTML already; everything else is escaped where it is put in."""

    __slots__ = ()


LAYOUT = Template("""<!doctype html>
<html lang="$language"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">$refresh<title>$title – $brand</title>
<link rel="icon" href="/static/tropa.svg" type="image/svg+xml"><link rel="stylesheet" href="/static/tropa.css"></head>
<body><header class="top">
<a class="brand" href="/"><img src="/static/tropa.svg" width="32" height="32" alt=""> $brand</a>
<div class="who"><a href="/state">$state</a> $others</div></header>
<main id="main">$body</main>
<footer>$school · $offline</footer></body></html>
""")
LIST = Template("""<h1>$heading</h1>
<form class="filters" action="/"><label>$words <input type="search" name="words" value="$query" maxlength="100"></label>
<button>$find</button></form>
<p class="muted" role="status">$count</p>$cards$pages""")
CARD = Template("""<li class="card"><a href="/lesson/$id"><b>$title</b></a>
<span class="muted">$facts</span> <span>$files</span></li>""")
LESSON = Template("""<p><a href="/">$back</a></p><h1>$title</h1><p>$facts</p>$pack$players
<h2>$heading</h2><ul class="files">$files</ul>""")
PACK = Template('<p><a class="button" href="/pack/$id/">$text</a></p>')
PLAYER = Template('<h2>$heading</h2><$tag controls preload="none">$sources$cannot</$tag>')
FILE = Template('<li><b>$name</b> <a class="button" href="$url?download=1">$text</a></li>')
STATE = Template("<h1>$heading</h1><ul>$lines</ul>")
PROBLEM = Template('<h1>$text</h1><p><a href="/">$back</a></p>')
PAGES = Template('<nav class="pages">$back <span>$here</span> $further</nav>')
LINK = Template('<a href="$url">$text</a>')


def lesson_list(t: Words, school: str, lessons: list[Shelved], query: str, page: int) -> str:
    """Write the list of what is here, or of what was found."""
    last = max(1, -(-len(lessons) // PER_PAGE))
    page = min(max(1, page), last)
    shown = lessons[(page - 1) * PER_PAGE : page * PER_PAGE]
    here = t.ngettext("%(num)d lesson is here.", "%(num)d lessons are here.", len(lessons))
    found = t.ngettext("%(num)d lesson found.", "%(num)d lessons found.", len(lessons))
    count = (found if query else here) % {"num": len(lessons)}
    if not lessons and not query:
        count = t.gettext("Nothing has arrived yet. Lessons come at night, or from a USB stick.")
    cards = Raw(f'<ul class="cards">{"".join(_card(t, one) for one in shown)}</ul>' if shown else "")
    pages = _pages(t, query, page, last) if last > 1 else Raw("")
    heading, words, find = t.gettext("Lessons"), t.gettext("Words"), t.gettext("Find")
    body = _fill(LIST, heading=heading, words=words, find=find, query=query, count=count, cards=cards, pages=pages)
    return _layout(t, heading, school, body)


def lesson(t: Words, school: str, found: Shelved) -> str:
    """Write one lesson: player, files."""
    offer = found.best
    body = _fill(
        LESSON,
        back=t.gettext("All lessons"),
        title=offer.lesson.title,
        facts=_facts(t, offer),
        pack=_pack(t, found),
        players=Raw(_player(t, "video", found) + _player(t, "audio", found)),
        heading=t.gettext("Files"),
        files=Raw("".join(_file(t, one) for one in found.files)),
    )
    return _layout(t, offer.lesson.title, school, body)


def state(t: Words, school: str, lines: list[str]) -> str:
    """Write what the mirror does and what troubles it."""
    heading = t.gettext("The school's own computer")
    body = _fill(STATE, heading=heading, lines=Raw("".join(f"<li>{escape(line)}</li>" for line in lines)))
    return _layout(t, heading, school, body, Raw('<meta http-equiv="refresh" content="30">'))


def problem(t: Words, school: str, text: str) -> str:
    """Write that something is not here."""
    return _layout(t, text, school, _fill(PROBLEM, text=text, back=t.gettext("All lessons")))


def _layout(t: Words, title: str, school: str, body: Raw, refresh: Raw = Raw("")) -> str:  # noqa: B008 - a constant
    language = "ru" if is_russian(t) else "en"
    others = [(code, name) for code, name in LANGUAGES.items() if code != language]
    return _fill(
        LAYOUT,
        language=language,
        title=title,
        refresh=refresh,
        brand=t.gettext("Tropa"),
        state=t.gettext("State"),
        others=Raw("".join(f'<a href="/language/{code}" lang="{code}">{escape(name)}</a>' for code, name in others)),
        body=body,
        school=school,
        offline=t.gettext("These lessons are on a computer of the school; no internet is needed."),
    )


def _fill(template: Template, **values: str) -> Raw:
    return Raw(
        template.substitute(
            {name: value if isinstance(value, Raw) else escape(value) for name, value in values.items()}
        )
    )


def _card(t: Words, one: Shelved) -> str:
    files = "; ".join(f"{kind(t, file.kind).lower()} {size(t, file.bytes)}" for file in one.files)
    return _fill(CARD, id=one.id, title=one.best.lesson.title, facts=_facts(t, one.best), files=files)


def _pack(t: Words, found: Shelved) -> Raw:
    if not any(one.kind == "pack" for one in found.files):
        return Raw("")
    return _fill(PACK, id=found.id, text=t.gettext("Open the lesson pack: slides with voice"))


def _player(t: Words, tag: str, found: Shelved) -> str:
    kinds, heading = (VIDEO, t.gettext("Watch")) if tag == "video" else (VOICE, t.gettext("Listen: voice alone"))
    sources = [f'<source src="{_url(one)}" type="{one.content_type}">' for one in found.files if one.kind in kinds]
    if not sources:
        return ""
    cannot = t.gettext("This browser cannot play it; download a file below.")
    return _fill(PLAYER, tag=tag, heading=heading, sources=Raw("".join(sources)), cannot=cannot)


def _file(t: Words, offer: Offer) -> str:
    text = ", ".join((t.gettext("Download"), size(t, offer.bytes)))
    return _fill(FILE, name=kind(t, offer.kind), url=_url(offer), text=text)


def _facts(t: Words, offer: Offer) -> str:
    facts, grades = offer.lesson, ""
    if facts.grades.isdigit():
        grades = t.gettext("grade %(grade)s") % {"grade": facts.grades}
    elif facts.grades:
        grades = t.gettext("grades %(grades)s") % {"grades": facts.grades.replace("-", "–")}
    day = ".".join(reversed(facts.date.split("-")))
    long = length(facts.duration_s) if facts.duration_s else ""
    return " · ".join(part for part in (day, facts.subject, grades, facts.host_school, long) if part)


def _url(offer: Offer) -> str:
    return f"/files/{quote(offer.recording)}/{quote(offer.filename)}"


def _pages(t: Words, query: str, page: int, last: int) -> Raw:
    def link(number: int, text: str) -> Raw:
        return _fill(LINK, url="/?" + urlencode({"words": query, "page": number}), text=text)

    return _fill(
        PAGES,
        back=link(page - 1, "← " + t.gettext("Back")) if page > 1 else Raw(""),
        further=link(page + 1, t.gettext("Next") + " →") if page < last else Raw(""),
        here=t.gettext("Page %(page)s of %(last)s") % {"page": page, "last": last},
    )
