"""The room's side of the child that encodes low rungs: starts it when needed, feeds it, brings it back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from media.decoding import report_decoded
from media.lowrung.link import Link
from media.lowrung.packetize import payloads
from media.lowrung.rungs import CODECS, MAX_HOST_PIXELS, SPECS, VOICE_RATE_BPS, Rung
from media.lowrung.wire import Kind, Message
from media.payload import Frame
from media.rtp import MalformedPacket

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
# Nothing of the environment: a process that decodes strangers' pictures has no use for the server's secrets.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "SVT_LOG": "1", "PYTHONDONTWRITEBYTECODE": "1"}
MAX_PICTURE_BYTES_WAITING = 512 * 1024
"""The child lags behind: pictures are dropped up to the next keyframe, voice never."""
MAX_BYTES_WAITING = 1024 * 1024
"""Only a child that reads nothing leaves so much voice; it is killed."""
SILENCE_S = 6.0
"""The child reports each second; after such a silence it is stuck in a codec."""
LINGER_S = 5.0
CHECK_S = 1.0
GOODBYE_S = 1.0
BACK_OFF_S = (0.3, 1.0, 3.0, 10.0)
HEALTHY_S = 30.0


@dataclass(frozen=True, slots=True)
class RungFrame:
    """One frame of a picture rung, ready for RTP: the marker belongs to the last payload."""

    rung: Rung
    codec: str
    timestamp: int
    keyframe: bool
    payloads: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class VoicePacket:
    """One packet of the low voice."""

    timestamp: int
    payload: bytes


@dataclass
class Stats:
    """What happened since the room began; the child's own counts are those of the running child."""

    running: bool = False
    restarts: int = 0
    pictures_dropped: int = 0
    pictures_decoded: int = 0
    pictures_broken: int = 0
    frames_encoded: int = 0
    cpu_s: float = 0.0


