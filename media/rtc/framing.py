"""Pure: packets in a byte stream (RFC 4571 2), and what of them waits when a TCP connection is slower than the lesson.

Time comes as an argument (seconds that never step).
"""

from __future__ import annotations

from collections import deque

LENGTH_BYTES = 2
MAX_FRAME_BYTES = 2048
"""Nothing that WebRTC sends is longer; an HTTP or TLS client's first two bytes read as far more."""
URGENT_AGE_S = 2.0
"""Voice, feedback and handshakes that have waited longer are of no use any more."""
URGENT_FRAMES = 512
PICTURE_AGE_S = 0.5
PICTURE_FRAMES = 1024
EMPTY_FRAMES = 64
"""So many empty frames in what one read brings are no pause but an attempt to keep the port busy."""


class BadFrame(ValueError):
    """The stream is not framed as RFC 4571 says, so nothing behind this point can be read."""


def frame(packet: bytes) -> bytes:
    """Put the length in front of a packet. Raises OverflowError beyond 65,535 bytes."""
    return len(packet).to_bytes(LENGTH_BYTES) + packet


class Deframer:
    """Cuts a stream into packets, however the network has cut it."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the packets that are whole now; a few empty frames are passed over. Raises BadFrame."""
        data = self._rest + data
        packets, at, empty = [], 0, 0
        while len(data) - at >= LENGTH_BYTES:
            length = int.from_bytes(data[at : at + LENGTH_BYTES])
            if length > MAX_FRAME_BYTES:
                raise BadFrame(f"a frame of {length} bytes")
            end = at + LENGTH_BYTES + length
            if end > len(data):
                break
            if length:
                packets.append(data[at + LENGTH_BYTES : end])
            else:
                empty += 1
                if empty > EMPTY_FRAMES:
                    raise BadFrame(f"more than {EMPTY_FRAMES} empty frames")
            at = end
        self._rest = data[at:]
        return packets


class Backlog:
    """Frames that a connection has not taken yet: urgent ones first, pictures behind them.

    Drop policy: a picture packet that would wait more than PICTURE_AGE_S takes all waiting picture packets with it, and
    `starved` says that none is taken any more until `resume`, which the viewer calls with its next keyframe: half a
    picture is worth nothing, and an old one less than the voice that it delays. Of the urgent ones those older than
    URGENT_AGE_S go, oldest first. A frame that has been written in part always goes out whole.
    """

    __slots__ = ("_head", "_picture", "_urgent", "dropped", "starved")

    def __init__(self) -> None:
        self.starved = False
        self.dropped = 0
        self._head = b""
        self._urgent: deque[tuple[float, bytes]] = deque()
        self._picture: deque[tuple[float, bytes]] = deque()

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._head or self._urgent or self._picture)

    @property
    def waiting_bytes(self) -> int:
        """How much waits."""
        return len(self._head) + sum(len(framed) for queue in (self._urgent, self._picture) for _, framed in queue)

    def add(self, packet: bytes, urgent: bool, now_s: float) -> None:
        """Take one packet, or drop it and count it."""
        self._forget_old(now_s)
        if urgent:
            self._urgent.append((now_s, frame(packet)))
            if len(self._urgent) > URGENT_FRAMES:
                self._urgent.popleft()
                self.dropped += 1
        elif self.starved:
            self.dropped += 1
        else:
            self._picture.append((now_s, frame(packet)))

    def resume(self) -> None:
        """Take pictures again."""
        self.starved = False

    def next_bytes(self, most: int) -> bytes:
        """Return what shall be written next: whole frames up to about `most` bytes, or the rest of a begun one."""
        if self._head:
            return self._head
        frames, size = [], 0
        for queue in (self._urgent, self._picture):
            for _, framed in queue:
                if frames and size + len(framed) > most:
                    return b"".join(frames)
                frames.append(framed)
                size += len(framed)
        return b"".join(frames)

    def written(self, count: int) -> None:
        """Take note that the first `count` bytes of `next_bytes` are gone."""
        if self._head:
            self._head = self._head[count:]
            return
        while count:
            queue = self._urgent or self._picture
            framed = queue.popleft()[1]
            if count < len(framed):
                self._head = framed[count:]
                return
            count -= len(framed)

    def _forget_old(self, now_s: float) -> None:
        while self._urgent and now_s - self._urgent[0][0] > URGENT_AGE_S:
            self._urgent.popleft()
            self.dropped += 1
        late = self._picture and now_s - self._picture[0][0] > PICTURE_AGE_S
        if late or len(self._picture) >= PICTURE_FRAMES:
            self.dropped += len(self._picture)
            self._picture.clear()
            self.starved = True
