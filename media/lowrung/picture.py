"""Decode the host's picture, scale it, encode it for one rung: PyAV, in the child process alone."""

from __future__ import annotations

from fractions import Fraction

import av
from av.codec.context import Flags
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from media.decoding import report_decoded
from media.lowrung.pace import CLOCK_HZ
from media.lowrung.rungs import MAX_HOST_PIXELS

DECODERS = {"AV1": "libdav1d", "VP9": "vp9", "H264": "h264", "VP8": "vp8"}
TIME_BASE = Fraction(1, CLOCK_HZ)
NO_REGULAR_KEYFRAMES = 1_000_000
# Constant rate in low delay: a picture in, its packet out. The buffer is in milliseconds of the rate; with SVT's own
# (1000, 600, 600) the first keyframe took 1.35 s of a 22 kbit/s rung, with these 0.6 s.
SVT_RATE = "pred-struct=1:rc=2:rtc=1:lp=1:buf-sz=600:buf-initial-sz=200:buf-optimal-sz=200"
SVT_STILL = "pred-struct=1:lp=1"
SVT_PRESET = "8"
"""0.8 dB better than 10, for 2.5 per cent of a core more at MIDDLE; 7 gives 0.3 dB more for as much again."""
# In per cent of an average frame: a VP8 keyframe of LOW may take half a second of its rate.
VP8_MAX_INTRA = "300"


class Decoder:
    """Decode one codec's frames, from a keyframe on."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self._context = av.CodecContext.create(DECODERS[codec], "r")
        self._context.thread_count = 1
        if codec == "AV1":
            self._context.options = {"max_frame_delay": "1"}
        else:
            self._context.flags |= Flags.low_delay

    def decode(self, data: bytes) -> av.VideoFrame | None:
        """Return the newest picture that these bytes give. Raises av.FFmpegError for damage."""
        frames = self._context.decode(av.Packet(data))
        report_decoded(len(frames))
        if not frames or frames[-1].width * frames[-1].height > MAX_HOST_PIXELS:
            return None
        return frames[-1]


class Scaler:
    """Scale pictures to one size in 8 bits, 4:2:0."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def scale(self, picture: av.VideoFrame, size: tuple[int, int]) -> av.VideoFrame:
        """Return a picture of this size that an encoder may have."""
        return self._reformatter.reformat(picture, *size, format="yuv420p", interpolation=Interpolation.AREA, threads=1)


class Encoder:
    """One running encoder of constant rate; the first frame is a keyframe."""

    def __init__(self, codec: str, size: tuple[int, int], fps: float, rate_bps: int) -> None:
        self.size = size
        self._context = _context(codec, size, fps)
        self._context.bit_rate = rate_bps
        self._context.gop_size = NO_REGULAR_KEYFRAMES
        if codec == "AV1":
            self._context.options = {"preset": SVT_PRESET, "svtav1-params": SVT_RATE}
        else:
            rate = str(rate_bps)
            self._context.options = {
                **{"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "error-resilient": "default"},
                **{"minrate": rate, "maxrate": rate, "bufsize": rate, "max-intra-rate": VP8_MAX_INTRA},
                **{"undershoot-pct": "100", "overshoot-pct": "15"},
            }
        self._pts = 0
        self._step = round(CLOCK_HZ / fps)

    def encode(self, picture: av.VideoFrame, keyframe: bool) -> tuple[bytes, bool] | None:
        """Return the coded frame and whether it is a keyframe; None where the encoder left the picture out."""
        # Even steps, whatever was left out: libvpx takes a gap for a lower frame rate and makes the next frames as much
        # larger, so that more must be left out, down to half the frames and keyframes of two seconds.
        picture.pts, picture.time_base = self._pts, TIME_BASE
        self._pts += self._step
        picture.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(picture)
        if not packets:
            return None
        return bytes(packets[0]), bool(packets[0].is_keyframe)

    def close(self) -> None:
        """Let the encoder end in order; SVT-AV1 complains otherwise."""
        self._context.encode(None)


def still(codec: str, picture: av.VideoFrame, quantizer: int) -> bytes:
    """Return one keyframe of the whole picture; `quantizer` is 0 (best) to 63."""
    context = _context(codec, (picture.width, picture.height), 1)
    quantizer_text = str(quantizer)
    if codec == "AV1":
        context.options = {"preset": "8", "crf": quantizer_text, "svtav1-params": SVT_STILL}
    else:
        context.options = {
            **{"deadline": "realtime", "cpu-used": "4", "lag-in-frames": "0"},
            **{"qmin": quantizer_text, "qmax": quantizer_text},
        }
        context.bit_rate = 1_000_000
    picture.pts, picture.time_base, picture.pict_type = 0, TIME_BASE, PictureType.I
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])


def _context(codec: str, size: tuple[int, int], fps: float) -> av.VideoCodecContext:
    context = av.CodecContext.create("libsvtav1" if codec == "AV1" else "libvpx", "w")
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.framerate = Fraction(fps).limit_denominator(1000)
    context.time_base = TIME_BASE
    context.thread_count = 1
    return context
