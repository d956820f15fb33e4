"""Pure: what can be told of a video payload, by the codec's name as SDP spells it, and packets joined to frames."""

from __future__ import annotations

from dataclasses import dataclass

from media.payload import av1, h264, vp8, vp9
from media.payload.layer import Layer
from media.rtp import MalformedPacket, RtpPacket

CODECS = {"AV1": av1, "VP9": vp9, "H264": h264, "VP8": vp8}
CLOCK_HZ = 90000
MAX_FRAME_BYTES = 2 * 1024 * 1024
"""With MAX_FRAME_PACKETS and MAX_UNITS of the codecs it keeps the joining of the worst frame under 10 ms."""
MAX_FRAME_PACKETS = 2048


def keyframe(codec: str, payload: bytes) -> bool:
    """Say whether this packet begins a keyframe; what cannot be parsed does not."""
    try:
        return CODECS[codec].starts_keyframe(payload)
    except MalformedPacket:
        return False


def layer(codec: str, payload: bytes) -> Layer | None:
    """Return the temporal layer of the packet, None where it is not given or cannot be parsed."""
    try:
        return CODECS[codec].layer(payload)
    except MalformedPacket:
        return None


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame as the muxers want it; `size` is (width, height) on keyframes."""

    data: bytes
    timestamp: int
    keyframe: bool
    size: tuple[int, int] | None = None


class Depacketizer:
    """Join packets, given in order, to whole frames.

    After a loss nothing comes out until the next keyframe: without decoding nobody can say which frames still have what
    they refer to. `broken` is true as long as that lasts (and from the start), `lost_frames` counts what was dropped.
    """

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._module = CODECS[codec]
        self._next_sequence: int | None = None
        self._payloads: list[bytes] = []
        self._bytes = 0
        self._timestamp: int | None = None
        self._sps = self._pps = b""
        self.broken = True
        self.lost_frames = 0

    def push(self, sequence: int, packet: RtpPacket) -> list[Frame]:
        """Take the packet with this unwrapped sequence number; return the frames that it completes."""
        frames: list[Frame] = []
        if self._next_sequence is not None and sequence != self._next_sequence:
            self._drop()
        self._next_sequence = sequence + 1
        if not packet.payload:  # padding only: it uses up a number and says nothing
            return frames
        if self._payloads and packet.timestamp != self._timestamp:
            self._finish(frames)
        if not self._payloads:
            self._timestamp = packet.timestamp
            if self.broken and not keyframe(self._codec, packet.payload):
                return frames
        self._payloads.append(packet.payload)
        self._bytes += len(packet.payload)
        if self._bytes > MAX_FRAME_BYTES or len(self._payloads) > MAX_FRAME_PACKETS:
            self._drop()
        elif packet.marker:
            self._finish(frames)
        return frames

    def break_off(self) -> None:
        """Forget the unfinished frame and wait for a keyframe, as after a loss."""
        self._drop()

    def _drop(self) -> None:
        if not self.broken or self._payloads:
            self.lost_frames += 1
        self._payloads, self._bytes, self.broken = [], 0, True

    def _finish(self, frames: list[Frame]) -> None:
        payloads, self._payloads, self._bytes = self._payloads, [], 0
        is_key = keyframe(self._codec, payloads[0])
        try:
            data = self._module.assemble(payloads)
            if self._codec == "H264":
                data, is_key = self._with_parameter_sets(data)
            size = self._module.frame_size(data) if is_key else None
        except MalformedPacket:
            self._drop()
            return
        if self.broken and not (is_key and size):
            self._drop()
            return
        self.broken = False
        frames.append(Frame(data, self._timestamp or 0, is_key, size))

    def _with_parameter_sets(self, data: bytes) -> tuple[bytes, bool]:
        """Put the last known SPS and PPS in front of an IDR picture that comes without them; say whether it is one."""
        sps, pps = h264.parameter_sets(data)
        self._sps, self._pps = sps or self._sps, pps or self._pps
        is_key = h264.has_idr(data)
        if not is_key:
            return data, False
        if not (self._sps and self._pps):
            raise MalformedPacket("IDR picture whose parameter sets have not come")
        missing = [unit for unit, found in ((self._sps, sps), (self._pps, pps)) if not found]
        return b"".join(h264.START_CODE + unit for unit in missing) + data, True
