"""States, leases and repeated requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import idempotency, leases, lifecycle
from rules.idempotency import Repeat
from rules.leases import MAX_ATTEMPTS, MAX_DEATHS, Standing, Verdict
from rules.lifecycle import (
    OVER,
    IllegalTransition,
    PieceState,
    RecordingState,
    RenditionState,
    SessionState,
    UploadState,
)


@pytest.mark.parametrize("states", [SessionState, RecordingState, RenditionState, PieceState, UploadState])
def test_every_state_has_its_row_and_no_step_stands_still(states):
    """The tables know every state; a state never follows itself; every state but the first can be reached."""
    followers = {state: {after for after in states if lifecycle.may_become(state, after)} for state in states}
    assert all(state not in after for state, after in followers.items())
    assert set().union(*followers.values()) | {next(iter(states))} == set(states)


def test_final_states_are_final():
    """Nothing follows a cancelled session; a published file is removed, or waits to be made anew."""
    assert not any(lifecycle.may_become(SessionState.CANCELLED, state) for state in SessionState)
    assert lifecycle.RENDITION[RenditionState.PUBLISHED] == {RenditionState.REMOVED, RenditionState.WAITING}


def test_a_step_that_is_not_in_the_table_is_refused():
    """The refusal names both states."""
    assert lifecycle.step(SessionState.BOOKED, SessionState.LIVE) is SessionState.LIVE
    with pytest.raises(IllegalTransition, match="live cannot become cancelled"):
        lifecycle.step(SessionState.LIVE, SessionState.CANCELLED)


@given(st.lists(st.sampled_from(RenditionState), max_size=4))
def test_a_recordings_state_follows_from_its_files(states):
    """A file that is still to come keeps it from being over; a published one keeps it from having failed."""
    state = lifecycle.recording_state(states)
    over = bool(states) and all(s in OVER for s in states)
    ends = (RecordingState.PUBLISHED, RecordingState.FAILED, RecordingState.CANCELLED)
    assert (state in ends) == over
    there = (RenditionState.PUBLISHED, RenditionState.REMOVED)
    assert (state is RecordingState.PUBLISHED) == (over and any(s in there for s in states))
    assert (state is RecordingState.WAITING) == all(s is RenditionState.WAITING for s in states)


@given(st.permutations([0, 1, 2]), st.lists(st.sampled_from(RenditionState), min_size=3, max_size=3))
def test_whatever_happens_to_a_file_the_recordings_step_is_legal(order, states):
    """No step of one file asks for a step of its recording that its table lacks."""
    before = lifecycle.recording_state(states)
    for after_one in lifecycle.RENDITION[states[order[0]]]:
        changed = list(states)
        changed[order[0]] = after_one
        after = lifecycle.recording_state(changed)
        assert after is before or lifecycle.may_become(before, after)


@pytest.mark.parametrize(
    ("state", "attempts", "deaths", "lease_until_s", "not_before_s", "verdict"),
    [
        (RenditionState.WAITING, 0, 0, None, None, Verdict.TAKE),
        (RenditionState.WAITING, 1, 0, None, 101.0, Verdict.LATER),
        (RenditionState.PIECES, 1, 0, None, 100.0, Verdict.TAKE),
        (PieceState.WAITING, MAX_ATTEMPTS, 0, None, None, Verdict.GIVE_UP),
        (PieceState.WAITING, MAX_ATTEMPTS, 1, None, None, Verdict.TAKE),
        (PieceState.WAITING, MAX_DEATHS, MAX_DEATHS, None, None, Verdict.GIVE_UP),
        (RenditionState.ENCODING, 1, 0, 101.0, None, Verdict.LATER),
        (RenditionState.VERIFYING, 1, 0, 100.0, None, Verdict.TAKE),
        (PieceState.WORKING, MAX_ATTEMPTS, 0, 101.0, None, Verdict.LATER),
        (PieceState.WORKING, MAX_ATTEMPTS, 0, 100.0, None, Verdict.TAKE),
        (PieceState.WORKING, MAX_ATTEMPTS + 1, 0, 100.0, None, Verdict.GIVE_UP),
        (RenditionState.ENCODING, MAX_DEATHS, MAX_DEATHS - 1, 100.0, None, Verdict.GIVE_UP),
        (RenditionState.PUBLISHED, 1, 0, None, None, Verdict.OVER),
        (RenditionState.FAILED, 1, 0, None, None, Verdict.OVER),
        (RenditionState.CANCELLED, 1, 0, None, None, Verdict.OVER),
        (PieceState.DROPPED, 1, 0, None, None, Verdict.OVER),
    ],
)
def test_when_a_file_or_piece_may_be_taken(state, attempts, deaths, lease_until_s, not_before_s, verdict):
    """At second 100: what is free and what a worker never gave back, unless tried or died of too often."""
    assert leases.judge(Standing(state, attempts, deaths, lease_until_s, not_before_s), 100.0) is verdict


def test_what_costs_workers_is_left_alone_for_longer_and_longer():
    """The first deaths cost no pause, later ones more and more, up to a minute."""
    pauses = [leases.death_pause_s(deaths) for deaths in range(1, MAX_DEATHS)]
    assert pauses[:3] == [0.0, 0.0, 0.0] and pauses == sorted(pauses) and pauses[-1] == leases.DEATH_CAP_S


def test_pauses_grow_to_a_cap_and_end():
    """Each failure waits longer, none beyond the cap, and the last is for good; a permanent one at once."""
    pauses = [leases.mail_delay_s(attempts) for attempts in range(1, leases.MAIL_MAX_ATTEMPTS)]
    assert pauses == sorted(pauses) and pauses[0] == leases.MAIL_BASE_S and pauses[-1] == leases.MAIL_CAP_S
    assert leases.mail_delay_s(leases.MAIL_MAX_ATTEMPTS) is None
    assert leases.retry_delay_s(1, permanent=False) == leases.RETRY_BASE_S
    assert leases.retry_delay_s(1, permanent=True) is None
    assert leases.retry_delay_s(MAX_ATTEMPTS, permanent=False) is None


def test_repeats_are_known_by_their_content():
    """The order of fields does not matter, every value does."""
    digest = idempotency.request_digest({"a": 1, "b": "х"})
    assert idempotency.judge(None, digest) is Repeat.NEW
    assert idempotency.judge(digest, idempotency.request_digest({"b": "х", "a": 1})) is Repeat.SAME
    assert idempotency.judge(digest, idempotency.request_digest({"b": "х", "a": 2})) is Repeat.DIFFERENT
