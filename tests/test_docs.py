"""What the pages for people refer to exists, in both languages, and they speak of this project alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/guide"
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]+)")
TARGET = re.compile(r"`make ([a-z-]+)`")
# A span of code that reads like one of our files: a folder, and a known ending.
OUR_FILE = re.compile(
    r"`((?:bench|deploy|docs|media|rules|server|static|store|supervisor|templates|tests|workers)/[\w./-]+\.[a-z]+)`"
)
SETTING = re.compile(r"`(TROPA_[A-Z_]+)")
QUOTED = {"ru": re.compile(r"«([^»«]+)»"), "en": re.compile(r"“([^”“]+)”")}
# Words in quotation marks that are not of our pages: other programs' buttons, names, and what the server prints.
FOREIGN = {
    "ru": {"Тропа", "Тропы", "Тропу", "Сферум", "Загрузки", "Возобновить", "Повторить", "Копировать адрес ссылки"},
    "en": {"Downloads", "Resume", "Retry", "Copy link address", "English"},
}
PRINTED = ("First start.", "Tropa did not start.")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|root|home)/")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
ROLES = ("administrator", "coordinator", "host", "school", "teacher")
LONGEST_GUIDE = 110


def _names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, made the way that forges make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of ours, pictures included, leads to one, and to a heading in it where it names one."""
    for link in LINK.findall(page.read_text("utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_named_targets_exist(page: Path) -> None:
    """Every `make` target that a page names is one."""
    phony = set(re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())
    assert set(TARGET.findall(page.read_text("utf-8"))) <= phony


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_named_files_exist(page: Path) -> None:
    """Every file of ours that a page names is there."""
    assert [name for name in OUR_FILE.findall(page.read_text("utf-8")) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_named_settings_exist(page: Path) -> None:
    """Every setting that a page names is read somewhere: by config.py, or by the containers alone."""
    known = (ROOT / "config.py").read_text("utf-8") + (ROOT / "docker-compose.yml").read_text("utf-8")
    assert [name for name in SETTING.findall(page.read_text("utf-8")) if name not in known] == []


@pytest.mark.parametrize("page", PAGES, ids=_names(PAGES))
def test_no_paths_of_one_machine(page: Path) -> None:
    """No page names a folder of the machine that it was written on."""
    assert MACHINE_PATH.findall(page.read_text("utf-8")) == []


def test_every_guide_is_in_both_languages() -> None:
    """Each role has its page in Russian and in English, listed in the index, and no page is on its own."""
    index = (GUIDE / "README.md").read_text("utf-8")
    for language in ("ru", "en"):
        assert sorted(page.stem for page in (GUIDE / language).glob("*.md")) == sorted(ROLES)
        assert all(f"({language}/{role}.md)" in index for role in ROLES)


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("role", ROLES)
def test_guides_use_the_words_of_the_pages(role: str, language: str) -> None:
    """What a guide puts in quotation marks is read on a page, word for word; "…" stands for what is left out."""
    with (ROOT / "translations/ru/LC_MESSAGES/messages.po").open("rb") as file:
        catalogue = read_po(file)
    shown = []
    for message in catalogue:
        text = message.string if language == "ru" else message.id
        shown += [text] if isinstance(text, str) else list(text or ())
    missing = []
    for quoted in QUOTED[language].findall(" ".join((GUIDE / language / f"{role}.md").read_text("utf-8").split())):
        parts = [part.strip() for part in quoted.removeprefix("▶ ").split("…")]
        if quoted in FOREIGN[language] or quoted.startswith(PRINTED):
            continue
        if not any(all(part in text for part in parts) for text in shown):
            missing.append(quoted)
    assert missing == []


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("role", ROLES)
def test_guides_fit_a_page(role: str, language: str) -> None:
    """A guide is one page: nobody reads more before a lesson."""
    assert len((GUIDE / language / f"{role}.md").read_text("utf-8").splitlines()) <= LONGEST_GUIDE
