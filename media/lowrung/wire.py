"""Pure: messages between the media process and its child that encodes low rungs.

A message is a header of 12 bytes (body length, kind, rung, codec, flags, RTP timestamp; network order) and its body.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from media.payload.video import MAX_FRAME_BYTES

HEADER = struct.Struct("!IBBBBI")
CODECS = ("", "AV1", "VP9", "H264", "VP8")
KEYFRAME = 0x01


class Kind(IntEnum):
    """What a message is; the first five go to the child, the others come from it."""

    PICTURE = 1
    VOICE = 2
    START = 3  # the body is the rate, 4 bytes; of a rung that is on: change its rate
    STOP = 4
    FORCE = 5
    RUNG_PICTURE = 11
    RUNG_VOICE = 12
    REPORT = 13  # the body is JSON
    ASK_KEYFRAME = 14


class BrokenStream(ValueError):
    """Bytes that no message begins with; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `rung` is 0 and `codec` "" where they say nothing."""

    kind: Kind
    body: bytes = b""
    timestamp: int = 0
    rung: int = 0
    codec: str = ""
    keyframe: bool = False


def pack(message: Message) -> bytes:
    """Return the bytes of a message."""
    flags = KEYFRAME if message.keyframe else 0
    head = (len(message.body), message.kind, message.rung, CODECS.index(message.codec), flags)
    return HEADER.pack(*head, message.timestamp & 0xFFFFFFFF) + message.body


class Parser:
    """Cut a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take bytes; return the messages that they complete. Raises BrokenStream."""
        self._buffer += data
        messages, at = [], 0
        while len(self._buffer) - at >= HEADER.size:
            size, kind, rung, codec, flags, timestamp = HEADER.unpack_from(self._buffer, at)
            if size > MAX_FRAME_BYTES or kind not in list(Kind) or codec >= len(CODECS):
                raise BrokenStream(f"kind {kind}, codec {codec}, {size} bytes")
            end = at + HEADER.size + size
            if end > len(self._buffer):
                break
            body = bytes(self._buffer[at + HEADER.size : end])
            messages.append(Message(Kind(kind), body, timestamp, rung, CODECS[codec], bool(flags & KEYFRAME)))
            at = end
        del self._buffer[:at]
        return messages
