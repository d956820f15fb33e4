"""Our own media process under the fan-out bench: a host by WHIP's call, viewers by WHEP's, at the control port."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from bench.fanout_load import Source
from bench.fanout_peer import Crowd, Peer
from bench.fanout_sdp import Remote, offer, read
from tests.slow.mediadoor import MediaDoor

ROOM = "bench"


class Ours:
    """A running media process; an asynchronous context manager."""

    name = "ours"

    def __init__(self, folder: Path, port: int, ip: str) -> None:
        self._folder, self._port, self._ip = folder, port, ip
        self._stack = AsyncExitStack()
        self._joined = 0
        self._host: Peer | None = None
        self.hosts: Crowd | None = None
        self.door: MediaDoor | None = None

    async def __aenter__(self) -> Ours:
        self.door = await self._stack.enter_async_context(MediaDoor(self._folder, self._port))
        self.hosts = Crowd(self._ip)
        self._stack.push_async_callback(self.hosts.close)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    @property
    def pid(self) -> int:
        """The media process."""
        return self.door.process.pid

    async def open(self, source: Source, codec: str = "VP8") -> None:
        """Let a host go on air with the source's numbers."""
        ssrcs = tuple(source.ssrcs.values())

        async def agree(peer: Peer) -> Remote:
            text = offer(peer.local, "sendonly", ssrcs, (codec,))
            body = {"offer": text, "title": "Lesson"}
            return read(await self._created(peer, f"/rooms/{ROOM}/host", body), self._ip)

        self._host = await self.hosts.join(agree)

    def send(self, _kind: str, packet: bytes) -> None:
        """Take a packet of the source."""
        if self._host is not None:
            self._host.protect(packet)

    async def agree(self, peer: Peer) -> Remote:
        """Let one viewer in."""
        self._joined += 1
        body = {
            "offer": offer(peer.local, "recvonly", codecs=("VP8", "AV1")),
            "viewer": {"key": f"guest:{self._joined}", "name": f"Guest {self._joined}", "school": "Lyanino"},
        }
        return read(await self._created(peer, f"/rooms/{ROOM}/viewers", body), self._ip)

    async def leave(self, peer: Peer) -> None:
        """Say goodbye for a viewer."""
        status, _ = await self.door.ask("DELETE", f"/rooms/{ROOM}/resources/{peer.resource}")
        if status != 200:
            raise RuntimeError(f"a viewer could not leave: {status}")

    async def _created(self, peer: Peer, path: str, body: dict) -> str:
        status, told = await self.door.ask("POST", path, body)
        if status != 201:
            raise RuntimeError(f"the media process refused an offer: {status} {told}")
        peer.resource = told["resource"]
        return told["answer"]

    async def rungs(self, peers: Iterable[Peer]) -> dict[str, int]:
        """Count what viewers have."""
        found: Counter[str] = Counter()
        for peer in peers:
            _, told = await self.door.ask("PATCH", f"/rooms/{ROOM}/resources/{peer.resource}", {})
            found[told.get("rung", "gone")] += 1
        return dict(found)
