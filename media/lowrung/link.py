"""The media process's end of the socket to a child that encodes low rungs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from media.lowrung.wire import BrokenStream, Message, Parser, pack

logger = logging.getLogger(__name__)


class Link(asyncio.Protocol):
    """Our end of the socket to one child."""

    def __init__(self, received: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._received = received
        self._ended = ended
        self._parser = Parser()
        self._transport: asyncio.Transport | None = None
        self._early = bytearray()
        """What was sent before there was a socket; bounded as the socket's queue is, by who asks `waiting`."""
        self.lost = False
        self.heard_s = asyncio.get_running_loop().time()
        self.decoded = 0

    @property
    def waiting(self) -> int:
        """Return the bytes that the child has not taken yet, the socket's own buffer left out."""
        return self._transport.get_write_buffer_size() if self._transport is not None else len(self._early)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(bytes(self._early))
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        self.heard_s = asyncio.get_running_loop().time()
        try:
            messages = self._parser.feed(data)
        except BrokenStream as error:
            logger.warning("the encoder of low rungs talks nonsense: %s", error)
            self.close()
            return
        for message in messages:
            self._received(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._ended()

    def send(self, message: Message) -> None:
        """Queue a message; one to a child that is gone is lost."""
        if self._transport is None:
            self._early += pack(message)
        elif not self._transport.is_closing():
            self._transport.write(pack(message))

    def close(self) -> None:
        """Drop what waits and close the socket, which ends the child."""
        if self._transport is not None:
            self._transport.abort()
