"""What the mirror remembers over restarts, and what it is doing now, in one small document that `status` reads too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from mirror import shapes
from mirror.action import Do
from mirror.clock import FIRST_SANE, Correction
from mirror.folder import Folder
from mirror.quota import Usage
from mirror.shapes import BadDocument, Offer, Subscription

STATE = "state.json"
SUBSCRIPTION = "subscription.json"


@dataclass(slots=True)
class State:
    """The month's count, the clock's correction, the subscription; `do` to `size` say what goes on."""

    usage: Usage = field(default_factory=Usage)
    clock: Correction = field(default_factory=Correction)
    subscription: Subscription | None = None
    etag: str = ""
    contact_at: str = ""
    reported_bytes: int = -1
    reported_said: str = ""
    trouble: str = ""
    do: str = ""
    title: str = ""
    done: int = 0
    size: int = 0

    @classmethod
    def load(cls, folder: Folder) -> State:
        """Read what was kept; what is damaged is begun anew, as all of it can be asked for again."""
        found = cls()
        kept = folder.read(STATE) or {}
        usage, clock = kept.get("usage"), kept.get("clock")
        if isinstance(usage, dict) and isinstance(usage.get("month"), str) and type(usage.get("wire_bytes")) is int:
            found.usage = Usage(usage["month"], usage["wire_bytes"])
        if isinstance(clock, dict):
            found.clock = _correction(clock)
        for name in ("contact_at", "trouble", "do", "title", "reported_said"):
            setattr(found, name, str(kept.get(name, ""))[:300])
        for name in ("done", "size", "reported_bytes"):
            setattr(found, name, kept[name] if type(kept.get(name)) is int else getattr(found, name))
        subscribed = folder.read(SUBSCRIPTION)
        if subscribed is not None:
            try:
                found.subscription = shapes.subscription(subscribed.get("document"))
                found.etag = str(subscribed.get("etag", ""))[:200]
            except BadDocument:
                found.subscription = None
        return found

    def save(self, folder: Folder, counted_bytes: int | None = None) -> None:
        """Write it by rename, on request with a count that runs ahead of the real one. Raises DiskFull."""
        wire_bytes = self.usage.wire_bytes if counted_bytes is None else counted_bytes
        folder.write(
            STATE,
            {
                "version": 1,
                "usage": {"month": self.usage.month, "wire_bytes": wire_bytes},
                "clock": {"offset_s": self.clock.offset_s, "seen": self.clock.seen.isoformat()},
                **{name: getattr(self, name) for name in ("contact_at", "trouble", "do", "title", "done", "size")},
                "reported_bytes": self.reported_bytes,
                "reported_said": self.reported_said,
            },
        )

    def subscribe(self, folder: Folder, found: Subscription, document: dict, etag: str) -> None:
        """Keep what the origin said. Raises DiskFull."""
        folder.write(SUBSCRIPTION, {"etag": etag, "document": document})
        self.subscription, self.etag = found, etag

    def contact(self, now: datetime) -> None:
        """Note that the origin has answered."""
        self.contact_at = now.astimezone(UTC).isoformat(timespec="seconds")

    def doing(self, do: Do, offer: Offer | None) -> None:
        """Note what goes on."""
        if do.value != self.do or (offer is not None and offer.lesson.title != self.title):
            self.done = 0
        self.do, self.title, self.size = do.value, offer.lesson.title if offer else "", offer.bytes if offer else 0

    def progress(self, done: int, size: int) -> None:
        """Note how far the file is."""
        self.done, self.size = done, size


def _correction(kept: dict) -> Correction:
    try:
        seen = datetime.fromisoformat(str(kept.get("seen")))
        return Correction(float(kept.get("offset_s", 0.0)), max(FIRST_SANE, seen.astimezone(UTC)))
    except (ValueError, TypeError, OverflowError):
        return Correction()
