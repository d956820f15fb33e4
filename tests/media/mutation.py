"""Damage bytes at random, with a seed, for tests of parsers."""

from __future__ import annotations

import random


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change, cut, repeat or add a few bytes."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(4):
            case 0 if out:
                out[at % len(out)] = rng.choice((0, 0xFF, 0x7F, 0x80, rng.randrange(256)))
            case 1:
                del out[at:]
            case 2:
                out[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                del out[at : at + rng.randint(1, 8)]
    return bytes(out)
