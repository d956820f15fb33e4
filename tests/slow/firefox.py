"""A small WebDriver BiDi client that drives a real, headless Firefox in tests.

Protocol: https://www.w3.org/TR/webdriver-bidi/ over the WebSocket that Firefox opens on `--remote-debugging-port`.
Only what the journeys need: open a page, evaluate, click, type, wait, take a picture, read the console.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
COMMAND_TIMEOUT_S = 60
START_TIMEOUT_S = 60

PREFS: dict[str, str | int | bool] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "remote.log.level": "Info",
}


class FirefoxError(RuntimeError):
    """A command that Firefox refused, or a script that threw."""


def find_firefox() -> str | None:
    """Return the path of an installed Firefox, or None."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """One headless Firefox with a profile of its own; use as a context manager."""

    def __init__(self, prefs: dict[str, str | int | bool] | None = None, size: tuple[int, int] = (1024, 768)) -> None:
        """Start the browser and open a BiDi session; prefs go over PREFS, size is the window in CSS pixels."""
        binary = find_firefox()
        if binary is None:
            raise FirefoxError("no Firefox is installed")
        self.console: list[str] = []
        self._ids = itertools.count(1)
        self._profile = Path(tempfile.mkdtemp(prefix="tropa-firefox-"))
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in {**PREFS, **(prefs or {})}.items()]
        (self._profile / "user.js").write_text("\n".join(lines))
        args = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", str(self._profile)]
        args += ["--width", str(size[0]), "--height", str(size[1])]
        self.process = subprocess.Popen(
            [binary, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._socket: ClientConnection | None = None
        self._open = ExitStack()
        try:
            opening = connect(self._address() + "/session", max_size=None, open_timeout=START_TIMEOUT_S)
            self._socket = self._open.enter_context(opening)
            self._call("session.new", {"capabilities": {}})
            self._call("session.subscribe", {"events": ["log.entryAdded"]})
            self.context = self._call("browsingContext.getTree", {})["contexts"][0]["context"]
            viewport = {"width": size[0], "height": size[1]}
            self._call("browsingContext.setViewport", {"context": self.context, "viewport": viewport})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Firefox:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _address(self) -> str:
        """Read stderr until the address of the BiDi server; a thread goes on reading, so that the pipe never fills."""
        found: list[str] = []
        ready = threading.Event()

        def drain() -> None:
            assert self.process.stderr is not None
            for line in self.process.stderr:
                if match := LISTENING.search(line):
                    found.append(match[1])
                    ready.set()
            ready.set()

        threading.Thread(target=drain, daemon=True).start()
        if not ready.wait(START_TIMEOUT_S) or not found:
            raise FirefoxError("Firefox did not open its BiDi port")
        return found[0]

    def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send one command and return its result; console lines that arrive meanwhile are kept in `console`."""
        assert self._socket is not None
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        deadline_s = time.monotonic() + COMMAND_TIMEOUT_S
        while True:
            message = json.loads(self._socket.recv(timeout=max(0.1, deadline_s - time.monotonic())))
            if message.get("method") == "log.entryAdded":
                self.console.append(f"{message['params']['level']}: {message['params'].get('text')}")
            if message.get("id") != number:
                continue
            if message["type"] == "error":
                raise FirefoxError(f"{method}: {message['error']}: {message['message']}")
            return message["result"]

    def goto(self, url: str) -> None:
        """Open a page and wait until it has loaded."""
        self._call("browsingContext.navigate", {"context": self.context, "url": url, "wait": "complete"})

    def before_pages(self, script: str) -> None:
        """Run a script in every page from now on, before the page's own."""
        self._call("script.addPreloadScript", {"functionDeclaration": f"() => {{ {script} }}"})

    def set_cookie(self, url: str, name: str, value: str) -> None:
        """Put a cookie for the host of a URL into the browser."""
        host = urlsplit(url).hostname
        cookie = {"name": name, "value": {"type": "string", "value": value}, "domain": host, "path": "/"}
        self._call("storage.setCookie", {"cookie": cookie})

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression (promises are awaited) as JSON makes it.

        Raises FirefoxError with the text of what the page threw.
        """
        source = f"(async () => JSON.stringify((await ({expression})) ?? null))()"
        target = {"context": self.context}
        result = self._call(
            "script.evaluate",
            {"expression": source, "target": target, "awaitPromise": True, "userActivation": True},
        )
        if result["type"] == "exception":
            raise FirefoxError(result["exceptionDetails"]["text"])
        return json.loads(result["result"]["value"])

    def wait_for(self, expression: str, timeout_s: float = 30) -> Any:
        """Evaluate every 100 ms until the value is truthy and return it; TimeoutError names the expression."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            value = self.evaluate(expression)
            if value:
                return value
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not within {timeout_s} s: {expression}; console: {self.console[-10:]}")
            time.sleep(0.1)

    def click(self, selector: str) -> None:
        """Press the middle of the first element that matches, as a user's mouse does."""
        middle = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        x, y = (int(value) for value in middle)
        mouse = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        actions = [{"type": "pointer", "id": "mouse", "actions": mouse}]
        self._call("input.performActions", {"context": self.context, "actions": actions})

    def fill(self, selector: str, text: str) -> None:
        """Set the value of a form field and tell the page so."""
        self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(text)};"
            " e.dispatchEvent(new Event('input', {bubbles: true}));"
            " e.dispatchEvent(new Event('change', {bubbles: true})); return true; })()"
        )

    def screenshot(self) -> bytes:
        """Return the visible page as PNG."""
        return base64.b64decode(self._call("browsingContext.captureScreenshot", {"context": self.context})["data"])

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._open.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        shutil.rmtree(self._profile, ignore_errors=True)
