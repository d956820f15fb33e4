"""Pieces of work: laid out once, longest first, each done once, and gone with their file, whatever happens to it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rules.leases import LEASE_S, MAX_ATTEMPTS, Verdict
from rules.lifecycle import PieceState, RecordingState, RenditionState
from rules.renditions import Kind
from store import library, pieces, plans, recordings
from store.models import db
from store.piecemodels import Piece
from tests.store.conftest import NOW
from tests.store.test_recordings import ENDS, PLAN, cut, lesson, make, planned, sealed  # noqa: F401 - fixtures
from tests.store.test_recordings import recording as recording

SMALL, COMPAT = Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT


def rows(state: PieceState | None = None) -> list[Piece]:
    """The pieces as they are now."""
    db.session.expire_all()
    return [row for row in db.session.query(Piece).order_by(Piece.first_frame) if state is None or row.state == state]


def file_of(kind: Kind):
    """The recording's file of this kind, as it is now."""
    db.session.expire_all()
    return next(row for row in library.recording("r1").renditions if row.kind == kind)


def take(count: int = 1, owner: str = "w") -> list[str]:
    """Take the next pieces."""
    taken = pieces.next_pieces(ENDS, count)
    assert [pieces.take(one, owner, ENDS) for one in taken] == [Verdict.TAKE] * count
    return taken


def done(piece_id: str, owner: str = "w") -> bool:
    """Report a piece as done."""
    return pieces.done(piece_id, owner, ENDS, f"recordings/r1/pieces/{piece_id}.mp4", 10, "3" * 64)


def test_a_picture_is_laid_out_once_and_its_longest_piece_comes_first(recording):
    """2,400 s at 10 frames a second, cut at 60 and 90 s: all frames, the small video before the compatible one."""
    planned()
    assert plans.lay_out(ENDS) == 0
    small = [row for row in rows() if row.rendition_id == file_of(SMALL).id]
    assert [(row.first_frame, row.frames) for row in small] == [(0, 600), (600, 300), (900, 23100)]
    order = [pieces.work(one) for one in pieces.next_pieces(ENDS, 10)]
    assert [(work.kind, work.frames) for work in order] == [
        *((SMALL, 23100), (SMALL, 600), (SMALL, 300)),
        *((COMPAT, 23100), (COMPAT, 600), (COMPAT, 300)),
    ]


def test_what_needs_no_trials_begins_before_the_plan_is_complete(recording):
    """The compatible video is laid out as soon as cuts are known; the small one when the plan has its picture."""
    assert plans.lay_out(ENDS) == 1
    [plan] = take()
    early = {**PLAN, "pictures": {COMPAT.value: PLAN["pictures"][COMPAT]}}
    plans.note("r1", ENDS, **early)
    assert {pieces.work(one).kind for one in pieces.next_pieces(ENDS, 10)} == {COMPAT}
    assert plans.keep(plan, "w", ENDS, pictures=PLAN["pictures"])
    assert {pieces.work(one).kind for one in pieces.next_pieces(ENDS, 10)} == {COMPAT, SMALL}
    assert not plans.keep(plan, "w", ENDS, pictures={})


def test_a_file_waits_for_all_its_pieces_and_shows_their_progress(recording):
    """It cannot be taken before the last one is done; its percent grows with the frames that are."""
    planned()
    assert recordings.take(file_of(SMALL).id, "w", ENDS) is Verdict.LATER
    first, *others = take(3)
    assert pieces.progress(first, "w", ENDS + timedelta(seconds=10), "encode", 50.0).percent == pytest.approx(
        45.7, abs=0.1
    )
    assert (file_of(SMALL).state, file_of(SMALL).stage) == (RenditionState.PIECES, "encode")
    for one in (first, *others):
        assert file_of(SMALL).id not in recordings.next_renditions(ENDS)
        assert done(one)
    assert file_of(SMALL).percent == 95.0
    assert file_of(SMALL).id in recordings.next_renditions(ENDS)
    make(file_of(SMALL).id)
    assert len(rows(PieceState.DROPPED)) == 3


def test_a_piece_is_done_once_whoever_comes_late(recording):
    """A worker that lost its lease changes nothing, and a death costs no attempt."""
    planned()
    [one] = take()
    late = ENDS + timedelta(seconds=LEASE_S)
    assert pieces.take(one, "other", late) is Verdict.TAKE
    assert not done(one, "w")
    assert pieces.progress(one, "w", late, "encode", 1.0) is None
    assert pieces.fail(one, "w", late, "damaged") is None
    assert pieces.end_lease(one, "other", late)
    assert pieces.take(one, "third", late) is Verdict.TAKE
    assert done(one, "third")
    row = next(row for row in rows() if row.id == one)
    assert (row.state, row.attempts, row.deaths) == (PieceState.DONE, 3, 2)


