"""The live room in real browsers on the real service, in Chromium and Firefox, and after the live plane was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from store import database, programme
from tests.slow.chromium import FakeDevices, launch, make_devices
from tests.slow.firefox import Firefox, find_firefox
from tests.slow.livestage import RECORD_CONNECTIONS, Stage, book_lesson, wait_playing
from tests.slow.stack import Stack, wait_until

pytestmark = pytest.mark.slow

PATIENCE_S = 40
STATE = "document.body.dataset.state"
SAYS = "document.getElementById('state').textContent"
STAGE = "document.getElementById('stage').dataset.state"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The whole service, started once for this file.

    On every address of the machine: Firefox never pairs with a media address on loopback.
    """
    with Stack({"TROPA_CHANNELS": "40", "TROPA_HOST": "0.0.0.0", "TROPA_PUBLIC_IP": ""}) as running:
        yield running


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> FakeDevices:
    """A camera and a microphone made of files."""
    return make_devices(tmp_path_factory.mktemp("devices"))


@pytest.fixture
def chromium(devices: FakeDevices) -> Iterator[Browser]:
    """A Chromium with the fake devices."""
    with sync_playwright() as playwright:
        browser = launch(playwright, devices)
        yield browser
        browser.close()


@pytest.fixture
def stage(stack: Stack) -> Stage:
    """A lesson of its own for every test."""
    return book_lesson(stack)


def until(page: Page | Firefox, expression: str) -> None:
    """Wait until an expression holds in a page; asked from outside, as the pages' own policy forbids eval."""
    wait_until(lambda: page.evaluate(expression), PATIENCE_S, f"{expression}; the page says {page.evaluate(SAYS)!r}")


def untouched_until(page: Page, expression: str) -> None:
    """Wait without counting as a user: Playwright's own questions would be gestures that allow sound."""
    asker = page.context.new_cdp_session(page)
    ask = {"expression": expression, "returnByValue": True, "userGesture": False}
    wait_until(lambda: asker.send("Runtime.evaluate", ask)["result"]["value"], PATIENCE_S, expression)


def desk(browser: Browser, stack: Stack, stage: Stage) -> Page:
    """Open the host's page as its host."""
    context: BrowserContext = browser.new_context(viewport={"width": 1024, "height": 768})
    context.add_cookies([{"name": "tropa_login", "value": stage.host_cookie, "url": stack.base_url}])
    page = context.new_page()
    page.goto(f"{stack.base_url}/sessions/{stage.session_id}/host")
    return page


def seat(browser: Browser) -> Page:
    """Open an empty page of a viewer of their own."""
    context = browser.new_context()
    context.add_init_script(RECORD_CONNECTIONS)
    return context.new_page()


def go_live(page: Page) -> None:
    """Try the devices and press the button, then wait until the page says that the lesson is on air."""
    page.click("#open")
    page.wait_for_selector("#go:enabled")
    until(page, "document.getElementById('self').videoWidth > 0")
    until(page, "document.getElementById('level').value > 0.3")
    page.click("#go")
    until(page, f"{STATE} === 'on_air'")


def state_of(stack: Stack, stage: Stage) -> str:
    app = database.bare_app(stack.settings)
    with app.app_context():
        return programme.get_session(stage.session_id).state


def test_a_lesson_from_chromium_to_both_browsers(stack: Stack, chromium: Browser, stage: Stage) -> None:
    """A viewer who came early sees the lesson begin by itself, picture and sound arrive, and the end is told to all."""
    early = seat(chromium)
    early.goto(stage.links[0])
    assert early.evaluate("document.querySelector('.lead').textContent").strip().endswith("Анна Петровна!")
    until(early, f"{STAGE} === 'waiting'")
    host = desk(chromium, stack, stage)
    assert host.evaluate(STATE) == "ready"
    go_live(host)
    wait_playing(early, PATIENCE_S)
    assert early.evaluate(STAGE) == "live"
    early.set_viewport_size({"width": 1600, "height": 1000})
    picture, frame = (early.evaluate(f"document.getElementById('{name}').clientWidth") for name in ("picture", "stage"))
    assert picture == frame > 700
    until(early, r"/кбит\/с · получено \d+,\d МБ/.test(document.getElementById('meter').textContent)")
    wait_until(lambda: state_of(stack, stage) == "live", PATIENCE_S, "the session is live in the database")
    assert find_firefox(), "Firefox is needed for this test; install firefox-esr"
    with Firefox() as firefox:
        firefox.before_pages(RECORD_CONNECTIONS)
        firefox.goto(stage.links[1])
        wait_playing(firefox, PATIENCE_S)
        until(host, "/2/.test(document.getElementById('viewers').textContent)")
        host.click("#end")
        host.click("#sure [value=yes]")
        until(host, f"{STATE} === 'ended'")
        until(early, f"{STAGE} === 'ended'")
        until(firefox, f"{STAGE} === 'ended'")
    assert state_of(stack, stage) == "ended"


