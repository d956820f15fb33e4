"""Pure: short Opus packets joined to longer ones without decoding (RFC 6716 section 3.2), to save headers.

A voice packet carries about 58 bytes of IP, UDP, RTP and SRTP: 7.7 kbit/s at 60 ms, half of that at 120 ms.
"""

from __future__ import annotations

from collections.abc import Sequence

from media.payload.opus import MAX_PACKET_SAMPLES, packet_samples
from media.rtp import MalformedPacket

MAX_FRAME_BYTES = 1275  # RFC 6716 section 3.4, R2
MAX_FRAMES = 48
SILENT_PACKET_BYTES = 2  # RFC 6716 has no mark for DTX; libopus sends one or two bytes
TIMESTAMP_MASK = 0xFFFFFFFF


class NotJoinable(ValueError):
    """Packets that one Opus packet cannot hold together; the text says why."""


def frames(packet: bytes) -> list[bytes]:
    """Return the frames of one packet (codes 0 to 3, padding left out). Raises MalformedPacket."""
    packet_samples(packet)
    code, body = packet[0] & 3, packet[1:]
    if code == 0:
        found = [body]
    elif code == 1:
        if len(body) % 2:
            raise MalformedPacket("two equal Opus frames in an odd number of bytes")
        found = [body[: len(body) // 2], body[len(body) // 2 :]]
    elif code == 2:
        size, at = _read_length(body, 0)
        if at + size > len(body):
            raise MalformedPacket("first Opus frame runs out of its packet")
        found = [body[at : at + size], body[at + size :]]
    else:
        found = _counted_frames(body)
    if any(len(frame) > MAX_FRAME_BYTES for frame in found):
        raise MalformedPacket(f"Opus frame over {MAX_FRAME_BYTES} bytes")
    return found


def _counted_frames(body: bytes) -> list[bytes]:
    """Parse what follows the TOC byte of a code 3 packet (section 3.2.5)."""
    head, at, padding = body[0], 1, 0
    count = head & 0x3F
    if head & 0x40:
        while True:
            if at >= len(body):
                raise MalformedPacket("Opus padding length cut off")
            step = body[at]
            at += 1
            padding += 254 if step == 255 else step
            if step != 255:
                break
    end = len(body) - padding
    if not head & 0x80:
        size, rest = divmod(end - at, count)
        if end < at or rest:
            raise MalformedPacket("Opus frames of a constant rate that do not fill their packet")
        return [body[at + index * size : at + (index + 1) * size] for index in range(count)]
    sizes = []
    for _ in range(count - 1):
        size, at = _read_length(body, at)
        sizes.append(size)
    sizes.append(end - at - sum(sizes))
    if sizes[-1] < 0:
        raise MalformedPacket("Opus frames run out of their packet")
    found = []
    for size in sizes:
        found.append(body[at : at + size])
        at += size
    return found


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    """Return a frame length and the offset behind it (section 3.2.1)."""
    if at >= len(data) or (data[at] >= 252 and at + 1 >= len(data)):
        raise MalformedPacket("Opus frame length cut off")
    if data[at] < 252:
        return data[at], at + 1
    return data[at + 1] * 4 + data[at], at + 2


def _write_length(size: int) -> bytes:
    if size < 252:
        return bytes([size])
    first = 252 + (size & 3)
    return bytes([first, (size - first) // 4])


def join_opus(packets: Sequence[bytes]) -> bytes:
    """Join packets that follow one another without a gap into one of 120 ms at most.

    Raises NotJoinable where mode, bandwidth, frame length or channels differ, or where they are too long together, and
    MalformedPacket for what is no Opus.
    """
    if not packets:
        raise NotJoinable("no packets")
    parts = [frame for packet in packets for frame in frames(packet)]
    toc = packets[0][0] & 0xFC
    if any(packet[0] & 0xFC != toc for packet in packets):
        raise NotJoinable("packets of different modes, bandwidths, frame lengths or channels")
    if sum(packet_samples(packet) for packet in packets) > MAX_PACKET_SAMPLES or len(parts) > MAX_FRAMES:
        raise NotJoinable("more than 120 ms together")
    equal = all(len(part) == len(parts[0]) for part in parts)
    if len(parts) == 1:
        return bytes([toc]) + parts[0]
    if len(parts) == 2 and equal:
        return bytes([toc | 1]) + b"".join(parts)
    if len(parts) == 2:
        return bytes([toc | 2]) + _write_length(len(parts[0])) + b"".join(parts)
    if equal:
        return bytes([toc | 3, len(parts)]) + b"".join(parts)
    lengths = b"".join(_write_length(len(part)) for part in parts[:-1])
    return bytes([toc | 3, 0x80 | len(parts)]) + lengths + b"".join(parts)


class VoiceJoiner:
    """Join one stream of voice packets to packets of `target_samples` (48 kHz); nothing is lost and nothing reordered.

    What cannot be joined goes out as it came. The caller calls `flush` when the next packet is overdue.
    """

    def __init__(self, target_samples: int) -> None:
        self._target_samples = min(target_samples, MAX_PACKET_SAMPLES)
        self._waiting: list[bytes] = []
        self._timestamp = 0
        self._samples = 0

    @property
    def waiting(self) -> int:
        """Return how many packets are held back."""
        return len(self._waiting)

    def push(self, timestamp: int, packet: bytes) -> list[tuple[int, bytes]]:
        """Take a packet; return what is ready as (RTP timestamp, payload). MalformedPacket leaves its state."""
        samples = packet_samples(packet)
        frames(packet)
        out = []
        follows = timestamp == (self._timestamp + self._samples) & TIMESTAMP_MASK
        if self._waiting and not (
            follows
            and packet[0] & 0xFC == self._waiting[0][0] & 0xFC
            and self._samples + samples <= self._target_samples
        ):
            out += self.flush()
        if not self._waiting:
            self._timestamp, self._samples = timestamp, 0
        self._waiting.append(packet)
        self._samples += samples
        # Behind a packet that stands for silence the next may come 400 ms later.
        if self._samples + samples > self._target_samples or len(packet) <= SILENT_PACKET_BYTES:
            out += self.flush()
        return out

    def flush(self) -> list[tuple[int, bytes]]:
        """Return what waits."""
        if not self._waiting:
            return []
        joined = join_opus(self._waiting)
        self._waiting = []
        return [(self._timestamp, joined)]
