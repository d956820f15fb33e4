"""Find in a picture, seen as small grey thumbnails a few times a second, where one slide gives way to the next.

A slide is whatever stands still for a moment and differs from what stood before: a projected page, a state of the
board, a window. What never stands still (a camera, a film) gives a still now and then instead. The watcher is fed one
thumbnail after another and answers which full-size frame is worth keeping, so that a lesson is decoded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter, sub

# Thumbnails are 64 x 48 grey bytes, cut into tiles of 4 x 4: on a slide of 1280 x 960 a tile is a word or two.
WIDTH, HEIGHT, TILE = 64, 48, 4
TILES = (WIDTH // TILE) * (HEIGHT // TILE)
_AREA = TILE * TILE
# Times a second at which thumbnails are taken: a flip is known to a quarter of a second.
SAMPLES_PER_S = 4.0

# Mean difference of a tile, in grey levels of 255, from which it has changed: above camera noise and coding, or, where
# the picture has none of either (a shared screen, a film made of pages), as little as a word that turns red.
CHANGED_LEVELS = 5
CHANGED_LEVELS_CLEAN = 2
# A picture that differs by less than this (grey levels) from one thumbnail to the next while nothing happens is clean.
CLEAN_NOISE = 0.1
# Share of tiles whose change makes another slide: a short word is three tiles (1.6 %), a mouse pointer that moves two.
FLIP_SHARE = 0.0125
# Share of tiles that may change from one thumbnail to the next while a picture counts as standing still.
CALM_SHARE = 0.01
CALM_S = 0.6
# A change of this share is a cut, or another page: it flips at once, however restless the picture is.
CUT_SHARE = 0.6
# Small changes (a bullet appears, a line is drawn) follow one another at least so far apart.
MINOR_SHARE = 0.12
MINOR_EVERY_S = 4.0
# A picture of which more than this share changes all the time is a camera or a film: a still so often, in seconds.
RESTLESS_SHARE = 0.06
STILL_EVERY_S = 40.0
# How much a new step counts in the running mean of restlessness: it forgets within about ten seconds.
_FORGET = 1.0 / (10.0 * SAMPLES_PER_S)
# A tile that changes in more than this share of steps is a webcam in the corner or a clock, and is not looked at…
BUSY_TILE_SHARE = 0.3
# …unless so much of the picture is like that that it is the picture.
MOST_BUSY_TILES = 0.35
# Two stills that differ in no more than this share of tiles are the same slide shown again.
SAME_SHARE = 0.012

_ORDER = itemgetter(
    *(
        (row * TILE + y) * WIDTH + column * TILE + x
        for row in range(HEIGHT // TILE)
        for column in range(WIDTH // TILE)
        for y in range(TILE)
        for x in range(TILE)
    )
)


def tiled(plane: bytes) -> bytes:
    """Bring a plane of 64 x 48 grey bytes, row by row, into the order of tiles that everything here works on."""
    if len(plane) != WIDTH * HEIGHT:
        raise ValueError(f"a thumbnail has {WIDTH * HEIGHT} bytes, not {len(plane)}")
    return bytes(_ORDER(plane))


def changed_tiles(one: bytes, other: bytes, levels: int = CHANGED_LEVELS) -> list[bool]:
    """Tell tile by tile whether two thumbnails differ by more than `levels` of grey on average."""
    if one == other:
        return [False] * TILES
    differences = list(map(abs, map(sub, one, other)))
    limit = levels * _AREA
    return [sum(differences[at : at + _AREA]) > limit for at in range(0, TILES * _AREA, _AREA)]


def difference(one: bytes, other: bytes) -> float:
    """Return the share of tiles (0 to 1) in which two thumbnails differ."""
    return sum(changed_tiles(one, other)) / TILES


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with the frame of this thumbnail.

    flip: the held frame is complete as a still, store it; the spare one is held from now on. spare: keep this frame as
    the spare one (before flipping). hold: this frame shows the current slide better than the held one.
    """

    spare: bool = False
    flip: bool = False
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A slide found: seconds at which it appears, and its thumbnail."""

    at_s: float
    thumb: bytes


class Watcher:
    """Follows a picture and says where its slides begin; `finish` gives what was found."""

    def __init__(self) -> None:
        self._found: list[Shown] = []
        self._began_s = 0.0
        self._shown: bytes | None = None
        self._before: bytes | None = None
        self._activity = [0.0] * TILES
        # At the border: a slide is judged as one from its first second on, and a camera shows itself at once.
        self._restless = RESTLESS_SHARE
        self._noise = CLEAN_NOISE
        self._before_s = 0.0
        self._calm_since_s: float | None = None
        self._pending_s: float | None = None
        self._calmest = 1.0
        self._spare: bytes | None = None

    def see(self, at_s: float, thumb: bytes) -> Verdict:
        """Take the next thumbnail (as `tiled` makes it) of the moment `at_s` in seconds; moments rise."""
        if self._shown is None:
            self._shown = self._before = thumb
            self._began_s = self._calm_since_s = self._before_s = at_s
            return Verdict(hold=True)
        # What is new was not there a sample ago: it appeared halfway, give or take an eighth of a second.
        middle_s = (self._before_s + at_s) / 2
        step = self._step(at_s, thumb)
        away = self._seen_share(changed_tiles(self._shown, thumb, self._levels()))
        if away <= FLIP_SHARE:
            self._pending_s = self._spare = None
            if step <= CALM_SHARE:
                self._shown = thumb
                return Verdict(hold=True)
            return Verdict()
        if self._pending_s is None:
            self._pending_s, self._calmest = middle_s, 2.0
        return self._judge_other(at_s, thumb, step, away)

    def _judge_other(self, at_s: float, thumb: bytes, step: float, away: float) -> Verdict:
        """Decide on a picture that is not the one shown: wait until it stands still, or take the calmest of it."""
        spare = step < self._calmest or step <= CALM_SHARE
        if spare:
            self._calmest, self._spare = step, thumb
        stands = self._calm_since_s is not None and at_s - self._calm_since_s >= CALM_S
        restless = self._restless > RESTLESS_SHARE
        since_s = self._pending_s - self._began_s
        if restless and away < CUT_SHARE:
            ready = since_s >= STILL_EVERY_S or at_s - self._began_s >= 1.5 * STILL_EVERY_S
        elif away < MINOR_SHARE:
            ready = stands and at_s - self._began_s >= MINOR_EVERY_S
        else:
            ready = stands or at_s - self._pending_s >= STILL_EVERY_S / 4
        if not ready:
            return Verdict(spare=spare)
        self._found.append(Shown(self._began_s, self._shown or thumb))
        self._began_s, self._shown = self._pending_s, self._spare or thumb
        self._pending_s = self._spare = None
        return Verdict(spare=spare, flip=True)

    def finish(self) -> tuple[Shown, ...]:
        """Return every slide in order; the shell stores the held frame as the last one's still. Empty: no picture."""
        if self._shown is None:
            return ()
        return (*self._found, Shown(self._began_s, self._shown))

    def _levels(self) -> int:
        return CHANGED_LEVELS_CLEAN if self._noise < CLEAN_NOISE else CHANGED_LEVELS

    def _step(self, at_s: float, thumb: bytes) -> float:
        """Compare with the thumbnail before: learn which tiles are busy, and whether the picture stands still."""
        changed = changed_tiles(self._before or thumb, thumb)
        if self._before != thumb and sum(changed) <= CALM_SHARE * TILES:
            noise = sum(map(abs, map(sub, self._before or thumb, thumb))) / len(thumb)
            self._noise += _FORGET * (noise - self._noise)
        elif self._before == thumb:
            self._noise -= _FORGET * self._noise
        self._before, self._before_s = thumb, at_s
        self._restless += _FORGET * (sum(changed) / TILES - self._restless)
        # Long identical stretches, the usual case, cost nothing more than this.
        if any(changed) or any(self._activity):
            self._activity = [
                value + _FORGET * (now - value) if value > 0.001 or now else 0.0
                for value, now in zip(self._activity, changed, strict=True)
            ]
        share = self._seen_share(changed)
        if share > CALM_SHARE:
            self._calm_since_s = None
        elif self._calm_since_s is None:
            self._calm_since_s = at_s
        return share

    def _seen_share(self, changed: list[bool]) -> float:
        """Return the share of changed tiles among those that are not busy all the time."""
        if not any(changed):
            return 0.0
        busy = sum(value > BUSY_TILE_SHARE for value in self._activity)
        if not 0 < busy <= MOST_BUSY_TILES * TILES:
            return sum(changed) / TILES
        quiet = [now for value, now in zip(self._activity, changed, strict=True) if value <= BUSY_TILE_SHARE]
        return sum(quiet) / len(quiet)


