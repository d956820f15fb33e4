"""Pure: a soft plucked tune for the demo's lesson: the Russian folk song «Во поле берёза стояла»."""

from __future__ import annotations

from array import array

RATE_HZ = 24_000
BEAT_S = 0.5
A4_HZ, A4_KEY = 440.0, 69

# Phrases of (MIDI key, beats); the song is traditional.
FIELD = ((69, 1), (69, 1), (69, 1), (69, 1), (67, 2), (65, 1), (65, 1), (64, 2), (62, 2))
CURLY = ((69, 1), (69, 1), (72, 1), (69, 1), (67, 1), (67, 1), (65, 1), (65, 1), (64, 2), (62, 2))
LULLAY = ((64, 2), (65, 1), (67, 2), (65, 1), (65, 1), (64, 1), (62, 2), (62, 2))
SONG = (*FIELD, *CURLY, *LULLAY, *LULLAY)
BASS_BEATS, BASS = 4, (50, 45, 50, 45)


def pluck(key: int, seconds: float, loudness: float) -> array[float]:
    """Return a plucked string (Karplus and Strong, 1983): noise that runs around a delay line and is smoothed there.

    The noise comes from a fixed linear congruential sequence, so that the same key always sounds the same.
    """
    period = round(RATE_HZ / (A4_HZ * 2 ** ((key - A4_KEY) / 12)))
    state, line = 12_345 + key, []
    for _ in range(period):
        state = (1_103_515_245 * state + 12_345) % 2**31
        line.append(loudness * (state / 2**30 - 1))
    # Three rounds of smoothing take the harshness out of the attack: a finger, not a pick.
    for _ in range(3):
        line = [(line[place - 1] + line[place]) / 2 for place in range(period)]
    sound = array("f", bytes(4 * int(seconds * RATE_HZ)))
    place = 0
    for index in range(len(sound)):
        following = place + 1 if place + 1 < period else 0
        sound[index] = value = line[place]
        line[place] = 0.998 * 0.5 * (value + line[following])
        place = following
    return sound


def tune(seconds: int) -> bytes:
    """Return a loop of 16-bit mono samples at RATE_HZ; what rings beyond the end rings on at the beginning."""
    mixed = array("f", bytes(4 * seconds * RATE_HZ))
    strings: dict[tuple[int, float], array[float]] = {}
    for start_s, key, loudness in notes(seconds):
        sound = strings.setdefault((key, loudness), pluck(key, 2.0, loudness))
        start = round(start_s * RATE_HZ)
        for offset, value in enumerate(sound):
            mixed[(start + offset) % len(mixed)] += value
    peak = max(max(mixed), -min(mixed))
    return array("h", (round(value / peak * 20_000) for value in mixed)).tobytes()


def notes(seconds: int) -> list[tuple[float, int, float]]:
    """Return (start in seconds, MIDI key, loudness) of melody and bass over the whole loop."""
    found: list[tuple[float, int, float]] = []
    beats, place = 0, 0
    while beats * BEAT_S < seconds:
        key, length = SONG[place % len(SONG)]
        found.append((beats * BEAT_S, key, 1.0))
        beats, place = beats + length, place + 1
    for number in range(int(seconds / (BEAT_S * BASS_BEATS))):
        found.append((number * BASS_BEATS * BEAT_S, BASS[number % len(BASS)], 0.6))
    return found
