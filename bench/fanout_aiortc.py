"""aiortc as it is under the fan-out bench: an RTCPeerConnection and its RTCRtpSender for each viewer.

As a program (`python -m bench.fanout_aiortc PORT`) it is the server: it takes plain RTP at PORT and PORT + 2 and offers
on standard input, one JSON line each, and answers on standard output. Media is encoded once: the tracks give packets.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import socket
import sys
from pathlib import Path

import av
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

from bench.fanout_load import Source
from bench.fanout_peer import Peer
from bench.fanout_sdp import Remote, offer, read
from media.rtp import parse_rtp

QUEUE_PACKETS = 200
LINE_BYTES = 1 << 20
ANSWER_S = 20
CLOCKS = {"audio": 48_000, "video": 90_000}
VP8_DESCRIPTOR_BYTES = 1


class Aiortc:
    """The other end of the program; an asynchronous context manager."""

    name = "aiortc"

    def __init__(self, folder: Path, port: int, ip: str) -> None:
        self._port, self._ip = port, ip
        self._process: asyncio.subprocess.Process | None = None
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def __aenter__(self) -> Aiortc:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.fanout_aiortc",
            str(self._port),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._rtp.close()
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def open(self, source: Source) -> None:
        """Nothing is to be agreed: the program takes what comes to its ports."""

    def send(self, kind: str, packet: bytes) -> None:
        """Take a packet of the source."""
        self._rtp.sendto(packet, ("127.0.0.1", self._port + (0 if kind == "audio" else 2)))

    async def agree(self, peer: Peer) -> Remote:
        """Let one viewer in. Raises RuntimeError, TimeoutError."""
        text = offer(peer.local, "recvonly")
        async with self._lock, asyncio.timeout(ANSWER_S):
            self._process.stdin.write(json.dumps(text).encode() + b"\n")
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the aiortc server has ended")
        return read(json.loads(line), self._ip)


class _PacketTrack(MediaStreamTrack):
    """Hands encoded packets to one sender. Drop policy: a sender that lags by QUEUE_PACKETS loses the newest."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._queue: asyncio.Queue[av.Packet] = asyncio.Queue(QUEUE_PACKETS)

    def put(self, packet: av.Packet) -> None:
        if not self._queue.full():
            self._queue.put_nowait(packet)

    async def recv(self) -> av.Packet:
        return await self._queue.get()


class _Server:
    """The program's connections and what feeds them."""

    def __init__(self) -> None:
        self._connections: list[RTCPeerConnection] = []
        self._tracks: dict[str, list[_PacketTrack]] = {"audio": [], "video": []}

    def listen(self, port: int) -> None:
        """Take RTP in at both ports."""
        for kind, number in (("audio", port), ("video", port + 2)):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", number))
            asyncio.get_running_loop().add_reader(sock.fileno(), self._take, kind, sock)

    def _take(self, kind: str, sock: socket.socket) -> None:
        came = parse_rtp(sock.recv(2048))
        packet = av.Packet(came.payload[VP8_DESCRIPTOR_BYTES:] if kind == "video" else came.payload)
        packet.pts, packet.time_base = came.timestamp, fractions.Fraction(1, CLOCKS[kind])
        for track in self._tracks[kind]:
            track.put(packet)

    async def answer(self, text: str) -> str:
        """Make a connection for one viewer."""
        connection = RTCPeerConnection()
        self._connections.append(connection)
        await connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        for kind, tracks in self._tracks.items():
            tracks.append(_PacketTrack(kind))
            connection.addTrack(tracks[-1])
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp


async def _serve(port: int) -> None:
    server, loop = _Server(), asyncio.get_running_loop()
    server.listen(port)
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await server.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
