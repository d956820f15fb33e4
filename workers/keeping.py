"""Remove files whose time is over by the policy; `python -m workers.keeping [DAYS]` only lists what will go.

A file is marked in the database first and deleted after, so that a worker killed in between leaves a mark whose bytes
the next one deletes, and never a row that promises a file which is gone.
"""

from __future__ import annotations

import logging
import sys
from datetime import datetime, timedelta

from config import Settings
from rules.retention import Sort
from store import database, library, retention
from store.files import Files

log = logging.getLogger(__name__)


def remove_due(now: datetime) -> int:
    """Mark what goes by the policy as removed; return how many files."""
    marked = 0
    for one in retention.going(now):
        if retention.remove_due(one, now):
            log.warning("%s of recording %s goes by the policy: %d bytes", one.sort, one.recording_id, one.bytes)
            marked += 1
    return marked


def delete_removed(settings: Settings) -> int:
    """Delete the bytes of what is marked removed; return how many files."""
    storage, deleted = Files(settings.storage_url), 0
    for recording_id, rendition_id, keys in retention.removed():
        for key in keys:
            storage.delete(key)
            deleted += 1
        retention.note_deleted(recording_id, rendition_id)
        log.info("deleted %s of recording %s", ", ".join(keys), recording_id)
    return deleted


def listing(until: datetime) -> list[str]:
    """Write a line for every file that goes by the policy up to a moment; changes nothing."""
    lines = []
    for one in retention.going(until):
        recording = library.recording(one.recording_id)
        title = recording.session.title if recording is not None else ""
        which = f"{one.recording_id} {one.sort.value:<12} {one.bytes:>12}"
        lines.append(f"{one.at.isoformat(timespec='minutes')} {which} {title}")
    return lines


def main(arguments: list[str]) -> None:
    """Print the policy and what will go within so many days (60)."""
    days = int(arguments[0]) if arguments else 60
    with database.bare_app(Settings.from_env()).app_context():
        kept = retention.policy()
        print(", ".join(f"{sort.value}: {kept[sort] or 'for ever'}" for sort in Sort))
        for line in listing(database.utc_now() + timedelta(days=days)):
            print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
