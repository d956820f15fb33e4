"""Russian is whole: every sentence of the code is in the catalogue, and no page mixes languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po
from babel.support import Translations

from server import bothwords, i18n, linkwords, words
from store import logins, people
from store.database import utc_now
from store.models import Person, db
from tests.server.lessons import TITLE, make_lessons

ROOT = Path(__file__).resolve().parent.parent.parent
RUSSIAN = ROOT / "translations/ru/LC_MESSAGES/messages.po"
HOW = "run `make catalogues`, then translate what is empty in translations/ru/LC_MESSAGES/messages.po"
PLACEHOLDER = re.compile(r"%\(\w+\)\d*[sd]")
LATIN = re.compile(r"[A-Za-z]{2,}")
CYRILLIC = re.compile(r"[А-Яа-яЁё]")
# Latin words that Russian pages keep: names of programs, formats and the other language.
KEPT = {
    "English",
    "UTC",
    "API",
    "SHA",
    "JavaScript",
    "HTTPS",
    "Caps",
    "Lock",
    "ics",
    "cookie",
    "JSON",
    "Chrome",
    "Linux",
    "Metalink",
    "PDF",
    "PowerPoint",
    "Impress",
    "WebVTT",
    "vtt",
    "SRT",
    "srt",
    "UDP",
    "TCP",
    "Wi",
    "Fi",
}
ATTRIBUTES = {"aria-label", "placeholder", "title", "alt", "label"}


class Texts(HTMLParser):
    """The texts of a page that people read or hear, addresses and codes left out."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ATTRIBUTES and value]
        self._silent += tag in ("style", "code", "script")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "code", "script")

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._silent:
            self.found.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def russian() -> Catalog:
    """The Russian catalogue as it is kept."""
    with RUSSIAN.open("rb") as file:
        return read_po(file, locale="ru")


