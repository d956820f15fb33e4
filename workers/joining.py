"""Put the stretches of a picture one after another, beside the sound, without decoding either."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

# In what the stretches are: an MP4 of one video track each, without B-frames, so that each packet is one frame.
# Sound and picture take turns of this many microseconds: MP4 keeps the place and the length of each turn in its tables,
# which packet by packet is 2.6 kbit/s. A player fetches as much ahead anyway.
TURN_US = 2_000_000
OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact", "chunk_duration": str(TURN_US)}


class Mismatch(ValueError):
    """Stretches that do not fit together: another encoder, other parameters, frames missing."""


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch: its file and the frames that it holds, counted from the beginning of the whole picture."""

    path: Path
    first_frame: int
    frames: int


def join(
    parts: Sequence[Part], sound: Path | None, target: Path, rate: Fraction, on_progress: Callable[[float], None]
) -> None:
    """Write one MP4 of all parts, in order, at `rate` frames a second. Raises Mismatch.

    on_progress gets the share done; what it raises goes on to the caller.
    """
    total = sum(part.frames for part in parts)
    with av.open(str(target), "w", format="mp4", options=OPTIONS) as made, av.open(str(parts[0].path)) as first:
        head = first.streams.video[0]
        picture = made.add_stream_from_template(head, opaque=True)
        picture.time_base = 1 / rate
        given = _pictures(parts, picture, bytes(head.codec_context.extradata or b""), rate)
        if sound is None:
            for number, packet in enumerate(given):
                made.mux_one(packet)
                on_progress(number / total)
            return
        with av.open(str(sound)) as heard:
            source = heard.streams.audio[0]
            track = made.add_stream_from_template(source, opaque=True)
            track.time_base = source.time_base
            for packet in heapq.merge(given, _sounds(heard, source, track), key=_at_s):
                made.mux_one(packet)
                if packet.stream.index == picture.index:
                    on_progress(float(packet.pts * packet.time_base * rate) / total)


def _at_s(packet: av.Packet) -> float:
    return float(packet.dts * packet.time_base)


def _pictures(parts: Sequence[Part], track: av.VideoStream, header: bytes, rate: Fraction) -> Iterator[av.Packet]:
    expected = 0
    for part in parts:
        with av.open(str(part.path)) as container:
            stream = container.streams.video[0]
            if bytes(stream.codec_context.extradata or b"") != header:
                raise Mismatch(f"the stretch from frame {part.first_frame} was encoded with other parameters")
            for packet in container.demux(stream):
                if packet.pts is None or not packet.size:
                    continue
                frame = part.first_frame + round(packet.pts * packet.time_base * rate)
                if frame != expected or packet.pts != packet.dts:
                    raise Mismatch(f"frame {frame} comes where {expected} should be")
                expected += 1
                packet.stream = track
                packet.time_base = 1 / rate
                packet.pts = packet.dts = frame
                packet.duration = 1
                yield packet
        if expected != part.first_frame + part.frames:
            raise Mismatch(f"a stretch ends at frame {expected}, not {part.first_frame + part.frames}")


def _sounds(
    container: av.container.InputContainer, source: av.AudioStream, track: av.AudioStream
) -> Iterator[av.Packet]:
    for packet in container.demux(source):
        if packet.dts is not None and packet.size:
            packet.stream = track
            yield packet
