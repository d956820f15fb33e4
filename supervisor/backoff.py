"""Pure: how long to wait before a part that died is started again."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_PAUSE_S = 1.0
GROWTH = 2.0
STEADY_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """The memory of one part's deaths: how many came in a row, each soon after a start."""

    longest_pause_s: float = 30.0
    quick_deaths: int = 0

    def after_death(self, lived_s: float) -> tuple[float, Backoff]:
        """Return the pause before the next start in seconds, and the memory to keep.

        The first restart is immediate, because a part that worked and was killed must be back before anybody in
        a lesson hangs up; a part that keeps dying young waits 1, 2, 4 … seconds, so that it does not eat the
        processor that the others need. A life of STEADY_AFTER_S wipes the slate.
        """
        deaths = 1 if lived_s >= STEADY_AFTER_S else self.quick_deaths + 1
        pause_s = 0.0 if deaths == 1 else min(FIRST_PAUSE_S * GROWTH ** (deaths - 2), self.longest_pause_s)
        # Far beyond the longest pause the count says nothing more; the cap keeps the power above from overflowing.
        return pause_s, Backoff(self.longest_pause_s, min(deaths, 64))
