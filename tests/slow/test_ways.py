"""Lessons where UDP is blocked, or dies in mid-lesson, in real browsers behind emulated links."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from bench.linkspace import Seat
from tests.slow import ownnet
from tests.slow.chromium import FakeDevices, find_chromium, launch, make_devices
from tests.slow.livestage import PROBE, RECORD_CONNECTIONS, Stage, book_lesson, wait_playing
from tests.slow.stack import Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.networks]

PATIENCE_S = 40
BACK_S = 12
LINK = "rate=4000,delay=10,queue=400"
STATE = "document.body.dataset.state"
WAY = "document.getElementById('way').textContent"
# Protocols of the server's candidate that each connection runs over; a connection more would be a session more.
WAYS = """Promise.all(window.tropaConnections.map(async (connection) => {
  const report = await connection.getStats();
  for (const entry of report.values()) {
    const pair = entry.type === "transport" && report.get(entry.selectedCandidatePairId);
    if (pair) return report.get(pair.remoteCandidateId).protocol;
  }
}))"""


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A network of this file's own."""
    with ownnet.own_network() as server:
        yield server


@pytest.fixture(scope="module")
def stack(network: str) -> Iterator[Stack]:
    """The whole service in that network."""
    service = Stack({"TROPA_CHANNELS": "40", "TROPA_HOST": "0.0.0.0", "TROPA_PUBLIC_IP": network})
    with service as running:
        running.base_url = f"http://{network}:{running.settings.port}"
        yield running


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> FakeDevices:
    """A camera and a microphone made of files."""
    return make_devices(tmp_path_factory.mktemp("devices"))


@pytest.fixture
def stage(stack: Stack) -> Stage:
    """A lesson of its own for every test."""
    return book_lesson(stack)


class Places:
    """Browsers at places of the network, each behind a link of its own."""

    def __init__(self, stack: Stack, stage: Stage, devices: FakeDevices, folder: Path) -> None:
        self.seats: list[Seat] = []
        self._stack, self._stage, self._devices, self._folder = stack, stage, devices, folder
        self._playwright: Playwright
        self._open = ExitStack()

    def __enter__(self) -> Places:
        self._playwright = self._open.enter_context(sync_playwright())
        return self

    def __exit__(self, *_exc: object) -> None:
        self._open.close()

    def browser(self, words: str) -> Browser:
        """Open a browser behind a link with these words in both directions."""
        seat = self._open.enter_context(Seat(len(self.seats) + 1, words, words))
        self.seats.append(seat)
        program = find_chromium()
        assert program is not None
        trusted = f"--unsafely-treat-insecure-origin-as-secure={self._stack.base_url}"
        found = launch(
            self._playwright, self._devices, program=str(seat.wrapper(self._folder, program)), more=(trusted,)
        )
        self._open.callback(found.close)
        return found

    def host(self, words: str = LINK) -> Page:
        """Go live from a new place."""
        context = self.browser(words).new_context()
        context.add_cookies([{"name": "tropa_login", "value": self._stage.host_cookie, "url": self._stack.base_url}])
        context.add_init_script(RECORD_CONNECTIONS)
        page = context.new_page()
        page.goto(f"{self._stack.base_url}/sessions/{self._stage.session_id}/host")
        page.click("#open")
        page.wait_for_selector("#go:enabled")
        page.click("#go")
        wait_until(lambda: page.evaluate(STATE) == "on_air", PATIENCE_S, f"on air, not {page.evaluate(STATE)}")
        return page

    def viewer(self, words: str = LINK) -> Page:
        """Watch from a new place."""
        context = self.browser(words).new_context()
        context.add_init_script(RECORD_CONNECTIONS)
        page = context.new_page()
        page.goto(self._stage.links[0])
        wait_playing(page, PATIENCE_S)
        return page

    def block_udp(self, index: int) -> None:
        """Let no UDP pass from now on, in either direction, at one place."""
        link = self.seats[index].link
        assert link is not None
        link.change(down="block=udp", up="block=udp")


@pytest.fixture
def places(stack: Stack, stage: Stage, devices: FakeDevices, tmp_path: Path) -> Iterator[Places]:
    """Nobody there yet."""
    with Places(stack, stage, devices, tmp_path) as empty:
        yield empty


def test_without_udp_the_lesson_is_there(places: Places) -> None:
    """Host and viewer behind firewalls that let TCP alone pass: the lesson is there, and both pages say why."""
    blocked = f"{LINK},block=udp"
    host = places.host(blocked)
    viewer = places.viewer(blocked)
    assert host.evaluate(WAYS) == viewer.evaluate(WAYS) == ["tcp"]
    wait_until(lambda: "UDP" in viewer.evaluate(WAY) and "UDP" in host.evaluate(WAY), PATIENCE_S, "both pages say so")


def test_udp_dies_under_a_viewer(places: Places) -> None:
    """The viewer's session goes on over TCP: voice is back on the same connection, and the page says what happened."""
    places.host()
    viewer = places.viewer()
    assert viewer.evaluate(WAYS) == ["udp"]
    assert viewer.evaluate(WAY) == ""
    places.block_udp(1)
    wait_until(lambda: viewer.evaluate(WAYS) == ["tcp"], BACK_S, "the same connection runs over TCP")
    before = viewer.evaluate(PROBE)["energy"]
    wait_until(lambda: viewer.evaluate(PROBE)["energy"] > before, BACK_S, "voice is back")
    wait_playing(viewer, PATIENCE_S)
    assert viewer.evaluate(WAYS) == ["tcp"]
    wait_until(lambda: "TCP" in viewer.evaluate(WAY), PATIENCE_S, "the page says so")


def test_udp_dies_under_the_host(places: Places) -> None:
    """The host's session goes on over TCP too, in the same recording, for a viewer who stays on UDP."""
    host = places.host()
    viewer = places.viewer()
    places.block_udp(0)
    wait_until(lambda: host.evaluate(WAYS) == ["tcp"], BACK_S, "the host's connection runs over TCP")
    wait_until(lambda: host.evaluate(STATE) == "on_air", BACK_S, "on air again")
    wait_playing(viewer, PATIENCE_S)
    assert (host.evaluate(WAYS), viewer.evaluate(WAYS)) == (["tcp"], ["udp"])
    wait_until(lambda: "TCP" in host.evaluate(WAY), PATIENCE_S, "the page says so")
