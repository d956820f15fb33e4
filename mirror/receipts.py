"""Receipts: one small file each until the origin has said that it keeps it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from mirror.folder import DiskFull, Folder, read_json, write_json
from mirror.shapes import Offer
from mirror.state import State

MOST_AT_ONCE = 200
# What was counted since the last report is told when it comes to this much, even without a receipt.
TELL_BYTES = 5_000_000
TOLD = "told.json"


def add(folder: Folder, offer: Offer, way: str, now: datetime) -> None:
    """Keep that a file has arrived and was verified; `way` is "net" or "usb". Raises DiskFull."""
    at = now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    document = {"file": offer.id, "sha256": offer.sha256, "way": way, "verified_at": at}
    write_json(folder.receipts / f"{offer.id}.json", document)


def due(folder: Folder, state: State, said: str) -> int:
    """Count what is to be told: receipts, else 1 where much was counted since, or there is other trouble than told."""
    counted = state.usage.wire_bytes - state.reported_bytes
    is_news = said != state.reported_said or not 0 <= counted < TELL_BYTES
    return waiting(folder) or int(is_news)


def waiting(folder: Folder) -> int:
    """Count the receipts that wait."""
    return sum(1 for _path in folder.receipts.glob("*.json"))


def report(folder: Folder, state: State, said: str) -> tuple[dict, set[str]]:
    """Write what is told to the origin; returns it with the names of the files in it."""
    found = []
    for path in sorted(folder.receipts.glob("*.json"))[:MOST_AT_ONCE]:
        document = read_json(path)
        if document is None:
            path.unlink(missing_ok=True)  # cut off by a power cut; the file itself is told of at the next look
        else:
            found.append(document)
    month = state.usage.month
    document = {"month": month, "month_bytes": state.usage.wire_bytes, "said": said, "receipts": found}
    return document, {str(one.get("file")) for one in found}


def told(folder: Folder, names: AbstractSet[str], state: State, said: str) -> None:
    """Forget the receipts that the origin has answered for."""
    for name in names:
        (folder.receipts / f"{name}.json").unlink(missing_ok=True)
    kept = _told(folder)
    folder.write(TOLD, {"files": sorted(kept | names)})
    state.reported_bytes, state.reported_said = state.usage.wire_bytes, said


def missing(folder: Folder, offers: Iterable[Offer], state: State) -> None:
    """Write receipts anew for files that are here and of which the origin was never told: lost, or imported before."""
    kept = _told(folder)
    now = state.clock.now(datetime.now(UTC))
    for offer in offers:
        if offer.id not in kept and folder.has(offer) and not (folder.receipts / f"{offer.id}.json").exists():
            with contextlib.suppress(DiskFull):
                add(folder, offer, "net", now)


def _told(folder: Folder) -> set[str]:
    found = (folder.read(TOLD) or {}).get("files")
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()