@pytest.fixture
def compiled(russian: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let applications made from here on read today's catalogue, whether or not it was compiled by make."""
    from babel.messages.mofile import write_mo

    target = tmp_path / "translations/ru/LC_MESSAGES/messages.mo"
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        write_mo(file, russian)
    monkeypatch.setattr(i18n, "TRANSLATIONS", tmp_path / "translations")


def said(message: Message) -> list[str]:
    """Return the Russian forms of a message."""
    return list(message.string) if isinstance(message.string, tuple) else [message.string]


def meant(message: Message) -> list[str]:
    """Return the English forms of a message."""
    return list(message.id) if isinstance(message.id, tuple) else [message.id]


def sentences(catalogue: Catalog) -> list[Message]:
    """Return a catalogue's messages without its header."""
    return [message for message in catalogue if message.id]


def test_every_string_of_the_code_is_in_the_catalogue(russian: Catalog, tmp_path: Path, monkeypatch) -> None:
    """What extraction finds today and what the catalogue has are the same."""
    monkeypatch.chdir(ROOT)
    template = tmp_path / "messages.pot"
    keywords = ["-k", "_l", "-k", "lazy_gettext", "-k", "both"]
    CommandLineInterface().run(["pybabel", "-q", "extract", "-F", "babel.cfg", *keywords, "-o", str(template), "."])
    with template.open("rb") as file:
        found = {message.id for message in sentences(read_po(file))}
    kept = {message.id for message in sentences(russian)}
    assert len(found) > 400
    assert not found - kept, f"not in the catalogue: {HOW}"
    assert not kept - found, f"no longer in the code: {HOW}"


def test_nothing_is_untranslated_or_uncertain(russian: Catalog) -> None:
    """Each message has all its forms, none is marked fuzzy, none is left over."""
    assert not russian.obsolete
    assert not [message.id for message in sentences(russian) if message.fuzzy]
    assert not [message.id for message in sentences(russian) if not all(said(message))]
    plurals = [message for message in sentences(russian) if message.pluralizable]
    assert plurals and all(len(said(message)) == 3 for message in plurals)


def test_placeholders_are_the_same(russian: Catalog) -> None:
    """No name that the code fills in is lost, invented or of another type in Russian."""
    for message in sentences(russian):
        wanted = {name for text in meant(message) for name in PLACEHOLDER.findall(text)}
        for text in said(message):
            assert set(PLACEHOLDER.findall(text)) == wanted, message.id
            assert text.count("%") == len(PLACEHOLDER.findall(text)) or "%" in PLACEHOLDER.sub("", meant(message)[0])
        assert not list(message.check(russian)), message.id


def test_russian_is_russian(russian: Catalog) -> None:
    """Translations are in Cyrillic, with «ёлочки» and the ending of the original; no English is left standing."""
    for message in sentences(russian):
        original = meant(message)[0]
        for text in said(message):
            assert CYRILLIC.search(text) or not LATIN.search(PLACEHOLDER.sub("", original)), original
            assert not re.search('["“”„]', text), original
            assert text.rstrip()[-1:] == original.rstrip()[-1:] or original.rstrip()[-1:] not in "?!:…", original
            assert text == text.strip() or original != original.strip(), original


def addresses(lessons, district) -> list[str]:
    """List every page that can be opened, and some that refuse."""
    session, seminar, school = lessons.session, lessons.seminar, district.schools["sosnovka"]
    return [
        *("/", "/login", "/me", "/week", "/seminars", "/library", "/schools", "/people", "/invitations"),
        *("/sessions/new", "/seminars/new", "/schools/new", "/no-such-page", "/invite/x", "/first/x", "/join/x"),
        *(f"/sessions/{session}{part}" for part in ("", "/edit", "/cancel", "/guests", "/live", "/host", ".xyz")),
        *(f"/seminars/{seminar}", f"/seminars/{seminar}/edit", "/storage", "/uploads/", "/link-test"),
        *(f"/recordings/{lessons.recording}{part}" for part in ("", "/slides", "/captions", "/captions/ru/edit")),
        *(f"/schools/{school}/downloads", f"/link-test?school={school}"),
        *(f"/schools/{school}", f"/people/{district.people['teacher']}", "/library?grade=99", "/week?date=yesterday"),
    ]


@pytest.fixture
def rendered(compiled, app, district, as_role):
    """Return a function that renders every page as somebody in a language: [(address, texts)]."""
    lessons = make_lessons(app, district)

    def render(who: str, language: str) -> list[tuple[str, list[str]]]:
        with app.app_context():
            db.session.query(Person).update({Person.locale: language})
            db.session.commit()
        client = app.test_client() if who == "nobody" else as_role(who).client
        client.set_cookie("tropa_language", language)
        found = []
        for address in addresses(lessons, district):
            answer = client.get(address)
            if answer.mimetype == "text/html" and answer.status_code != 302:
                text = answer.get_data(as_text=True)
                assert f'<html lang="{language}">' in text, address
                found.append((address, Texts(text).found))
        return found

    return render


WHO = ("nobody", "coordinator", "host", "teacher", "nobody_yet")


@pytest.mark.parametrize("who", WHO)
def test_russian_pages_have_no_english(rendered, who: str) -> None:
    """Whatever page a role opens in Russian, refusals too, every word of the interface is Russian."""
    pages = rendered(who, "ru")
    assert len(pages) > 5
    for address, texts in pages:
        for text in texts:
            bare = re.sub(r"\S+@\S+|https?://\S+|Имя \w+|\S+\.mp4", "", text)
            assert not set(LATIN.findall(bare)) - KEPT - {"tests", "no", "picture"}, f"{address}: {text}"


@pytest.mark.parametrize("who", WHO)
def test_english_pages_have_no_russian(rendered, who: str) -> None:
    """Whatever page a role opens in English, only what people have written, and the way back, is in Russian."""
    written = re.compile(
        rf"{TITLE}|Сосновская школа|Берёзовская школа|Имя|Математика|Методический день|Приносите тетради|Гость"
        r"|урок\.mp4|^Урок$"
    )
    for address, texts in rendered(who, "en"):
        for text in texts:
            assert not CYRILLIC.search(written.sub("", text)) or text == "Русский", f"{address}: {text}"


@pytest.mark.parametrize(
    ("number", "shown"), [(1, "1 секунда"), (2, "2 секунды"), (5, "5 секунд"), (11, "11 секунд"), (21, "21 секунда")]
)
def test_numbers_decline(compiled, app, number: int, shown: str) -> None:
    """One, few and many have their own endings."""
    with app.test_request_context():
        assert words.seconds(number) == shown


def test_units_are_russian(compiled, app) -> None:
    """Sizes, lengths and rates have Russian units and no line break before them."""
    with app.test_request_context():
        assert words.size(1_400_000) == "1,4\u00a0МБ"
        assert words.minutes(45) == "45\u00a0мин"
        assert words.minutes(120) == "2\u00a0ч"
        assert words.minutes(95) == "1\u00a0ч 35\u00a0мин"
        assert linkwords.rate(256) == "256\u00a0кбит/с"
        assert words.grades("1-4") == "1–4\u00a0классы"


def test_programs_name_their_language(compiled, app, district) -> None:
    """The API speaks the language of Accept-Language, else that of the token's owner, else Russian."""
    client = app.test_client()
    bearer = {"Authorization": f"Bearer {district.tokens['host']}"}
    asked = [
        ({"Accept-Language": "en"}, "There is no such page"),
        ({"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}, "Такой страницы нет"),
        ({"Accept-Language": "de"}, "Такой страницы нет"),
        ({}, "Такой страницы нет"),
        (bearer, "There is no such page"),
        (bearer | {"Accept-Language": "ru"}, "Такой страницы нет"),
    ]
    for headers, title in asked:
        assert client.get("/api/v1/no-such-thing", headers=headers).json["title"] == title


def test_calendar_speaks_its_owners_language(compiled, app, district) -> None:
    """A calendar program brings neither login nor cookie: the subscription is in its owner's language."""
    make_lessons(app, district)
    with app.app_context():
        secret = db.session.get(Person, district.people["host"]).calendar_secret
    assert "open lesson" in app.test_client().get(f"/calendar/{secret}.ics").get_data(as_text=True)
    with app.app_context():
        people.update_profile(district.people["host"], name="Имя", locale="ru")
    assert "открытый урок" in app.test_client().get(f"/calendar/{secret}.ics").get_data(as_text=True)


def test_answers_outside_flask_are_in_both_languages(compiled, monkeypatch) -> None:
    """Where the language is not known both are said, Russian first."""
    loaded = Translations.load(str(i18n.TRANSLATIONS), ["ru"])
    monkeypatch.setattr(bothwords, "_catalogue", lambda: loaded)
    assert bothwords.both("Too many watchers") == "Слишком много подключений / Too many watchers"
    assert bothwords.both("in no catalogue") == "in no catalogue"


def test_refusals_speak_the_askers_language(compiled, app, district) -> None:
    """A page that does not exist, and a form without its token, are refused in the language of who asked."""
    with app.app_context():
        _row, token = logins.start_login(district.people["host"], "tests", utc_now(), 1)
    client = app.test_client()
    client.set_cookie("tropa_login", token)
    assert "There is no such page" in client.get("/no-such-page").get_data(as_text=True)
    assert "The form has expired" in client.post("/me/profile", data={"name": "x"}).get_data(as_text=True)
