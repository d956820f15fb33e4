"""Pure: which packets the air swallows; chance comes in as numbers from 0 to 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """`rate` of all packets are lost, in runs of `burst` packets on average; a burst of 1 is independent loss."""

    rate: float = 0.0
    burst: float = 1.0


class LossProcess:
    """Gilbert's two states (Gilbert 1960): good loses nothing, bad loses everything.

    With p the loss rate and b the mean run: bad → good with 1/b, good → bad with p / (b (1 - p)), so that the share of
    time in bad is p.
    """

    def __init__(self, loss: Loss) -> None:
        """Start in the good state."""
        if not 0 <= loss.rate < 1 or loss.burst < 1:
            raise ValueError(f"{loss}: a rate from 0 to below 1 and a burst of 1 or more are needed")
        self.loss = loss
        self._bad = False

    def lost(self, chance: float) -> bool:
        """Decide about the next packet with one number drawn evenly from 0 to 1."""
        rate, burst = self.loss.rate, self.loss.burst
        if rate == 0:
            return False
        if burst == 1:
            return chance < rate
        self._bad = chance >= 1 / burst if self._bad else chance < rate / (burst * (1 - rate))
        return self._bad
