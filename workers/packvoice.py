"""Bring the published voice into WebM, which more browsers of the last ten years play than Ogg."""

from __future__ import annotations

from pathlib import Path

import av

# One cluster in so many milliseconds: fewer bytes of headers; seeking inside a cluster costs nothing on a disk.
MUXING = {"cluster_time_limit": "30000", "cluster_size_limit": "1000000", "fflags": "+bitexact"}
ENCODING = {"application": "voip", "frame_duration": "60", "vbr": "on"}
RATE_HZ = 48_000


def remux(source: Path, target: Path) -> None:
    """Copy Opus from Ogg into WebM packet by packet."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="webm", options=MUXING) as made:
        sound = given.streams.audio[0]
        copied = made.add_stream_from_template(sound)
        for packet in given.demux(sound):
            if packet.dts is not None:
                packet.stream = copied
                made.mux(packet)


def encode(source: Path, target: Path, rate_bps: int) -> None:
    """Encode the voice once more, in mono at a rate that leaves room for slides."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="webm", options=MUXING) as made:
        stream = made.add_stream("libopus", rate=RATE_HZ, options=ENCODING, layout="mono", bit_rate=rate_bps)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE_HZ)
        for frame in given.decode(given.streams.audio[0]):
            for piece in resampler.resample(frame):
                made.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            made.mux(stream.encode(piece))
        made.mux(stream.encode(None))
