"""The Celery application: `celery -A workers.app worker` and `celery -A workers.app beat`.

The database is the truth about work and the queue only a hint: every message may be lost, come late or come twice.
"""

from __future__ import annotations

import logging
from functools import cache

from celery import Celery, Task
from flask import Flask

from config import SettingError, Settings
from store import database
from workers import alive, plan, renditions, slots

# Seconds between two sendings; a message that was not taken by the next one is dropped, so that none pile up.
SCAN_EVERY_S = 5
SWEEP_EVERY_S = 10
MAIL_EVERY_S = 30
DECKS_EVERY_S = 15
DELETE_EVERY_S = 60
CLEAN_EVERY_S = 3600
# Redis hands a message out again when it was not acknowledged for this long; leases keep that harmless.
VISIBILITY_TIMEOUT_S = 3600
LIGHT_TASK_LIMIT_S = 600
MAX_CHILD_KIB = 600_000

settings = Settings.from_env()


@cache
def flask_app() -> Flask:
    """Make this process's Flask application, which has the database and no pages."""
    return database.bare_app(settings)


class StoreTask(Task):
    """A task that runs within an application context; its session ends with it."""

    def __call__(self, *args, **kwargs):
        """Run the task's own function."""
        with flask_app().app_context():
            return super().__call__(*args, **kwargs)


def encode_limit_s() -> float:
    """Return the longest that a process may work at a stretch, with an hour for fetching, verifying and publishing."""
    return plan.longest_s(settings.max_lesson_hours * 3600) + renditions.KEEP_ON_S + 3600


def _configure(made: Celery) -> None:
    made.conf.update(
        broker_url=settings.redis_url,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "queue_order_strategy": "priority",
            "priority_steps": [0, 3, 6, 9],
        },
        # Commands over the broker are not used, and their channel does not survive a restart of Redis well.
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        # Pictures have as many processes as the setting says; voice, uploads and light work have one each beside them.
        worker_concurrency=slots.pictures(settings.worker_processes, slots.processors()) + 3,
        worker_max_memory_per_child=MAX_CHILD_KIB,
        task_default_queue="tropa",
        task_default_priority=0,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_time_limit=LIGHT_TASK_LIMIT_S,
        timezone="UTC",
        beat_schedule_filename=str(settings.data / "run" / "beat-schedule"),
        beat_schedule={
            name: {"task": name, "schedule": every_s, "options": {"expires": every_s}}
            for name, every_s in (
                ("workers.ingest.scan", SCAN_EVERY_S),
                ("workers.uploads.scan", SCAN_EVERY_S),
                ("workers.renditions.sweep", SWEEP_EVERY_S),
                ("workers.decks.render", DECKS_EVERY_S),
                ("workers.mail.send_due", MAIL_EVERY_S),
                ("workers.keeping.delete", DELETE_EVERY_S),
                ("workers.upkeep.clean", CLEAN_EVERY_S),
            )
        },
    )


if not settings.redis_url:
    raise SettingError("REDIS_URL is empty; workers need the address of a Redis, for instance redis://127.0.0.1:6379/0")
(settings.data / "run").mkdir(parents=True, exist_ok=True)
app = Celery("tropa", task_cls=StoreTask, include=["workers.tasks"])
_configure(app)
# A line for every scan, each five seconds, would bury what happens; tasks log what they do, and failures stay heard.
for name in ("celery.app.trace", "celery.worker.strategy"):
    logging.getLogger(name).setLevel(logging.WARNING)
alive.install(settings)