def same_images(thumbs: tuple[bytes, ...]) -> tuple[int, ...]:
    """Return for each slide the index of the first one that looks the same: itself where it is new."""
    firsts: list[int] = []
    found = []
    for index, thumb in enumerate(thumbs):
        first = next((one for one in reversed(firsts) if _alike(thumbs[one], thumb)), index)
        if first == index:
            firsts.append(index)
        found.append(first)
    return tuple(found)


def _alike(one: bytes, other: bytes) -> bool:
    return sum(changed_tiles(one, other, CHANGED_LEVELS_CLEAN)) <= SAME_SHARE * TILES


def thinned(shown: tuple[Shown, ...], end_s: float, most: int) -> tuple[int, ...]:
    """Choose at most `most` slides by index, in order: those that last and differ most; the first always stays."""
    if len(shown) <= most:
        return tuple(range(len(shown)))
    worth = []
    for index, one in enumerate(shown):
        until_s = shown[index + 1].at_s if index + 1 < len(shown) else end_s
        changed = difference(shown[index - 1].thumb, one.thumb) if index else 1.0
        worth.append((changed * min(until_s - one.at_s, 60.0) if index else float("inf"), index))
    return tuple(sorted(index for _worth, index in sorted(worth, reverse=True)[: max(1, most)]))
