"""Janus from the system's package under the fan-out bench: its streaming plugin, fed with plain RTP.

Driven over its Unix socket (janus.transport.pfunix): one session, one handle a viewer. ICE lite, as ours; the rest is
as the package has it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import signal
import socket
from pathlib import Path

from bench.fanout_load import Source
from bench.fanout_peer import Peer
from bench.fanout_sdp import PICTURE_PT, VOICE_PT, Remote, answer, read

MISSING = "Janus is not installed: as root, `apt-get install janus`; `make bench-fanout` does it where it may"
LIBRARIES = ("/usr/lib/*-linux-gnu/janus", "/usr/lib/janus")
KEEP_ALIVE_S = 20
ANSWER_S = 10
MESSAGE_BYTES = 1 << 18
READY_S = 15
STARTS = 4
"""Janus 1.1.2 now and then ends at its start, without a reason in its log, for want of a transport that is there."""


class NoJanus(RuntimeError):
    """Janus cannot be run here; the text says what is needed."""


class Janus:
    """A running Janus; an asynchronous context manager. Takes UDP ports `port` and `port` + 2 for the RTP in."""

    name = "janus"

    def __init__(self, folder: Path, port: int, ip: str) -> None:
        self._folder, self._port, self._ip = folder, port, ip
        self._process: asyncio.subprocess.Process | None = None
        self._api: socket.socket | None = None
        self._waiting: dict[str, asyncio.Future] = {}
        self._session = 0
        self._handles: dict[Peer, int] = {}
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._alive: asyncio.Task | None = None

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def __aenter__(self) -> Janus:
        binary = shutil.which("janus")
        if binary is None:
            raise NoJanus(MISSING)
        self._configure()
        for attempt in range(STARTS):
            try:
                await self._start(binary)
                break
            except NoJanus:
                if attempt == STARTS - 1:
                    raise
        self._alive = asyncio.get_running_loop().create_task(self._keep_alive(), name="janus keep-alive")
        return self

    async def _start(self, binary: str) -> None:
        """Start the process and a session in it. Raises NoJanus."""
        with (self._folder / "janus.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                binary, "-F", str(self._folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            await self._connect()
            self._session = (await self._ask({"janus": "create"}))["data"]["id"]
        except BaseException:
            await self._stop()
            raise

    async def __aexit__(self, *_exc: object) -> None:
        self._rtp.close()
        await self._stop()

    async def _stop(self) -> None:
        if self._alive is not None:
            self._alive.cancel()
            await asyncio.gather(self._alive, return_exceptions=True)
        if self._api is not None:
            asyncio.get_running_loop().remove_reader(self._api.fileno())
            self._api.close()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    def _configure(self) -> None:
        """Write the configuration of one stream and one way to control it."""
        found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
        if not found:
            raise NoJanus("the folder of Janus' plugins is not where Debian puts it")
        self._folder.mkdir(parents=True, exist_ok=True)
        kinds = ("plugins", "transports", "events", "loggers")
        folders = "".join(f'\t{kind}_folder = "{found[0]}/{kind}"\n' for kind in kinds)
        others = ("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip", "textroom", "videocall")
        unused = ",".join(f"libjanus_{name}.so" for name in (*others, "videoroom", "voicemail"))
        ways = ",".join(f"libjanus_{name}.so" for name in ("http", "mqtt", "nanomsg", "rabbitmq", "websockets"))
        (self._folder / "janus.jcfg").write_text(
            f'general: {{\n\tconfigs_folder = "{self._folder}"\n{folders}\tdebug_level = 3\n}}\n'
            "nat: {\n\tice_lite = true\n}\n"
            f'plugins: {{\n\tdisable = "{unused}"\n}}\ntransports: {{\n\tdisable = "{ways}"\n}}\n'
        )
        (self._folder / "janus.transport.pfunix.jcfg").write_text(
            f'general: {{\n\tenabled = true\n\tjson = "compact"\n\tpath = "{self._folder}/api"\n'
            '\ttype = "SOCK_SEQPACKET"\n}\nadmin: {\n\tadmin_enabled = false\n}\n'
        )
        (self._folder / "janus.plugin.streaming.jcfg").write_text(
            'lesson: {\n\ttype = "rtp"\n\tid = 1\n\taudio = true\n\tvideo = true\n'
            f'\taudioport = {self._port}\n\taudiopt = {VOICE_PT}\n\taudiocodec = "opus"\n\taudioiface = "127.0.0.1"\n'
            f'\tvideoport = {self._port + 2}\n\tvideopt = {PICTURE_PT}\n\tvideocodec = "vp8"\n'
            '\tvideoiface = "127.0.0.1"\n}\n'
        )

    async def _connect(self) -> None:
        """Wait for the socket and connect to it. Raises NoJanus."""
        path = self._folder / "api"
        try:
            async with asyncio.timeout(READY_S):
                while not path.exists() and self._process.returncode is None:  # noqa: ASYNC110 - a file tells no event
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise NoJanus(f"Janus did not open {path.name} in {READY_S} s: {self._log()}") from None
        if self._process.returncode is not None:
            raise NoJanus(f"Janus ended with {self._process.returncode}: {self._log()}")
        self._api = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._api.connect(str(path))
        self._api.setblocking(False)
        asyncio.get_running_loop().add_reader(self._api.fileno(), self._heard)

    def _log(self) -> str:
        return (self._folder / "janus.log").read_text(errors="replace")[-500:]

    def _heard(self) -> None:
        told = json.loads(self._api.recv(MESSAGE_BYTES) or b"{}")
        waiting = self._waiting.get(told.get("transaction", ""))
        # An acknowledgement goes before the answer of a plugin.
        if waiting is not None and not waiting.done() and told.get("janus") != "ack":
            waiting.set_result(told)

    async def _ask(self, body: dict) -> dict:
        """Send one request and return its answer. Raises RuntimeError."""
        name = secrets.token_hex(6)
        self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            self._api.send(json.dumps({**body, "transaction": name}).encode())
            async with asyncio.timeout(ANSWER_S):
                told = await self._waiting[name]
        finally:
            del self._waiting[name]
        if told.get("janus") == "error" or "error" in told.get("plugindata", {}).get("data", {}):
            raise RuntimeError(f"Janus refused {body['janus']}: {told}")
        return told

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            self._api.send(
                json.dumps({"janus": "keepalive", "session_id": self._session, "transaction": "alive"}).encode()
            )

    async def open(self, source: Source) -> None:
        """Nothing is to be agreed: the plugin takes what comes to its ports."""

    def send(self, kind: str, packet: bytes) -> None:
        """Take a packet of the source."""
        self._rtp.sendto(packet, ("127.0.0.1", self._port + (0 if kind == "audio" else 2)))

    async def agree(self, peer: Peer) -> Remote:
        """Let one viewer in: Janus offers, the viewer answers."""
        here = {"session_id": self._session}
        handle = (await self._ask({"janus": "attach", "plugin": "janus.plugin.streaming", **here}))["data"]["id"]
        self._handles[peer] = handle
        told = await self._message(handle, {"request": "watch", "id": 1})
        text = told["jsep"]["sdp"]
        jsep = {"type": "answer", "sdp": answer(text, peer.local)}
        await self._message(handle, {"request": "start"}, jsep)
        return read(text, self._ip)

    async def _message(self, handle: int, body: dict, jsep: dict | None = None) -> dict:
        request = {"janus": "message", "session_id": self._session, "handle_id": handle, "body": body}
        return await self._ask(request if jsep is None else {**request, "jsep": jsep})
