"""A TCP proxy that slows a connection down and cuts it at random moments, for transfers that must survive that.

It runs in the process of whoever uses it; the emulated link (bench/linkemu) may lie in front of it. Moments and places
of the cuts come from a seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass

PIECE_BYTES = 4096
# SO_LINGER with no time: closing sends RST, as a link that is gone and a new one do, instead of an orderly end.
AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Link:
    """What the proxy does: bytes per second each way (0: as they come), mean seconds between cuts, how many of them."""

    bytes_per_s: int = 0
    mean_life_s: float = 0.0
    cuts: int = 0


class CutLink:
    """Listens on a loopback port and passes on to `target`; use as a context manager, in a thread of its own."""

    def __init__(
        self, target: tuple[str, int], link: Link, seed: int, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._target, self._link = target, link
        self._random = random.Random(seed)
        self._listen = (host, port)
        self._left = link.cuts
        self._streams: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0
        self.refuses = False  # new connections too: the link is away
        self.cuts = 0
        self.bytes_up = 0
        self.bytes_down = 0

    def __enter__(self) -> CutLink:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def cut(self) -> None:
        """Cut every connection that there is, now."""
        self._loop.call_soon_threadsafe(self._cut_all)

    def _cut_all(self) -> None:
        for writer in list(self._streams):
            self._reset(writer)
        self.cuts += 1

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connect, *self._listen)
        self.port = server.sockets[0].getsockname()[1]
        cutting = asyncio.create_task(self._cut_now_and_then())
        self._ready.set()
        await self._end.wait()
        cutting.cancel()
        server.close()
        for writer in list(self._streams):
            self._reset(writer)

    async def _cut_now_and_then(self) -> None:
        while self._link.mean_life_s and self._left:
            await asyncio.sleep(self._random.expovariate(1 / self._link.mean_life_s))
            if self._streams:  # a cut that hits nobody is none
                self._cut_all()
                self._left -= 1

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            self._reset(writer)
            return
        try:
            there_reader, there = await asyncio.open_connection(*self._target)
        except OSError:
            self._reset(writer)
            return
        self._streams |= {writer, there}
        try:
            await asyncio.gather(self._pass(reader, there, "bytes_up"), self._pass(there_reader, writer, "bytes_down"))
        except asyncio.CancelledError:
            return  # the proxy ends, and asyncio's streams would only report it
        finally:
            self._streams -= {writer, there}
            for one in (writer, there):
                one.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counter: str) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
                setattr(self, counter, getattr(self, counter) + len(piece))
                if self._link.bytes_per_s:
                    await asyncio.sleep(len(piece) / self._link.bytes_per_s)
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        writer.transport.abort()
