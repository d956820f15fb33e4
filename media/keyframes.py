"""Pure: one keyframe for all who need one, and what a viewer who joins is shown first."""

from __future__ import annotations

from enum import Enum

MIN_INTERVAL_S = 1.0
"""All viewers and the recorder together get at most one keyframe a second out of the host."""
MAX_INTERVAL_S = 4.0
COST_SHARE = 8
"""A keyframe that took a second to arrive is not asked for again for eight. On an uplink of 64 kbit/s there was one a
second, each cost the next its packets, and nothing was left for the voice."""
MAX_COSTLY_INTERVAL_S = 10.0
FRESH_S = 0.3
"""A request that arrives just after a keyframe was about the time before it."""
ANSWERED_WITHIN_S = 2.0
PLI_ATTEMPTS_OF_THE_DEAF = 2
REPLAY_AFTER_S = 0.7
"""How long a joining viewer waits for a keyframe of its own before the cached pictures are replayed."""
REPLAY_AT_ONCE_S = 0.5
"""A cached group no older than this costs less than a new keyframe."""
STALE_S = 5.0
"""A picture without a packet for this long has been switched off: even a still screen sends a frame a second."""
REST_FIRST_S = 2.0
REST_MOST_S = 16.0
REST_FORGOTTEN_S = 30.0
VIEWER_INTERVAL_S = 3.0
"""One viewer's requests count this often: a bad link must not turn everybody's stream into keyframes."""


class Start(Enum):
    """What to do for a viewer who has no picture yet."""

    WAIT = "wait"
    REPLAY = "replay"


class KeyframeRequests:
    """Coalesce everybody's wish for a keyframe into few requests to the host."""

    def __init__(self) -> None:
        self._wanted = False
        self._sent_s: float | None = None
        self._arrived_s: float | None = None
        self._unanswered = 0
        self._took_s = 0.0

    @property
    def deaf(self) -> bool:
        """Whether the host has let several requests pass: ffmpeg does not read them."""
        return self._unanswered >= PLI_ATTEMPTS_OF_THE_DEAF

    def ask(self, now_s: float) -> None:
        """Note that somebody needs a keyframe."""
        if self._arrived_s is None or now_s - self._arrived_s >= FRESH_S:
            self._wanted = True

    def due(self, now_s: float) -> bool:
        """Say whether to send a request now; the caller then sends it."""
        if not self._wanted:
            return False
        interval_s = min(MIN_INTERVAL_S * 2 ** max(0, self._unanswered - 1), MAX_INTERVAL_S)
        interval_s = max(interval_s, min(self._took_s * COST_SHARE, MAX_COSTLY_INTERVAL_S))
        if self._sent_s is not None and now_s - self._sent_s < interval_s:
            return False
        if self._sent_s is not None and (self._arrived_s is None or self._arrived_s < self._sent_s):
            self._unanswered += 1
        self._sent_s = now_s
        return True

    def arrived(self, now_s: float) -> None:
        """Note that a keyframe has begun to arrive."""
        if self._sent_s is not None and now_s - self._sent_s <= ANSWERED_WITHIN_S:
            self._unanswered = 0
        self._wanted = False
        self._arrived_s = now_s
        self._took_s = 0.0

    def arrives(self, now_s: float) -> None:
        """Note one more packet of the keyframe that has begun to arrive."""
        if self._arrived_s is not None:
            self._took_s = now_s - self._arrived_s


def start(waited_s: float, deaf: bool, cached_age_s: float | None) -> Start:
    """Decide for a viewer without a picture: wait for the next keyframe, or replay the cached group of pictures.

    `cached_age_s` is the time since that group's keyframe, None where nothing is cached.
    """
    if cached_age_s is None:
        return Start.WAIT
    if deaf or cached_age_s <= REPLAY_AT_ONCE_S or waited_s >= REPLAY_AFTER_S:
        return Start.REPLAY
    return Start.WAIT


class Rest:
    """How long a viewer goes without a picture after one that its TCP connection could not carry.

    Each time twice as long, so that a link too slow for any picture of a lesson is not filled with beginnings of one;
    a picture that held for REST_FORGOTTEN_S makes the next rest a short one again.
    """

    __slots__ = ("_length_s", "_until_s")

    def __init__(self) -> None:
        self._length_s = 0.0
        self._until_s: float | None = None

    @property
    def on(self) -> bool:
        """Whether the picture rests."""
        return self._until_s is not None

    def begin(self, now_s: float, held_s: float) -> None:
        """Rest from now on, after a picture that held for `held_s`."""
        again = self._length_s > 0 and held_s < REST_FORGOTTEN_S
        self._length_s = min(self._length_s * 2, REST_MOST_S) if again else REST_FIRST_S
        self._until_s = now_s + self._length_s

    def over(self, now_s: float) -> bool:
        """Return whether the rest is over, and end it then."""
        if self._until_s is not None and now_s >= self._until_s:
            self._until_s = None
        return not self.on
