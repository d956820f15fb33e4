"""The stage of the slow-link bench: the whole service, a host who is live, and viewers, all in real browsers."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bench.linkspace import SERVER_IP, Seat
from rules import tickets
from rules.tickets import Action, Ticket
from store import database, programme
from tests.slow import chromium, livestage
from tests.slow.chromium import FakeDevices
from tests.slow.lessonmedia import make
from tests.slow.stack import Stack, wait_until

MEDIA = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
CAMERA, NARRATION = "simpl-webcam-pair-720p.webm", "swc-slides-narration-155s.mkv"
PROBE = Path(__file__).with_name("slowlink_probe.js").read_text("utf-8")
WEB_PORT, MEDIA_PORT = 22100, 22101
ORIGIN = f"http://{SERVER_IP}:{WEB_PORT}"
LIVE_S = 40
TICKET_S = 6 * 3600


def make_devices(folder: Path) -> tuple[FakeDevices, str]:
    """Make camera and microphone from the real clips where they are, else synthetic ones; say which."""
    if not all((MEDIA / name).exists() for name in (CAMERA, NARRATION)):
        return chromium.make_devices(folder), "synthetic: a test picture and a tone, as ../shared/media is not there"
    devices = FakeDevices(folder / "camera.mjpeg", folder / "microphone.wav")
    scale = ("-vf", "scale=640:360", "-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p")
    make(devices.camera, "-i", str(MEDIA / CAMERA), *scale)
    make(devices.microphone, "-i", str(MEDIA / NARRATION), "-vn", "-ac", "1", "-ar", "48000", "-c:a", "pcm_s16le")
    return devices, f"{CAMERA} at 640x360, {NARRATION}"


class Viewer:
    """A browser in a seat that watches the lesson; `joined_s` is the moment of its WHEP request."""

    def __init__(self, browser: Browser, seat: Seat) -> None:
        """Open an empty page; nothing is asked of the server yet."""
        self.seat = seat
        self._browser = browser
        context = browser.new_context()
        context.add_init_script(PROBE)
        self.page = context.new_page()
        self.opened_s = 0.0
        self.joined_s = 0.0

    def watch_plainly(self, session_id: str, token: str) -> None:
        """Join with the bench's own page: one video element and the browser's own offer."""
        empty_page(self.page)
        self.opened_s = time.time()
        # Started, not awaited: whatever becomes of it is seen in the notes.
        self.page.evaluate("([url, token]) => { bench.watch(url, token); }", [f"{ORIGIN}/whep/{session_id}", token])
        self._await_request()

    def watch_page(self, link: str) -> None:
        """Join with Tropa's own watch page, loaded over the same link."""
        self.opened_s = time.time()
        self.page.goto(link, wait_until="commit", timeout=180_000)
        self._await_request()

    def notes(self) -> dict:
        """Return what the probe holds."""
        names = "peers: undefined, watch: undefined, host: undefined"
        return self.page.evaluate(f"JSON.parse(JSON.stringify({{...bench, {names}}}))")

    def close(self) -> None:
        """End the browser."""
        self._browser.close()

    def _await_request(self) -> None:
        self.joined_s = wait_until(lambda: self.page.evaluate("bench.posts[0]?.at"), 180, "a WHEP request") / 1000


