"""The picture streams of the child: one rung in one codec each, from decoded pictures to coded frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import av

from media.lowrung.pace import CLOCK_HZ, Pacer, elapsed_ticks
from media.lowrung.picture import Encoder, Scaler, still
from media.lowrung.rungs import SPECS, STILL_INTERVAL_S, Rung, RungSpec, fit

MIN_KEYFRAME_GAP_S = 2.0
"""A keyframe of LOW takes up to 0.8 s of its rate; asked for more often, nothing else would fit."""
MAX_FRAME_S = 0.9
"""A frame that would take its rate for longer, as a turned page does (1.6 s seen), is thrown away with its encoder: the
first keyframe of a new one takes 0.6 s and shows the page sooner, if less sharply."""
WORST_QUANTIZER, BEST_QUANTIZER = 63, 30
STILL_TRIES = 4
SIZE_PER_STEP = 1.07
"""By how much a still shrinks with each step of the quantizer, from trials with people and boards."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A coded frame of a stream."""

    data: bytes
    timestamp: int
    keyframe: bool


class MovingStream:
    """LOW or MIDDLE."""

    def __init__(self, rung: Rung, codec: str, rate_bps: int) -> None:
        self._spec: RungSpec = SPECS[rung]
        self._codec = codec
        self._rate_bps = rate_bps
        self._pacer = Pacer(self._spec.fps, rate_bps)
        self._scaler = Scaler()
        self._encoder: Encoder | None = None
        self._keyframe_at: int | None = None
        self.forced = False

    def set_rate(self, rate_bps: int) -> None:
        """Go on at another rate; neither encoder changes it while running, so that a keyframe follows."""
        if rate_bps != self._rate_bps:
            self._rate_bps = rate_bps
            self._pacer = Pacer(self._spec.fps, rate_bps)
            self.close()

    def wants(self, timestamp: int) -> bool:
        """Say whether the picture of this timestamp is to be given to `push`."""
        return self._pacer.takes(timestamp)

    def overdue(self, timestamp: int) -> bool:
        """Say whether a keyframe is asked for that must not wait for the host's next picture."""
        return self.forced and self._may_force(timestamp) and self._pacer.takes(timestamp)

    def push(self, picture: av.VideoFrame, timestamp: int) -> Coded | None:
        """Encode a picture."""
        size = fit(picture.width, picture.height, (self._spec.width, self._spec.height))
        scaled = self._scaler.scale(picture, size)
        made = self._encode(scaled, size, self.forced and self._may_force(timestamp))
        if made is not None and 8 * len(made[0]) > MAX_FRAME_S * self._rate_bps:
            self.close()
            made = self._encode(scaled, size, True)
        if made is None:
            self._pacer.sent(timestamp, 0)
            return None
        data, is_keyframe = made
        self._pacer.sent(timestamp, len(data))
        if is_keyframe:
            self.forced, self._keyframe_at = False, timestamp
        return Coded(data, timestamp, is_keyframe)

    def _encode(self, scaled: av.VideoFrame, size: tuple[int, int], keyframe: bool) -> tuple[bytes, bool] | None:
        if self._encoder is not None and self._encoder.size != size:
            self.close()
        if self._encoder is None:
            self._encoder = Encoder(self._codec, size, self._spec.fps, self._rate_bps)
        return self._encoder.encode(scaled, keyframe)

    def _may_force(self, timestamp: int) -> bool:
        if self._keyframe_at is None:
            return True
        return abs(elapsed_ticks(timestamp, self._keyframe_at)) >= MIN_KEYFRAME_GAP_S * CLOCK_HZ

    def close(self) -> None:
        """End the encoder; the next picture begins another."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None


class StillStream:
    """STILL: every frame is a keyframe of a limited size."""

    def __init__(self, codec: str, rate_bps: int) -> None:
        self._codec = codec
        self._scaler = Scaler()
        self._quantizer = 55
        self._sent_at: int | None = None
        self.forced = False
        self.set_rate(rate_bps)

    def set_rate(self, rate_bps: int) -> None:
        """Give stills another size; their interval stays."""
        self._max_bytes = int(rate_bps * STILL_INTERVAL_S / 8)

    def wants(self, timestamp: int) -> bool:
        """Say whether a still is due."""
        if self._sent_at is None:
            return True
        seconds = abs(elapsed_ticks(timestamp, self._sent_at)) / CLOCK_HZ
        return seconds >= (MIN_KEYFRAME_GAP_S if self.forced else STILL_INTERVAL_S)

    def overdue(self, timestamp: int) -> bool:
        """Say whether a still is due although the host sent no new picture; the same picture is sent once more."""
        return self.wants(timestamp)

    def push(self, picture: av.VideoFrame, timestamp: int) -> Coded | None:
        """Encode a still of at most the limit; None where not even the smallest fits."""
        self._sent_at, self.forced = timestamp, False
        for spec in (SPECS[Rung.STILL], SPECS[Rung.LOW]):
            size = fit(picture.width, picture.height, (spec.width, spec.height))
            data = self._within_limit(self._scaler.scale(picture, size))
            if data is not None:
                return Coded(data, timestamp, True)
        return None

    def _within_limit(self, scaled: av.VideoFrame) -> bytes | None:
        """Encode with the last quantizer that fitted, and with worse ones until it fits."""
        for _ in range(STILL_TRIES):
            data = still(self._codec, scaled, self._quantizer)
            steps = math.ceil(math.log(len(data) / self._max_bytes) / math.log(SIZE_PER_STEP))
            if steps <= 0:
                # Half of the way: a picture that grows again by the next time would cost another try.
                self._quantizer = max(BEST_QUANTIZER, self._quantizer + int(steps / 2))
                return data
            if self._quantizer == WORST_QUANTIZER:
                return None
            self._quantizer = min(WORST_QUANTIZER, self._quantizer + steps)
        return None

    def close(self) -> None:
        """Nothing stays open between stills."""
