"""The child process: reads the host's frames from a socket, writes the rungs asked for. One thread, blocking."""

from __future__ import annotations

import json
import logging
import select
import socket
import struct
import time
from collections import deque
from dataclasses import dataclass

import av

from media.decoding import frames_decoded
from media.lowrung.pace import CLOCK_HZ
from media.lowrung.picture import Decoder
from media.lowrung.rungs import Rung
from media.lowrung.streams import MovingStream, StillStream
from media.lowrung.voice import LowVoice
from media.lowrung.wire import Kind, Message, Parser, pack

logger = logging.getLogger(__name__)

READ_BYTES = 1 << 18
MAX_WAITING = 60
"""Pictures not yet decoded; with more, all are dropped and a keyframe asked for."""
LATE_PICTURES = 8
"""With more waiting, pictures are decoded and not encoded, until the lag is caught up."""
ASK_GAP_S = 1.5
FROZEN_S = 0.5
"""A host that sends no new picture for so long has a frozen one: keyframes and stills are made of the last."""
REPORT_S = 1.0


@dataclass
class Counts:
    """What the report tells, since the start."""

    broken: int = 0
    dropped: int = 0
    encoded: int = 0
    voice: int = 0


class Worker:
    """One room's codecs."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._counts = Counts()
        self._waiting: deque[Message] = deque()
        self._streams: dict[tuple[Rung, str], MovingStream | StillStream] = {}
        self._voice: LowVoice | None = None
        self._decoder: Decoder | None = None
        self._needs_keyframe = True
        self._asked_s = float("-inf")
        self._reported_s = float("-inf")
        self._picture: tuple[av.VideoFrame, int, float] | None = None
        """The last decoded picture, its timestamp, when it came."""

    def run(self) -> None:
        """Work until the other end closes the socket."""
        parser = Parser()
        while True:
            timeout_s = 0.0 if self._waiting else 0.1 if self._streams else REPORT_S
            if select.select([self._sock], [], [], timeout_s)[0]:
                data = self._sock.recv(READ_BYTES)
                if not data:
                    return
                for message in parser.feed(data):
                    self._take(message, time.monotonic())
            now_s = time.monotonic()
            if self._waiting:
                self._show(self._waiting.popleft(), now_s)
            self._repeat_frozen(now_s)
            self._ask_keyframe(now_s)
            self._report(now_s)

    def _send(self, message: Message) -> None:
        self._sock.sendall(pack(message))

    # What comes in: voice and orders at once, pictures in their turn.

    def _take(self, message: Message, now_s: float) -> None:
        if message.kind == Kind.PICTURE:
            self._queue(message)
        elif message.kind == Kind.VOICE:
            self._speak(message)
        elif message.kind == Kind.START:
            self._start(Rung(message.rung), message.codec, *struct.unpack("!I", message.body), now_s)
        elif message.kind == Kind.STOP:
            self._stop(Rung(message.rung), message.codec)
        elif message.kind == Kind.FORCE:
            stream = self._streams.get((Rung(message.rung), message.codec))
            if stream is not None:
                stream.forced = True

    def _start(self, rung: Rung, codec: str, rate_bps: int, now_s: float) -> None:
        if rung == Rung.VOICE:
            self._voice = LowVoice(rate_bps)
            return
        if not self._streams:
            # Whoever starts the first stream asks the host for a keyframe; give it time to come.
            self._needs_keyframe, self._asked_s, self._picture = True, now_s, None
        stream = self._streams.get((rung, codec))
        if stream is not None:
            stream.set_rate(rate_bps)
        elif rung == Rung.STILL:
            self._streams[rung, codec] = StillStream(codec, rate_bps)
        else:
            self._streams[rung, codec] = MovingStream(rung, codec, rate_bps)

    def _stop(self, rung: Rung, codec: str) -> None:
        if rung == Rung.VOICE:
            self._voice = None
        stream = self._streams.pop((rung, codec), None)
        if stream is not None:
            stream.close()
        if not self._streams:
            self._waiting.clear()
            self._decoder = self._picture = None

    def _speak(self, message: Message) -> None:
        if self._voice is None:
            return
        try:
            packets = self._voice.push(message.timestamp, message.body)
        except av.FFmpegError:
            self._counts.broken += 1
            return
        for timestamp, payload in packets:
            self._counts.voice += 1
            self._send(Message(Kind.RUNG_VOICE, payload, timestamp, Rung.VOICE))

    # Pictures.

    def _queue(self, message: Message) -> None:
        if not self._streams:
            return
        if message.keyframe:  # nothing behind it needs what stands before it
            self._counts.dropped += len(self._waiting)
            self._waiting.clear()
        self._waiting.append(message)
        if len(self._waiting) > MAX_WAITING:
            self._counts.dropped += len(self._waiting)
            self._waiting.clear()
            self._needs_keyframe = True

    def _show(self, message: Message, now_s: float) -> None:
        """Decode a picture and give it to the streams that want it."""
        if self._decoder is None or self._decoder.codec != message.codec:
            self._decoder, self._needs_keyframe = Decoder(message.codec), True
        if self._needs_keyframe and not message.keyframe:
            self._counts.dropped += 1
            return
        try:
            picture = self._decoder.decode(message.body)
        except av.FFmpegError:
            self._counts.broken += 1
            self._decoder, self._needs_keyframe = None, True
            return
        self._needs_keyframe = False
        if picture is None:
            return
        self._picture = (picture, message.timestamp, now_s)
        if len(self._waiting) <= LATE_PICTURES:
            for (rung, codec), stream in self._streams.items():
                if stream.wants(message.timestamp):
                    self._encode(rung, codec, stream, picture, message.timestamp)

    def _encode(
        self, rung: Rung, codec: str, stream: MovingStream | StillStream, picture: av.VideoFrame, timestamp: int
    ) -> None:
        coded = stream.push(picture, timestamp)
        if coded is not None:
            self._counts.encoded += 1
            self._send(Message(Kind.RUNG_PICTURE, coded.data, timestamp, rung, codec, coded.keyframe))

    def _repeat_frozen(self, now_s: float) -> None:
        if self._picture is None or self._waiting:
            return
        picture, timestamp, came_s = self._picture
        if now_s - came_s < FROZEN_S:
            return
        timestamp = (timestamp + int((now_s - came_s) * CLOCK_HZ)) & 0xFFFFFFFF
        for (rung, codec), stream in self._streams.items():
            if stream.overdue(timestamp):
                self._encode(rung, codec, stream, picture, timestamp)

    def _ask_keyframe(self, now_s: float) -> None:
        if self._streams and self._needs_keyframe and not self._waiting and now_s - self._asked_s > ASK_GAP_S:
            self._asked_s = now_s
            self._send(Message(Kind.ASK_KEYFRAME))

    def _report(self, now_s: float) -> None:
        if now_s - self._reported_s < REPORT_S:
            return
        self._reported_s = now_s
        told = {"decoded": frames_decoded(), "cpu_s": round(time.process_time(), 3), **vars(self._counts)}
        self._send(Message(Kind.REPORT, json.dumps(told).encode()))
