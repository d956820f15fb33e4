"""Pure: put a wrong clock right by what the origin says, so that night and month are those of the school."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Answers take their time on a slow link, and minutes do not matter.
TOLERANCE_S = 120.0
# No lesson is older than this program: such a clock has lost its battery.
FIRST_SANE = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Correction:
    """What to add to this computer's clock (seconds); `seen` is the latest moment known to have passed."""

    offset_s: float = 0.0
    seen: datetime = FIRST_SANE

    def now(self, local: datetime) -> datetime:
        """Return the moment (aware) by this computer's clock as it is known to go wrong.

        A clock that was put back since, to before what has passed already, is believed no further than that.
        """
        return max(local + timedelta(seconds=self.offset_s), self.seen)

    def told(self, local: datetime, origin: datetime) -> Correction:
        """Take what the origin's clock says at a moment of this one's."""
        offset_s = (origin - local).total_seconds()
        return Correction(0.0 if abs(offset_s) <= TOLERANCE_S else offset_s, max(FIRST_SANE, origin))

    def is_wrong(self, local: datetime) -> bool:
        """Tell whether this computer's clock is known to be wrong."""
        return self.offset_s != 0.0 or local < self.seen - timedelta(seconds=TOLERANCE_S)
