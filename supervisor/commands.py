"""Pure: the command line of every part, for the supervisor and for docker-compose.yml alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config import Settings

MIGRATE = ("-m", "store", "upgrade")
FOLD = ("-m", "store", "fold")
MEDIA = ("-m", "media")
WEB = ("-m", "server")


def web(settings: Settings) -> tuple[str, ...]:
    """Return the arguments of Python that serve the pages."""
    return WEB


def media(settings: Settings) -> tuple[str, ...]:
    """Return the arguments of Python that run the live plane."""
    return MEDIA


def worker(settings: Settings) -> tuple[str, ...]:
    """Return the arguments of Python that work on recordings and mail; workers/app.py knows how many at a time.

    Gossip, mingle and heartbeats serve clusters of workers that watch one another; leases in the database do that here.
    """
    return (
        *("-m", "celery", "--quiet", "-A", "workers.app", "worker", "--loglevel", settings.log_level),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    )


def beat(settings: Settings) -> tuple[str, ...]:
    """Return the arguments of Python that send the periodic tasks."""
    return ("-m", "celery", "--quiet", "-A", "workers.app", "beat", "--loglevel", "WARNING", "--pidfile", "")