class LiveStage:
    """Service and host; a context manager. `host_link` gives the words (down, up) of a slow link for the host."""

    def __init__(self, data: Path, *, host_page: bool = False, host_link: tuple[str, str] = ("", "")) -> None:
        """Choose; nothing is started yet."""
        self._data, self._host_page, self._host_link = data, host_page, host_link
        self._open = ExitStack()
        self._places = itertools.count(1)
        self.media = ""

    def __enter__(self) -> LiveStage:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._open.close()

    def viewer(self, seat: Seat, *, page: bool = False, place: int = 0) -> Viewer:
        """Let one more viewer in (`place` 0 or 1 is whose ticket they hold) and return them with the request sent."""
        viewer = Viewer(self._launch(seat), seat)
        if page:
            viewer.watch_page(self._lesson.links[place].replace("127.0.0.1", SERVER_IP))
        else:
            viewer.watch_plainly(self._lesson.session_id, self._ticket(Action.WATCH, place))
        return viewer

    def place(self) -> int:
        """Return a number for a seat that nobody had: the server may go on sending to who has just left."""
        return next(self._places)

    def host_notes(self) -> dict:
        """Return what the probe in the host's page holds."""
        return self.host.notes()

    def _start(self) -> None:
        self._folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="tropa-bench-")))
        self._devices, self.media = make_devices(self._folder)
        extra = {
            "TROPA_HOST": "0.0.0.0",
            "TROPA_PUBLIC_IP": SERVER_IP,
            "TROPA_PUBLIC_URL": ORIGIN,
            "TROPA_PORT": str(WEB_PORT),
            "TROPA_MEDIA_PORT": str(MEDIA_PORT),
            "TROPA_CHANNELS": "40",
            # Should the bench be killed, the service ends too.
            "TROPA_STOP_WITH_PARENT": "1",
        }
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(parents=True)
        self._stack = self._open.enter_context(Stack(extra, data=self._data))
        self._lesson = livestage.book_lesson(self._stack)
        self._playwright = self._open.enter_context(sync_playwright())
        seat = self._open.enter_context(Seat(250, *self._host_link))
        self.host = Viewer(self._launch(seat, self._devices), seat)
        self._open.callback(self.host.close)
        if self._host_page:
            self._go_live_by_page(self.host.page)
        else:
            empty_page(self.host.page)
            url = f"{ORIGIN}/whip/{self._lesson.session_id}"
            self.host.page.evaluate("([url, token]) => bench.host(url, token)", [url, self._ticket(Action.HOST)])
        wait_until(self._is_sent, LIVE_S, f"the host sends; the service's log ends:\n{self._stack.log_tail()}")

    def _go_live_by_page(self, page: Page) -> None:
        page.context.add_cookies([{"name": "tropa_login", "value": self._lesson.host_cookie, "url": ORIGIN}])
        page.goto(f"{ORIGIN}/sessions/{self._lesson.session_id}/host", timeout=180_000)
        page.click("#open")
        page.wait_for_selector("#go:enabled")
        wait_until(lambda: page.evaluate("document.getElementById('self').videoWidth > 0"), LIVE_S, "a picture")
        page.click("#go")

    def _is_sent(self) -> bool:
        frames = "bench.samples.at(-1)?.sent_video?.frames ?? 0"
        return self.host.page.evaluate(frames) > 10

    def _launch(self, seat: Seat, devices: FakeDevices | None = None) -> Browser:
        program = next(path for name in chromium.NAMES if (path := shutil.which(name)))
        args = [
            *chromium.ARGS,
            "--autoplay-policy=no-user-gesture-required",
            f"--unsafely-treat-insecure-origin-as-secure={ORIGIN}",
        ]
        if devices is not None:
            args += [
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-video-capture={devices.camera}",
                f"--use-file-for-fake-audio-capture={devices.microphone}",
            ]
        return self._playwright.chromium.launch(executable_path=seat.wrapper(self._folder, program), args=args)

    def _ticket(self, action: Action, place: int = 0) -> str:
        key = tickets.derive(self._stack.settings.secret_key, "tickets")
        now_s = int(time.time())
        session_id = self._lesson.session_id
        if action is Action.HOST:
            with database.bare_app(self._stack.settings).app_context():
                bearer = f"person:{programme.get_session(session_id).host_person_id}"
        else:
            link = self._lesson.links[place].rpartition("/")[2]
            bearer = tickets.check(link, key, now_s, actions={Action.JOIN}, session_id=session_id).bearer
        return tickets.make(Ticket(action, session_id, bearer, "Bench", "", now_s + TICKET_S), key)


def empty_page(page: Page) -> None:
    """Open a page of the server's origin without asking the server, so that no preflight is needed afterwards."""
    page.route(f"{ORIGIN}/bench", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body>"))
    page.goto(f"{ORIGIN}/bench")
