"""A teacher tests the school's link in a real browser behind an emulated one, and the coordinator sees the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bench.linkspace import Seat
from rules.rights import Role
from store import database, linktests, logins, people
from tests.slow import chromium, ownnet
from tests.slow.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.networks]

LINK = "rate=128,delay=40,queue=400"
PATIENCE_MS = 90_000


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A network of this file's own."""
    with ownnet.own_network() as server:
        yield server


@pytest.fixture(scope="module")
def stack(network: str) -> Iterator[Stack]:
    """The whole service in that network."""
    with Stack({"TROPA_HOST": "0.0.0.0", "TROPA_PUBLIC_IP": network}) as running:
        running.base_url = f"http://{network}:{running.settings.port}"
        yield running


def as_person(browser: Browser, stack: Stack, token: str) -> Page:
    """Open an empty page of somebody who is logged in and reads English."""
    context = browser.new_context(locale="en-GB")
    context.add_cookies([{"name": "tropa_login", "value": token, "url": stack.base_url}])
    return context.new_page()


def test_a_test_ends_is_kept_and_shown(stack: Stack, tmp_path: Path) -> None:
    """The page measures over the media port, says in words what the link gets, and the school's page shows it."""
    now, tokens = database.utc_now(), {}
    with database.bare_app(stack.settings).app_context():
        school = people.create_school("Сосновская школа", "Asia/Krasnoyarsk", now).id
        roles = {"teacher": (Role.TEACHER, school), "coordinator": (Role.COORDINATOR, None)}
        for who, role in roles.items():
            row = people.create_person(f"{who}@t.example", who.title(), "три коротких слова", [role], now, locale="en")
            tokens[who] = logins.start_login(row.id, "tests", now, 1)[1]
    with sync_playwright() as playwright, Seat(1, LINK, LINK) as seat:
        program = str(seat.wrapper(tmp_path, chromium.find_chromium()))
        browser = chromium.launch(playwright, program=program)
        page = as_person(browser, stack, tokens["teacher"])
        page.goto(f"{stack.base_url}/link-test", timeout=PATIENCE_MS)
        page.click("#begin")
        page.wait_for_selector("#result:not([hidden])", timeout=PATIENCE_MS)
        assert "voice and a picture" in page.inner_text("#verdict")
        assert "UDP" in page.inner_text("#figures")
        with database.bare_app(stack.settings).app_context():
            (kept,) = linktests.history(school, 9)
            assert kept.down_kbps and kept.up_kbps and kept.rtt_ms and kept.loss_percent is not None
            assert (kept.way, kept.name) == ("udp", "Teacher")
        page.click("#begin")
        page.wait_for_selector("#stop:visible")
        page.click("#stop")
        page.wait_for_selector("#begin:visible")
        assert page.inner_text("#said") == "Stopped. Nothing was kept."
        page = as_person(browser, stack, tokens["coordinator"])
        page.goto(f"{stack.base_url}/schools/{school}", timeout=PATIENCE_MS)
        assert "Teacher" in page.inner_text("table") and "UDP" in page.inner_text("table")
        page.goto(f"{stack.base_url}/link-test", timeout=PATIENCE_MS)
        page.select_option("#school", school)
        with page.expect_request("**/api/v1/link-tests", timeout=PATIENCE_MS) as begun:
            page.click("#begin")
        assert begun.value.post_data_json == {"school_id": school}, "the school that the list shows is the one meant"
        browser.close()