def test_a_piece_that_fails_for_good_fails_its_file_with_the_reason(recording):
    """Its other pieces are dropped, the other file goes on."""
    planned()
    [one] = take()
    moment = ENDS
    for attempt in range(MAX_ATTEMPTS):
        delay_s = pieces.fail(one, "w", moment, "damaged")
        assert (delay_s is None) == (attempt == MAX_ATTEMPTS - 1)
        if delay_s is not None:
            assert pieces.take(one, "w", moment) is Verdict.LATER
            moment += timedelta(seconds=delay_s)
            assert pieces.take(one, "w", moment) is Verdict.TAKE
    assert (file_of(SMALL).state, file_of(SMALL).error) == (RenditionState.FAILED, "damaged")
    assert file_of(COMPAT).state == RenditionState.WAITING
    assert {row.rendition_id for row in rows(PieceState.DROPPED)} == {file_of(SMALL).id}


def test_a_full_disk_is_waited_for(recording):
    """However often there is no room, the work waits for it and has not failed."""
    planned()
    [one] = take()
    moment = ENDS
    for _ in range(MAX_ATTEMPTS * 3):
        moment += timedelta(seconds=pieces.fail(one, "w", moment, "disk_full"))
        assert pieces.take(one, "w", moment) is Verdict.TAKE
    assert file_of(SMALL).state == RenditionState.PIECES


def test_a_plan_that_fails_for_good_fails_what_waited_for_it(recording):
    """No picture can be made without a plan; the voice can."""
    plans.lay_out(ENDS)
    [plan] = take()
    assert pieces.fail(plan, "w", ENDS, "no_sound_or_picture", permanent=True) is None
    assert [file_of(kind).state for kind in (SMALL, COMPAT)] == [RenditionState.FAILED] * 2
    assert file_of(Kind.VOICE_OPUS).state == RenditionState.WAITING


def test_what_is_cancelled_stops_and_can_be_begun_again(recording):
    """Leases end at once, published files stay; pieces go when storage is tidy, and then new ones are laid out."""
    make(recording.renditions[0].id)
    planned()
    first, second = take(2)
    assert done(second)
    assert len(recordings.cancel("r1")) == 4
    assert library.recording("r1").state == RecordingState.PUBLISHED
    assert pieces.progress(first, "w", ENDS, "encode", 50.0) is None
    assert pieces.next_pieces(ENDS, 10) == [] and recordings.next_renditions(ENDS) == []
    assert recordings.cancel("r1") == []
    assert len(recordings.retry("r1")) == 4
    assert plans.lay_out(ENDS) == 0  # what was dropped is still to be removed
    dropped = pieces.dropped(100)
    assert f"recordings/r1/pieces/{second}.mp4" in [key for _, key in dropped]
    pieces.forget([piece_id for piece_id, _ in dropped])
    assert plans.lay_out(ENDS) == 6
    assert library.recording("r1").state == RecordingState.WORKING


def test_a_recording_of_which_everything_is_cancelled_says_so(recording):
    """Nothing is published and nothing has failed."""
    recordings.cancel("r1")
    recording = library.recording("r1")
    assert (recording.state, recording.failure) == (RecordingState.CANCELLED, "")


def test_a_file_in_storage_that_changed_is_made_again(recording):
    """The piece goes back to wait, and its file with it."""
    cut()
    made = pieces.made(file_of(SMALL).id)
    assert [one.first_frame for one in made] == [0, 600, 900]
    pieces.redo(made[1].id, made[1].sha256)
    assert file_of(SMALL).id not in recordings.next_renditions(ENDS)
    assert pieces.next_pieces(ENDS, 10) == [made[1].id]


def test_a_plan_of_another_version_is_made_anew(recording):
    """What was made by it is dropped; the recording begins with a plan again."""
    planned()
    plans.forget("r1")
    pieces.forget([row.id for row in rows(PieceState.DROPPED)])
    assert plans.lay_out(ENDS) == 1
    [again] = pieces.next_pieces(ENDS, 10)
    assert pieces.work(again).sort is pieces.Sort.PLAN


def test_the_store_knows_what_is_left_of_files_that_are_not_to_be(recording):
    """A key is noted before anything is put under it, and forgotten when it has been removed."""
    voice = recording.renditions[0].id
    recordings.take(voice, "w", NOW)
    assert recordings.intend(voice, "w", "recordings/r1/voice_opus-1.opus")
    assert recordings.work(voice).left_key == "recordings/r1/voice_opus-1.opus"
    recordings.cancel("r1")
    assert recordings.leftovers(10) == [(voice, "recordings/r1/voice_opus-1.opus")]
    recordings.forget_leftover(voice, "recordings/r1/voice_opus-1.opus")
    assert recordings.leftovers(10) == []
