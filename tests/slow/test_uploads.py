"""Uploads over links that break and a server that is killed: the official clients, and the page in a browser."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

from bench import tusclients
from bench.cutlink import CutLink, Link
from bench.webserver import WebServer
from store import database, uploads
from store.models import Upload, db
from tests.slow import chromium
from tests.slow.stack import free_port, wait_until

pytestmark = pytest.mark.slow

SIZE = 3_000_000
LINK = Link(bytes_per_s=1_200_000, mean_life_s=0.3, cuts=6)
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """The web process with a data folder of its own."""
    with WebServer(tmp_path_factory.mktemp("uploads"), free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def keys(web: WebServer) -> tuple[str, str]:
    """An API token and a login of a host."""
    return web.host_person()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "Урок о реках.mp4"
    path.write_bytes(os.urandom(SIZE))
    return path


def newest(web: WebServer) -> Upload:
    """Load the upload that was begun last."""
    with database.bare_app(web.settings).app_context():
        return db.session.query(Upload).order_by(Upload.created_at.desc()).first()


def kill_halfway(web: WebServer, upload_count: int) -> None:
    """Wait until half of a new file is there, kill the server, start it again."""

    def half() -> bool:
        with database.bare_app(web.settings).app_context():
            if db.session.query(Upload).count() == upload_count:
                return False
        return uploads.part_path(web.settings, newest(web).id).is_file() and _size(web) > SIZE // 2

    wait_until(half, 120, "half of the file is there")
    web.kill()
    web.start()


def _size(web: WebServer) -> int:
    return uploads.part_path(web.settings, newest(web).id).stat().st_size


@pytest.mark.parametrize(
    ("send", "chunk_bytes"),
    [(tusclients.tuspy, 200_000), (tusclients.tus_js, 0)],
    ids=["tuspy", "tus-js-client"],
)
def test_official_clients_get_a_file_through_cuts_and_a_kill(web: WebServer, keys, film: Path, send, chunk_bytes):
    """What is there at the end is the file, bit by bit, and its row says so."""
    if send is tusclients.tus_js:
        tusclients.install_js()
    with database.bare_app(web.settings).app_context():
        before = db.session.query(Upload).count()
    killing = threading.Thread(target=kill_halfway, args=(web, before))
    killing.start()
    with CutLink(("127.0.0.1", web.port), LINK, seed=4) as link:
        url = send(f"http://127.0.0.1:{link.port}/uploads/", keys[0], film, chunk_bytes)
        assert link.cuts > 0
    killing.join()
    row = newest(web)
    assert url.endswith(row.id)
    assert (row.state, row.sha256) == ("received", hashlib.sha256(film.read_bytes()).hexdigest())
    assert uploads.part_path(web.settings, row.id).read_bytes() == film.read_bytes()


def violations(page: Page) -> list[tuple[str, str]]:
    """Ask axe what of WCAG level A or AA a page breaks at the smallest screen, and whether it is too wide for that."""
    page.set_viewport_size({"width": 360, "height": 740})
    levels = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, options=levels).response["violations"]
    named = [(violation["id"], violation["nodes"][0]["html"]) for violation in found]
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [*named, ("wide", "html")] if wide else named


def test_the_page_goes_on_after_a_cut_and_a_reload(web: WebServer, keys, film: Path):
    """Title and description are on the server before the bytes; the same file chosen again goes on where it was."""
    with sync_playwright() as playwright, CutLink(("127.0.0.1", web.port), Link(bytes_per_s=150_000), 1) as link:
        browser = chromium.launch(playwright)
        context = browser.new_context(locale="en-GB")
        address = f"http://127.0.0.1:{link.port}"
        context.add_cookies([{"name": "tropa_login", "value": keys[1], "url": address}])
        page = context.new_page()
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{address}/uploads/", timeout=PATIENCE_MS)
        page.set_input_files("#f-file", film)
        page.wait_for_selector(".words:not([hidden])", timeout=PATIENCE_MS)
        page.fill(".words input", "Rivers")
        page.fill(".words textarea", "Volga, Lena, Yenisey")
        page.wait_for_selector(".kept:text('Saved.')", timeout=PATIENCE_MS)
        assert (newest(web).title, newest(web).description) == ("Rivers", "Volga, Lena, Yenisey")
        wait_until(lambda: newest(web).offset > 300_000, 60, "some of the file is there")
        assert violations(page) == []
        link.refuses = True
        link.cut()
        page.wait_for_selector(".state:text('The link broke')", timeout=PATIENCE_MS)
        link.refuses = False
        page.reload(timeout=PATIENCE_MS)
        page.wait_for_selector(".state:text('Choose the same file again to go on')", timeout=PATIENCE_MS)
        assert violations(page) == []
        there = newest(web).offset
        page.set_input_files("#f-file", film)
        page.wait_for_selector("#uploads li[data-state=received]:has-text('Rivers')", timeout=PATIENCE_MS)
        assert page.input_value(".words input") == "Rivers"
        assert page.locator("#uploads li:has-text('Rivers')").count() == 1
        browser.close()
    assert there > 300_000
    row = newest(web)
    assert (row.state, row.sha256) == ("received", hashlib.sha256(film.read_bytes()).hexdigest())