def test_a_lesson_from_firefox(stack: Stack, chromium: Browser, stage: Stage) -> None:
    """Firefox gives a lesson that Chromium watches."""
    assert find_firefox(), "Firefox is needed for this test; install firefox-esr"
    viewer = seat(chromium)
    viewer.goto(stage.links[0])
    with Firefox() as host:
        host.set_cookie(stack.base_url, "tropa_login", stage.host_cookie)
        host.goto(f"{stack.base_url}/sessions/{stage.session_id}/host")
        host.click("#open")
        until(host, "!document.getElementById('go').disabled")
        host.click("#go")
        until(host, f"{STATE} === 'on_air'")
        wait_playing(viewer, PATIENCE_S)


def test_killed_media_process_brings_everybody_back(stack: Stack, chromium: Browser, stage: Stage) -> None:
    """After kill -9 of the live plane host and viewers of both browsers are back by themselves, on new connections."""
    host = desk(chromium, stack, stage)
    go_live(host)
    viewer = seat(chromium)
    viewer.goto(stage.links[0])
    before = wait_playing(viewer, PATIENCE_S)["stream"]
    with Firefox() as firefox:
        firefox.before_pages(RECORD_CONNECTIONS)
        firefox.goto(stage.links[1])
        before_firefox = wait_playing(firefox, PATIENCE_S)["stream"]
        killed = stack.kill("-m", "media")
        wait_until(lambda: not _alive(killed), PATIENCE_S, "the killed process is gone")
        wait_playing(viewer, PATIENCE_S, other_than=before)
        wait_playing(firefox, PATIENCE_S, other_than=before_firefox)
        until(host, f"{STATE} === 'on_air'")
    assert stack.pid_of("-m", "media") != killed


def test_the_big_button_where_sound_needs_a_click(stack: Stack, devices: FakeDevices, stage: Stage) -> None:
    """Where the browser wants a click before sound, one big button starts the lesson."""
    with sync_playwright() as playwright:
        strict = launch(playwright, devices, autoplay=False)
        host = desk(strict, stack, stage)
        go_live(host)
        viewer = seat(strict)
        viewer.goto(stage.links[0])
        untouched_until(viewer, "!document.getElementById('start').hidden")
        viewer.click("#start")
        wait_playing(viewer, PATIENCE_S)
        assert viewer.is_hidden("#start")
        strict.close()


def test_voice_alone_looks_right(stack: Stack, chromium: Browser, stage: Stage) -> None:
    """A host who sends voice alone is on air, and viewers are told that there is no picture."""
    host = desk(chromium, stack, stage)
    host.click("#open")
    host.wait_for_selector("#go:enabled")
    host.click("[data-source=voice]")
    host.click("#go")
    until(host, f"{STATE} === 'on_air'")
    viewer = seat(chromium)
    viewer.goto(stage.links[0])
    until(viewer, "document.getElementById('stage').classList.contains('voice')")
    assert viewer.is_visible(".voice-only")


def test_without_https_the_desk_says_so(chromium: Browser, stack: Stack, stage: Stage) -> None:
    """On an address that browsers do not trust with cameras, the page says why instead of failing on a click."""
    context = chromium.new_context()
    context.add_init_script("Object.defineProperty(window, 'isSecureContext', {value: false})")
    context.add_cookies([{"name": "tropa_login", "value": stage.host_cookie, "url": stack.base_url}])
    page = context.new_page()
    page.goto(f"{stack.base_url}/sessions/{stage.session_id}/host")
    assert "HTTPS" in page.inner_text("#trouble")


def test_the_live_room_is_light(chromium: Browser, stack: Stack, stage: Stage) -> None:
    """All bytes of the live room that cross the network, page, styles and scripts, are within 40 KB (DESIGN 8)."""
    for path, cookie in (
        (stage.links[0], None),
        (f"{stack.base_url}/sessions/{stage.session_id}/host", stage.host_cookie),
    ):
        context = chromium.new_context()
        if cookie:
            context.add_cookies([{"name": "tropa_login", "value": cookie, "url": stack.base_url}])
        page = context.new_page()
        page.goto(path)
        until(page, "performance.getEntriesByType('resource').some((e) => e.name.includes('/static/joined/live/'))")
        total = page.evaluate(
            "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".filter((e) => !/\\/(events|whep)\\//.test(e.name)).reduce((sum, e) => sum + e.transferSize, 0)"
        )
        assert 5_000 < total < 40_000


def test_the_live_room_has_no_barriers(chromium: Browser, stack: Stack, stage: Stage) -> None:
    """axe finds no violation of WCAG level A or AA on either page, at the smallest screen."""
    context = chromium.new_context(viewport={"width": 360, "height": 740})
    context.add_cookies([{"name": "tropa_login", "value": stage.host_cookie, "url": stack.base_url}])
    page = context.new_page()
    for path in (f"/sessions/{stage.session_id}/live", f"/sessions/{stage.session_id}/host"):
        page.goto(stack.base_url + path)
        until(page, f"{SAYS} !== ''")
        levels = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
        found = Axe().run(page, options=levels).response["violations"]
        assert not found, [(violation["id"], violation["nodes"][0]["html"]) for violation in found]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
