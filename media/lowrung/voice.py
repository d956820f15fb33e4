"""Decode the host's Opus and encode it once more at a low rate: PyAV, in the child process alone."""

from __future__ import annotations

import av
import av.audio.fifo

from media.decoding import report_decoded
from media.lowrung.opusjoin import SILENT_PACKET_BYTES
from media.payload.opus import CLOCK_HZ

FRAME_SAMPLES = 2880  # 60 ms: at 12 kbit/s the headers of shorter packets would weigh as much as the voice
# RFC 7845 section 5.1: version 1, one channel, no pre-skip; decoders mix a stereo stream down to it.
OPUS_HEAD = b"OpusHead\x01\x01\x00\x00" + CLOCK_HZ.to_bytes(4, "little") + b"\x00\x00\x00"
TIMESTAMP_MASK = 0xFFFFFFFF


class LowVoice:
    """Turn the host's packets into packets of 60 ms; their timestamps stay those of the host's clock.

    What was lost stays lost: nothing is sent for it, so that the viewer's own decoder conceals it.
    """

    def __init__(self, rate_bps: int) -> None:
        self._decoder = av.CodecContext.create("libopus", "r")
        self._decoder.extradata = OPUS_HEAD
        self._encoder = av.CodecContext.create("libopus", "w")
        self._encoder.sample_rate = CLOCK_HZ
        self._encoder.layout = "mono"
        self._encoder.format = "s16"
        self._encoder.bit_rate = rate_bps
        self._encoder.options = {
            **{"application": "voip", "frame_duration": "60", "vbr": "constrained", "fec": "0", "packet_loss": "0"},
            "cutoff": "8000",  # wideband
        }
        self._samples = av.audio.fifo.AudioFifo()
        self._timestamp: int | None = None
        """Of the first sample that waits."""
        self._pts = 0

    def push(self, timestamp: int, packet: bytes) -> list[tuple[int, bytes]]:
        """Take a packet; return what is ready as (RTP timestamp, payload). Raises av.FFmpegError for damage."""
        out = []
        waiting = self._samples.samples
        if self._timestamp is not None and timestamp != (self._timestamp + waiting) & TIMESTAMP_MASK:
            out += self._finish()
        if len(packet) <= SILENT_PACKET_BYTES:  # it means the same to the viewer's decoder, and costs less than silence
            return [*out, *self._finish(), (timestamp, packet)]
        if self._timestamp is None:
            self._timestamp = timestamp
        for frame in self._decoder.decode(av.Packet(packet)):
            report_decoded(1)
            frame.pts = None
            self._samples.write(frame)
        while self._samples.samples >= FRAME_SAMPLES:
            out += self._encode(self._samples.read(FRAME_SAMPLES))
        if not self._samples.samples:
            self._timestamp = None
        return out

    def _encode(self, frame: av.AudioFrame) -> list[tuple[int, bytes]]:
        frame.pts, self._pts = self._pts, self._pts + FRAME_SAMPLES
        timestamp = self._timestamp or 0
        self._timestamp = (timestamp + FRAME_SAMPLES) & TIMESTAMP_MASK
        return [(timestamp, bytes(packet)) for packet in self._encoder.encode(frame)]

    def _finish(self) -> list[tuple[int, bytes]]:
        """Fill up with silence what waits for a whole frame: behind it something was lost, or it is silent."""
        out = []
        if missing := self._samples.samples and FRAME_SAMPLES - self._samples.samples:
            silence = av.AudioFrame("s16", "mono", missing)
            silence.sample_rate = CLOCK_HZ
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            self._samples.write(silence)
            out = self._encode(self._samples.read(FRAME_SAMPLES))
        self._timestamp = None
        return out
