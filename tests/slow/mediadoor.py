"""The media process alone, with a tiny WHIP and WHEP door before its control port, for slow tests and benches."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

from rules.tickets import derive

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "0123456789abcdef" * 4


class MediaDoor:
    """An asynchronous context manager: `url` is the door's address, `media_port` the media port, `pid` the process.

    `module` is what is started instead of the media process itself.
    """

    def __init__(self, data: Path, media_port: int, door_port: int = 0, module: str = "media") -> None:
        self.data = data
        self._module = module
        self.media_port = media_port
        self.process: asyncio.subprocess.Process | None = None
        self._door_port = door_port
        self.url = ""

    async def __aenter__(self) -> MediaDoor:
        self._http = aiohttp.ClientSession(headers={"X-Tropa-Control": derive(SECRET, "control").hex()})
        await self.start()
        app = web.Application()
        app.add_routes(
            [
                web.post("/{door:whip|whep}/{session}", self._offer),
                web.delete("/{door:whip|whep}/{session}/{resource}", self._leave),
                web.patch("/{door:whip|whep}/{session}/{resource}", self._patch),
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._door_port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop(signal.SIGTERM)
        await self._runner.cleanup()
        await self._http.close()

    async def start(self) -> None:
        """Start the media process and wait until its control port is known."""
        announced = self.data / "run" / "media.json"
        announced.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "TROPA_HOST": "127.0.0.1",
            "TROPA_MEDIA_PORT": str(self.media_port),
            "TROPA_DATA": str(self.data),
            "SECRET_KEY": SECRET,
            "REDIS_URL": "",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, cwd=ROOT, env=environment
        )
        async with asyncio.timeout(20):
            while not announced.exists():
                if self.process.returncode is not None:
                    raise RuntimeError(f"the media process ended with {self.process.returncode}")
                await asyncio.sleep(0.02)
        self.control = json.loads(announced.read_text())["control"]

    async def stop(self, number: int) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
            await self.process.wait()

    async def ask(self, method: str, path: str, body: dict | None = None) -> tuple[int, dict]:
        """Call the control port."""
        async with self._http.request(method, self.control + path, json=body) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else {"text": text}

    async def _offer(self, request: web.Request) -> web.Response:
        door, session = request.match_info["door"], request.match_info["session"]
        offer = await request.text()
        if door == "whip":
            status, body = await self.ask("POST", f"/rooms/{session}/host", {"offer": offer, "title": "Lesson"})
        else:
            who = {"key": request.query.get("key", "guest:1"), "name": "Anna", "school": "Lyanino"}
            status, body = await self.ask("POST", f"/rooms/{session}/viewers", {"offer": offer, "viewer": who})
        if status != 201:
            return web.json_response(body, status=status)
        headers = {"Location": f"/{door}/{session}/{body['resource']}"}
        return web.Response(text=body["answer"], status=201, content_type="application/sdp", headers=headers)

    async def _leave(self, request: web.Request) -> web.Response:
        session, resource = request.match_info["session"], request.match_info["resource"]
        status, body = await self.ask("DELETE", f"/rooms/{session}/resources/{resource}")
        return web.json_response(body, status=status)

    async def _patch(self, request: web.Request) -> web.Response:
        session, resource = request.match_info["session"], request.match_info["resource"]
        body = {"fragment": await request.text(), "if_match": request.headers.get("If-Match")}
        status, answer = await self.ask("PATCH", f"/rooms/{session}/resources/{resource}", body)
        if status != 200:
            return web.Response(status=status)
        kind = "application/trickle-ice-sdpfrag"
        return web.Response(text=answer["fragment"], content_type=kind, headers={"ETag": f'"{answer["etag"]}"'})
