"""The whole way, through the pages: booked, given live, watched, recorded, made small, downloaded over a bad link.

Once on one PC's own SQLite and Redis, once on PostgreSQL and a Redis elsewhere, by settings alone.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pgserver
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from rules.rights import Role
from store import database, people
from supervisor.embedded_redis import EmbeddedRedis
from tests.slow.chromium import launch, make_devices
from tests.slow.firefox import Firefox, find_firefox
from tests.slow.livestage import RECORD_CONNECTIONS, wait_playing
from tests.slow.stack import Stack, wait_until

pytestmark = pytest.mark.slow

PATIENCE_S = 60
ENCODING_S = 240
ZONE = "Asia/Krasnoyarsk"
PASSWORD = "три слова вместе"
TITLE = "Как измерить реку, не переходя её"
FIRST_LINK = re.compile(r"http://\S+/first/\S+")
KINDS = ("voice_opus", "voice_aac", "video_small", "video_compat")


HOST, TEACHER, LIBRARIAN = "host@tropa.example", "teacher@tropa.example", "librarian@tropa.example"


@dataclass(frozen=True, slots=True)
class Ids:
    """What the booking form must be told."""

    school: str
    host: str


@contextmanager
def elsewhere(folder: Path) -> Iterator[dict[str, str]]:
    """Run a PostgreSQL and a Redis that the service is only told of."""
    postgres = pgserver.get_server(folder / "postgres")
    redis = EmbeddedRedis.prepare(folder / "redis")
    server = subprocess.Popen(redis.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        server.stdin.write(redis.configuration)
        server.stdin.close()
        yield {"DATABASE_URL": postgres.get_uri(), "REDIS_URL": redis.url}
    finally:
        server.terminate()
        server.wait()
        postgres.cleanup()


@pytest.fixture(params=["one PC", "PostgreSQL and Redis elsewhere"])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """A fresh installation, started by the supervisor, on each pair of database and queue."""
    if request.param == "one PC":
        with Stack({"TROPA_TIMEZONE": ZONE}) as running:
            yield running
        return
    with elsewhere(tmp_path) as settings, Stack({"TROPA_TIMEZONE": ZONE, **settings}) as running:
        with pytest.raises(LookupError):
            running.pid_of("redis-server")
        yield running


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    """A Chromium with a camera and a microphone made by the test."""
    with sync_playwright() as playwright:
        browser = launch(playwright, make_devices(tmp_path))
        yield browser
        browser.close()


def new_page(browser: Browser) -> Page:
    """Open a page in a browser profile of its own, in Russian as the people here have it."""
    context: BrowserContext = browser.new_context(locale="ru-RU", viewport={"width": 1024, "height": 768})
    context.add_init_script(RECORD_CONNECTIONS)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    return page


def hold(page: Page, expression: str) -> None:
    """Wait until a JavaScript expression holds; asked from outside, as the pages allow no evaluation inside."""
    wait_until(lambda: page.evaluate(expression), PATIENCE_S, expression)


def become_coordinator(stack: Stack, browser: Browser) -> Page:
    """Take the link that the first start prints, and stay logged in."""
    link = wait_until(lambda: FIRST_LINK.search(stack.log_tail(200)), PATIENCE_S, "the first link is printed")
    page = new_page(browser)
    page.goto(link[0])
    page.fill("#f-name", "Ольга Павловна Суханова")
    page.fill("#f-email", "coordinator@tropa.example")
    page.fill("#f-password", PASSWORD)
    page.fill("#f-school", "Методический центр")
    page.select_option("#f-timezone", ZONE)
    page.click("main form button")
    page.wait_for_url(lambda url: "/first/" not in url)
    return page


def invite_everybody(stack: Stack) -> Ids:
    """Make two schools and three people as accepted invitations leave them."""
    now = datetime.now(UTC)
    with database.bare_app(stack.settings).app_context():
        river = people.create_school("Усть-Кемская средняя школа", ZONE, now, link_up_kbps=512).id
        forest = people.create_school("Начальная школа п. Сосновый Бор", ZONE, now, link_down_kbps=64).id
        members = (
            (HOST, "Николай Андреевич Брюханов", Role.HOST, river),
            (TEACHER, "Мария Ивановна Зырянова", Role.TEACHER, forest),
            (LIBRARIAN, "Галина Петровна Рукосуева", Role.LIBRARIAN, forest),
        )
        ids = [people.create_person(email, name, PASSWORD, [(role, at)], now).id for email, name, role, at in members]
    return Ids(river, ids[0])


def book(page: Page, base_url: str, ids: Ids) -> str:
    """Book the lesson for the next five minutes with the form and return its address."""
    now = datetime.now(ZoneInfo(ZONE))
    starts = now + timedelta(minutes=5 - now.minute % 5)
    page.goto(f"{base_url}/sessions/new")
    page.fill("#f-title", TITLE)
    page.select_option("#f-kind", "open_lesson")
    page.fill("#f-subject", "Геометрия")
    page.fill("#f-grades", "8+9")
    page.fill("#f-date", starts.strftime("%Y-%m-%d"))
    page.fill("#f-time", starts.strftime("%H:%M"))
    page.fill("#f-minutes", "45")
    page.select_option("#f-host_school_id", ids.school)
    page.select_option("#f-host_person_id", ids.host)
    page.fill("#f-description", "Подобные треугольники на берегу.")
    page.click("main form p:last-child button[name=start]")
    page.wait_for_url(re.compile(r"/sessions/(?!new)[0-9a-z]+$"))
    assert page.inner_text("h1") == TITLE
    return page.url


def personal_link(page: Page, lesson_url: str) -> str:
    """Make a link for a teacher without an account, as the coordinator."""
    page.goto(f"{lesson_url}/guests")
    page.fill("#f-name", "Олег Сергеевич")
    page.click("main form button")
    return page.input_value("input.copy")


def log_in(page: Page, base_url: str, email: str) -> None:
    """Log in with the form."""
    page.goto(f"{base_url}/login")
    page.fill("#f-email", email)
    page.fill("#f-password", PASSWORD)
    page.click("main form button")
    page.wait_for_url(lambda url: not url.endswith("/login"))


def go_live(page: Page, lesson_url: str) -> None:
    """Open the host's desk from the lesson's page, try the devices and begin."""
    page.goto(lesson_url)
    page.click("main a.button[href$='/host']")
    page.click("#open")
    page.wait_for_selector("#go:enabled")
    page.click("#go")
    hold(page, "document.body.dataset.state === 'on_air'")


def end_lesson(page: Page) -> None:
    """End the lesson as its host, with the question that is asked first."""
    page.click("#end")
    page.click("#sure [value=yes]")
    page.wait_for_selector("#after", state="visible")


def published_files(page: Page, lesson_url: str) -> dict[str, tuple[str, str]]:
    """Wait until every file of the recording stands on its page; return kind → (address, SHA-256 as shown)."""

    def recording() -> str | None:
        page.goto(lesson_url)
        link = page.query_selector("main a[href^='/recordings/']")
        return link.get_attribute("href") if link else None

    address = wait_until(recording, PATIENCE_S, "the recording is on the lesson's page")

    def files() -> dict[str, tuple[str, str]] | None:
        page.goto(lesson_url[: lesson_url.index("/sessions/")] + address)
        found = {}
        for item in page.query_selector_all("#files > li"):
            link, digest = item.query_selector("a[href^='/files/']"), item.query_selector("code")
            if link and digest:
                found[item.get_attribute("id").removeprefix("file-")] = (
                    link.get_attribute("href"),
                    digest.text_content(),
                )
        return found if set(KINDS) <= set(found) else None

    return wait_until(files, ENCODING_S, "every file is published")


def download_in_pieces(client: httpx.Client, url: str, cuts: int) -> tuple[bytes, int]:
    """Fetch a file whose connection breaks several times; return what arrived and how often it was resumed.

    Each time the connection is closed in the middle of the body, and the rest is asked for by Range, under the
    condition that it is still the same file (RFC 9110 13.1.5).
    """
    head = client.head(url)
    assert head.status_code == 200, head.text
    size, etag = int(head.headers["content-length"]), head.headers["etag"]
    assert not etag.startswith("W/")
    got, resumed = b"", 0
    while len(got) < size:
        asked = {"Range": f"bytes={len(got)}-", "If-Range": etag} if got else {}
        until = size * (resumed + 1) // (cuts + 1) if resumed < cuts else size
        with client.stream("GET", url, headers=asked) as answer:
            assert answer.status_code == (206 if got else 200)
            for chunk in answer.iter_raw(1024):
                got += chunk
                if until < size and len(got) >= until:
                    break
        if len(got) < size:
            resumed += 1
    return got, resumed


def test_from_booking_to_download(stack: Stack, chromium: Browser) -> None:
    """A coordinator books, a host gives the lesson, two teachers watch, the worker publishes, a school downloads."""
    assert find_firefox(), "Firefox is needed for this test; install firefox-esr"
    coordinator = become_coordinator(stack, chromium)
    ids = invite_everybody(stack)
    lesson_url = book(coordinator, stack.base_url, ids)
    link = personal_link(coordinator, lesson_url)

    host = new_page(chromium)
    log_in(host, stack.base_url, HOST)
    go_live(host, lesson_url)

    teacher = new_page(chromium)
    log_in(teacher, stack.base_url, TEACHER)
    teacher.goto(lesson_url)
    teacher.click("main a.button[href$='/live']")
    wait_playing(teacher, PATIENCE_S)
    with Firefox() as guest:
        guest.before_pages(RECORD_CONNECTIONS)
        guest.goto(link)
        wait_playing(guest, PATIENCE_S)
        # A lesson of some seconds, so that there is something to encode.
        hold(teacher, "document.getElementById('picture').currentTime > 12")
        end_lesson(host)
        hold(teacher, "document.getElementById('stage').dataset.state === 'ended'")
        guest.wait_for("document.getElementById('stage').dataset.state === 'ended'", PATIENCE_S)

    librarian = new_page(chromium)
    log_in(librarian, stack.base_url, LIBRARIAN)
    files = published_files(librarian, lesson_url)
    cookies = {cookie["name"]: cookie["value"] for cookie in librarian.context.cookies()}
    with httpx.Client(base_url=stack.base_url, cookies=cookies, timeout=PATIENCE_S, trust_env=False) as school:
        for kind, (address, digest) in files.items():
            content, resumed = download_in_pieces(school, address, cuts=3)
            assert resumed == 3, kind
            assert hashlib.sha256(content).hexdigest() == digest, kind
    with httpx.Client(base_url=stack.base_url, trust_env=False) as nobody:
        assert nobody.get(files["voice_opus"][0]).status_code in (302, 303, 401, 403)

    coordinator.goto(lesson_url)
    assert "Олег Сергеевич" in coordinator.inner_text("main"), "the coordinator sees who came"
