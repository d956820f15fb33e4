"""The Celery tasks: names and limits around plain functions, and nothing else."""

from __future__ import annotations

import logging

from workers import alive, decks, ingest, keeping, mail, renditions, upkeep, uploads
from workers.app import SWEEP_EVERY_S, app, encode_limit_s, settings

log = logging.getLogger(__name__)

# Lower comes first in Redis. Light work waits for nothing, voice for light work, pictures for both.
VOICE_PRIORITY = 3
VIDEO_PRIORITY = 9
# Enough for every free process of several machines to get one.
MAX_MESSAGES = 16
# Copying a long lesson to a distant storage may take its time.
SCAN_LIMIT_S = 7200


@app.task(name="workers.ingest.scan", time_limit=SCAN_LIMIT_S)
def scan() -> None:
    """Take over sealed recordings; work on new ones starts at once."""
    alive.note_beat(settings.redis_url)
    if ingest.scan(settings):
        send_waiting()


@app.task(name="workers.uploads.scan", time_limit=SCAN_LIMIT_S)
def take_uploads() -> None:
    """Take over uploads that are whole; work on new recordings starts at once."""
    if uploads.scan(settings):
        send_waiting()


@app.task(name="workers.renditions.work", time_limit=encode_limit_s())
def work(sort: str) -> None:
    """Make what there is of one sort ("voice" or "picture"), then see to it that the place goes to what comes next."""
    if renditions.work_on(settings, sort, send_waiting):
        send_waiting()


@app.task(name="workers.renditions.sweep")
def sweep() -> None:
    """Send again what waits without a lease: messages get lost, the database does not. And tidy up."""
    renditions.tidy(settings)
    send_waiting()


@app.task(name="workers.decks.render")
def render_decks() -> None:
    """Render the decks that were attached to lessons."""
    decks.render_waiting(settings)


@app.task(name="workers.mail.send_due")
def send_due() -> None:
    """Send the letters whose time has come."""
    mail.send_due(settings)


@app.task(name="workers.upkeep.clean")
def clean() -> None:
    """Remove what nobody needs any more."""
    upkeep.clean(settings)


@app.task(name="workers.keeping.delete")
def delete_removed() -> None:
    """Delete the bytes of files that were removed by hand, so that they can be made again soon."""
    keeping.delete_removed(settings)


def send_waiting() -> None:
    """Send messages for what should be made now; who finds no place or nothing to do ends at once."""
    waiting = [one.sort for one in renditions.next_up()]
    for sort, priority in ((renditions.VOICE, VOICE_PRIORITY), (renditions.PICTURE, VIDEO_PRIORITY)):
        for _ in range(min(waiting.count(sort), MAX_MESSAGES)):
            work.apply_async((sort,), priority=priority, expires=SWEEP_EVERY_S, retry=False)
