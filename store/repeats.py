"""Remember what a form has made, so that a second click on the same form makes nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from rules import idempotency
from rules.idempotency import Repeat
from store.database import write
from store.models import IdempotencyKey, db


def made_before(person_id: str, key: str, request: Mapping[str, object]) -> str | None:
    """Return the id that the same request under the same key has made; None where it is new.

    A form that comes again with other values (somebody went back and corrected it) is a new request.
    """
    kept = _kept(person_id, key) if key else None
    digest = idempotency.request_digest(request)
    if kept is None or idempotency.judge(kept.request_sha256, digest) is not Repeat.SAME:
        return None
    return kept.result_id


def remember(person_id: str, key: str, request: Mapping[str, object], result_id: str, now: datetime) -> None:
    """Note what a request has made. Call it in the transaction that makes it, `write(LOCK_PEOPLE)`: they take turns."""
    if not key:
        return
    digest = idempotency.request_digest(request)
    with write() as session:
        kept = _kept(person_id, key)
        if kept is None:
            kept = IdempotencyKey(person_id=person_id, key=key)
            session.add(kept)
        kept.request_sha256, kept.result_id, kept.created_at = digest, result_id, now


def _kept(person_id: str, key: str) -> IdempotencyKey | None:
    query = select(IdempotencyKey).where(IdempotencyKey.person_id == person_id, IdempotencyKey.key == key)
    return db.session.scalar(query)
