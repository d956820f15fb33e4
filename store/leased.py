"""What files and pieces of work have in common: rows that one worker at a time holds under a lease."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session as OrmSession

from rules import leases, lifecycle
from rules.leases import Standing, Verdict
from rules.lifecycle import PieceState, RecordingState, RenditionState
from store.models import Leased, Recording, Rendition

MAX_ERROR_CHARS = 2000


def state_of(row: Leased) -> RenditionState | PieceState:
    """Return a row's state as its own enumeration."""
    return RenditionState(row.state) if isinstance(row, Rendition) else PieceState(row.state)


def step(row: Leased, state: RenditionState | PieceState) -> None:
    """Bring a row into a state; raises IllegalTransition where its table has no such step."""
    row.state = lifecycle.step(state_of(row), state).value


def judge(row: Leased, now: datetime) -> Verdict:
    """Say whether a row may be taken now."""
    standing = Standing(state_of(row), row.attempts, row.deaths, _unix(row.lease_until), _unix(row.not_before))
    return leases.judge(standing, now.timestamp())


def may_be_taken(table: type[Leased], states: tuple[str, ...], now: datetime) -> ColumnElement[bool]:
    """Select rows that are free in one of these states, their pause over."""
    return table.state.in_(states) & or_(table.not_before.is_(None), table.not_before <= now)


def is_abandoned(table: type[Leased], states: tuple[str, ...], now: datetime) -> ColumnElement[bool]:
    """Select rows that are held in one of these states with a lease that has run out."""
    return table.state.in_(states) & or_(table.lease_until.is_(None), table.lease_until <= now)


def give(row: Leased, owner: str, now: datetime, lease_s: float) -> None:
    """Give a lease; what its last holder never gave back counts as a death."""
    if leases.is_held(state_of(row)):
        row.deaths += 1
    row.attempts += 1
    row.lease_owner, row.lease_until = owner, now + timedelta(seconds=lease_s)
    row.percent, row.not_before = 0.0, None


def renew(row: Leased, now: datetime, lease_s: float) -> None:
    """Let a lease last from now on."""
    row.lease_until = now + timedelta(seconds=lease_s)


def let_go(row: Leased) -> None:
    """End a lease."""
    row.lease_owner, row.lease_until = "", None


def bury(row: Leased, now: datetime) -> None:
    """End the lease of a worker that died; the more died of it, the longer nobody takes it."""
    row.deaths += 1
    pause_s = leases.death_pause_s(row.deaths)
    row.not_before = now + timedelta(seconds=pause_s) if pause_s else None
    row.percent = 0.0
    let_go(row)


def trouble(row: Leased, now: datetime, error: str, *, permanent: bool) -> float | None:
    """Note why an attempt failed and end its lease; returns the pause before the next one, None where there is none."""
    if error in leases.PATIENT:
        row.attempts -= 1
        delay_s = leases.PATIENCE_S
    else:
        delay_s = leases.retry_delay_s(row.attempts - row.deaths, permanent)
    row.error = error[:MAX_ERROR_CHARS]
    row.not_before = None if delay_s is None else now + timedelta(seconds=delay_s)
    row.percent = 0.0
    let_go(row)
    return delay_s


def start_over(row: Leased) -> None:
    """Forget all attempts, as somebody asks for another try."""
    row.attempts = row.deaths = 0
    row.error, row.not_before, row.percent = "", None, 0.0
    let_go(row)


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def conclude(session: OrmSession, recording: Recording) -> None:
    """Bring a recording into the state that follows from those of its files."""
    session.flush()
    states = session.scalars(select(Rendition.state).where(Rendition.recording_id == recording.id))
    state = lifecycle.recording_state(RenditionState(state) for state in states)
    if recording.state != state:
        recording.state = lifecycle.step(RecordingState(recording.state), state).value
    error = select(Rendition.error).where(Rendition.recording_id == recording.id, Rendition.error != "")
    recording.failure = session.scalar(error.limit(1)) or "" if state is RecordingState.FAILED else ""