class LowRungs:
    """One room's low rungs. All methods but `close` return at once; call them in the event loop's thread."""

    def __init__(
        self,
        on_frame: Callable[[RungFrame], None],
        on_voice: Callable[[VoicePacket], None],
        ask_keyframe: Callable[[], None],
    ) -> None:
        self.stats = Stats()
        self._on_frame = on_frame
        self._on_voice = on_voice
        self._ask_keyframe = ask_keyframe
        self._wanted: dict[tuple[Rung, str], int] = {}
        self._link: Link | None = None
        self._task: asyncio.Task | None = None
        self._changed = asyncio.Event()
        self._until_keyframe = False
        self._closed = False

    @property
    def active(self) -> frozenset[tuple[Rung, str]]:
        """Return the rungs that are on, each with its codec ("" for the voice)."""
        return frozenset(self._wanted)

    @property
    def wants_pictures(self) -> bool:
        """Say whether pictures are of use, so that the room may spare putting packets together."""
        return any(rung != Rung.VOICE for rung, _ in self._wanted)

    @property
    def wants_voice(self) -> bool:
        """Say whether voice is of use."""
        return (Rung.VOICE, "") in self._wanted

    def start(self, rung: Rung, codec: str = "AV1", rate_bps: int | None = None) -> None:
        """Switch a rung on, or change its rate; a change costs a keyframe. The codec says nothing for VOICE."""
        if self._closed:
            return
        if rung != Rung.VOICE and codec not in CODECS:
            raise ValueError(f"no low rung in {codec}")
        key = _key(rung, codec)
        rate = rate_bps or (VOICE_RATE_BPS if rung == Rung.VOICE else SPECS[rung].rate_bps)
        if self._wanted.get(key) == rate:
            return
        first_picture = rung != Rung.VOICE and not self.wants_pictures
        self._wanted[key] = rate
        self._changed.set()
        if self._link is not None:
            self._link.send(_start(key, rate))
        if self._task is None:
            self._open()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="low rungs")
        if first_picture:
            self._until_keyframe = False
            self._ask_keyframe()

    def stop(self, rung: Rung, codec: str = "AV1") -> None:
        """Switch a rung off; without any the child ends after a while."""
        key = _key(rung, codec)
        if self._wanted.pop(key, None) is None:
            return
        self._changed.set()
        if self._link is not None:
            self._link.send(Message(Kind.STOP, rung=key[0], codec=key[1]))

    def force_keyframe(self, rung: Rung, codec: str = "AV1") -> None:
        """Ask for a keyframe (a still, for STILL) soon; requests within two seconds get one."""
        if self._link is not None and (rung, codec) in self._wanted:
            self._link.send(Message(Kind.FORCE, rung=rung, codec=codec))

    def picture(self, codec: str, frame: Frame) -> None:
        """Take a whole frame of the host, in order, as the Depacketizer gives it."""
        if self._link is None or not self.wants_pictures:
            return
        if frame.keyframe:
            too_large = frame.size is not None and frame.size[0] * frame.size[1] > MAX_HOST_PIXELS
            self._until_keyframe = too_large or self._link.waiting > MAX_PICTURE_BYTES_WAITING
        elif self._link.waiting > MAX_PICTURE_BYTES_WAITING:
            self._until_keyframe = True
        if self._until_keyframe:
            self.stats.pictures_dropped += 1
            return
        self._link.send(Message(Kind.PICTURE, frame.data, frame.timestamp, 0, codec, frame.keyframe))

    def voice(self, timestamp: int, payload: bytes) -> None:
        """Take an Opus packet of the host, in order."""
        if self._link is not None and self.wants_voice:
            self._link.send(Message(Kind.VOICE, payload, timestamp))

    async def close(self) -> None:
        """End the child and wait until it is gone."""
        self._closed = True
        self._wanted.clear()
        self._changed.set()
        if self._task is not None:
            await self._task

    # The child.

    def _open(self) -> Link:
        """Begin a link; what is sent waits until the child is there to read it."""
        self._link = Link(self._received, self._changed.set)
        for key, rate in self._wanted.items():
            self._link.send(_start(key, rate))
        return self._link

    async def _run(self) -> None:
        """Keep a child while a rung is on, and a little longer."""
        failures = 0
        while self._wanted and not self._closed:
            began_s = asyncio.get_running_loop().time()
            try:
                expected = await self._live()
            except OSError as error:
                logger.error("cannot start the encoder of low rungs: %s", error)
                expected = False
            if expected:
                failures = 0
                continue
            if asyncio.get_running_loop().time() - began_s > HEALTHY_S:
                failures = 0
            pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
            failures += 1
            self.stats.restarts += 1
            logger.warning("the encoder of low rungs ended; another follows in %.1f s", pause_s)
            await self._pause(pause_s)
            if self.wants_pictures:
                self._ask_keyframe()
        self._task = None

    async def _pause(self, seconds: float) -> None:
        """Wait, or return as soon as the room closes."""
        deadline_s = asyncio.get_running_loop().time() + seconds
        while not self._closed and (left_s := deadline_s - asyncio.get_running_loop().time()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left_s)
            except TimeoutError:
                return

    async def _live(self) -> bool:
        """Live with one child from start to end; return whether its end was our wish."""
        link = self._link or self._open()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            await asyncio.get_running_loop().create_connection(lambda: link, sock=ours)
            command = [sys.executable, "-m", "media.lowrung", str(theirs.fileno()), str(os.getpid())]
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    cwd=ROOT,
                    env=ENVIRONMENT,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError:
                self._link = None
                link.close()
                raise
        self.stats.running = True
        try:
            return await self._watch(link)
        finally:
            self._link = None
            self.stats.running = False
            link.close()
            await _bury(process)

    async def _watch(self, link: Link) -> bool:
        """Return True when the child was not needed for a while, False when it died or got stuck."""
        loop = asyncio.get_running_loop()
        unused_since_s: float | None = None
        while True:
            self._changed.clear()
            if link.lost:
                return False
            if self._closed:
                return True
            now_s = loop.time()
            if self._wanted:
                unused_since_s = None
            elif unused_since_s is None:
                unused_since_s = now_s
            elif now_s - unused_since_s >= LINGER_S:
                return True
            if now_s - link.heard_s > SILENCE_S or link.waiting > MAX_BYTES_WAITING:
                logger.warning("the encoder of low rungs is stuck; it is killed")
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), CHECK_S)

    def _received(self, message: Message) -> None:
        key = (message.rung, message.codec)
        if message.kind == Kind.RUNG_VOICE:
            if self.wants_voice:
                self._on_voice(VoicePacket(message.timestamp, message.body))
        elif message.kind == Kind.RUNG_PICTURE:
            if key in self._wanted:
                self._deliver(Rung(message.rung), message)
        elif message.kind == Kind.ASK_KEYFRAME:
            self._ask_keyframe()
        elif message.kind == Kind.REPORT:
            self._note(json.loads(message.body))

    def _deliver(self, rung: Rung, message: Message) -> None:
        try:
            parts = payloads(message.codec, message.body, message.keyframe, SPECS[rung].max_payload_bytes)
        except MalformedPacket as error:
            logger.warning("the encoder of low rungs gave a frame that cannot be sent: %s", error)
            return
        self._on_frame(RungFrame(rung, message.codec, message.timestamp, message.keyframe, tuple(parts)))

    def _note(self, told: dict) -> None:
        link = self._link
        if link is not None:
            report_decoded(max(0, told["decoded"] - link.decoded))
            link.decoded = told["decoded"]
        self.stats.pictures_decoded = told["decoded"]
        self.stats.pictures_broken = told["broken"]
        self.stats.frames_encoded = told["encoded"]
        self.stats.cpu_s = told["cpu_s"]


def _key(rung: Rung, codec: str) -> tuple[Rung, str]:
    return rung, "" if rung == Rung.VOICE else codec


def _start(key: tuple[Rung, str], rate_bps: int) -> Message:
    return Message(Kind.START, struct.pack("!I", rate_bps), rung=key[0], codec=key[1])


async def _bury(process: asyncio.subprocess.Process) -> None:
    """Wait for a child whose socket is closed; kill one that does not go by itself."""
    try:
        await asyncio.wait_for(process.wait(), GOODBYE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
