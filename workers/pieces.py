"""Work on one piece: look at a lesson and plan its pictures, or encode a stretch of one and put it into storage."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from config import Settings
from rules import pieces as cutting
from rules.lifecycle import RenditionState
from rules.pieces import Span, Stretch
from rules.renditions import Kind
from store import database, pieces, plans
from store.files import Files
from store.pieces import PieceWork, Sort
from workers import alive, analysis, encoder, plan, planning, planoptions, probe, slots, sources
from workers.attempt import ENCODE, FETCH, VERIFY, Attempt, LeaseLost, Refused, announce

log = logging.getLogger(__name__)

PLAN = "plan"


class PieceAttempt(Attempt):
    """One attempt at one piece."""

    def __init__(self, settings: Settings, owner: str, work: PieceWork) -> None:
        where = f"frames {work.first_frame} to {work.first_frame + work.frames} of {work.kind.value}"
        what = "the plan" if work.sort is Sort.PLAN else where
        super().__init__(settings, owner, f"{what} of recording {work.recording_id}, attempt {work.attempts + 1}")
        self.work = work

    def note(self, stage: str, percent: float, eta_s: float | None) -> bool:
        """Tell the database how far this piece is, and open pages how far its file is."""
        work = self.work
        file = pieces.progress(work.id, self.owner, database.utc_now(), PLAN, percent)
        if file is None:
            return False
        facts = RenditionState(file.state), file.stage, file.percent, file.eta_s
        announce(self.settings, work.session_id, work.recording_id, work.kind, *facts)
        return True

    def release(self) -> None:
        """Give the piece back uncounted."""
        pieces.release(self.work.id, self.owner)

    def bury(self) -> None:
        """Give the piece back as after a death."""
        pieces.end_lease(self.work.id, self.owner, database.utc_now())

    def fail(self, code: str, *, permanent: bool) -> None:
        """Give the piece back with a reason, after too many the whole file."""
        work = self.work
        delay_s = pieces.fail(work.id, self.owner, database.utc_now(), code, permanent=permanent)
        state = RenditionState.FAILED if delay_s is None else RenditionState.PIECES
        announce(self.settings, work.session_id, work.recording_id, work.kind, state)


def work_on(settings: Settings, owner: str, work: PieceWork, tell: Callable[[], None]) -> None:
    """Make an attempt at a piece whose lease this process holds; `tell` others when there is work for them too."""
    attempt = PieceAttempt(settings, owner, work)
    if work.sort is Sort.PLAN:
        attempt.run(lambda folder: _plan(attempt, folder, tell))
    else:
        attempt.run(lambda folder: _stretch(attempt, folder))


def _plan(attempt: PieceAttempt, folder: Path, tell: Callable[[], None]) -> None:
    """Look at the lesson; what needs no trials goes to other workers while this one makes them."""
    work = attempt.work
    attempt.report(FETCH)
    with sources.fetched(attempt.settings, work.segments, lambda done: attempt.report(FETCH, done)) as paths:
        kept = _readable(work)
        line = planning.timeline(kept, paths, work.segments)
        found = planning.heard(kept, paths, line, lambda done: attempt.report(PLAN))
        look = partial(_report_part, attempt, 0.0, planning.LOOK_SHARE)
        sight = analysis.look(paths, line, folder, look)
        if "bounds_s" not in kept:
            plans.note(work.recording_id, database.utc_now(), **(cut := planning.cut(paths, line, sight)))
            kept |= cut
            tell()
        search = partial(_report_part, attempt, planning.LOOK_SHARE, 1.0)
        most = attempt.settings.small_video_mb
        made = planning.lesson(kept, paths, line, sight, found, folder, search, at_most_mb=most)
    if not plans.keep(work.id, attempt.owner, database.utc_now(), **made):
        raise LeaseLost
    tell()


def _report_part(attempt: PieceAttempt, begin: float, end: float, done: float) -> None:
    attempt.report(PLAN, begin + (end - begin) * done)


def _readable(work: PieceWork) -> dict[str, Any]:
    """Return what is known of the lesson so far, {} where another version kept it."""
    kept = dict(plans.current(work.plan))
    if "line" in kept:
        try:
            plan.from_json(kept["line"])
        except ValueError:
            return {}
    return kept


def _stretch(attempt: PieceAttempt, folder: Path) -> None:
    work = attempt.work
    try:
        threads = _threads(attempt.settings)
        line, options = plan.from_json(plans.current(work.plan).get("line", {})), _options(work, threads)
    except ValueError as trouble:
        log.warning("%s: its plan cannot be read any more and is made anew: %s", attempt.name, trouble)
        plans.forget(work.recording_id)
        raise LeaseLost from trouble
    target = folder / "made.mp4"
    picture = planning.picture_of(work.plan, work.kind)
    attempt.report(FETCH)
    needed = _segments_of(work, line)
    with sources.fetched(attempt.settings, [work.segments[index] for index in needed], lambda done: None) as paths:
        found = dict(zip(needed, paths, strict=True))
        job = encoder.StretchJob(
            sources=tuple(found.get(index, Path()) for index in range(len(work.segments))),
            timeline=line,
            picture=picture,
            spans=_spans(work, line),
            options=options,
            # Where seeking brought nothing good, the next attempt reads from the beginning.
            entries_s=dict(enumerate(work.plan["entries_s"])) if work.attempts == work.deaths else None,
            target=target,
            entry_margin_s=_margin_s(work),
        )
        limit_s = plan.time_limit_s(work.kind, line.duration_s)
        length_s = work.frames / picture.fps
        encoder.run(
            job,
            limit_s,
            lambda made_s: attempt.report(ENCODE, made_s / length_s),
            threads=threads,
        )
    attempt.report(VERIFY, 1.0)
    faults = plan.stretch_faults(probe.decode(target, lambda _at: attempt.report(VERIFY, 1.0)), picture, work.frames)
    if faults:
        raise Refused("damaged", "; ".join(faults))
    _store(attempt, target)


def _store(attempt: PieceAttempt, target: Path) -> None:
    """Put a verified stretch into storage, where whoever puts the file together finds it on any machine."""
    work = attempt.work
    storage = Files(attempt.settings.storage_url)
    made_of = plans.digest(work.source_sha256, work.plan, work.kind)
    key = f"recordings/{work.recording_id}/pieces/{work.id}-{made_of}-{work.first_frame}-{work.frames}.mp4"
    if not pieces.intend(work.id, attempt.owner, key):
        raise LeaseLost
    storage.remove_unfinished_of(key)
    stored = storage.put(target, key)
    if not pieces.done(work.id, attempt.owner, database.utc_now(), key, stored.bytes, stored.sha256):
        if not pieces.is_needed(work.id):
            storage.delete(key)
        raise LeaseLost


def _spans(work: PieceWork, line: plan.Timeline) -> tuple[Span, ...]:
    fps = work.plan["pictures"][work.kind]["fps"]
    lengths = [segment.duration_s for segment in line.segments]
    return cutting.spans(lengths, fps, Stretch(work.first_frame, work.frames))


def _segments_of(work: PieceWork, line: plan.Timeline) -> list[int]:
    """List the numbers of the recording's segments that a piece needs."""
    return sorted({line.segments[span.segment].index for span in _spans(work, line)})


def _margin_s(work: PieceWork) -> float:
    exact = all(segment.get("container") in plan.EXACT_CONTAINERS for segment in work.segments)
    return plan.ENTRY_MARGIN_S if exact else plan.ROUGH_MARGIN_S


def _threads(settings: Settings) -> int:
    """Say how many threads an encoder gets that begins now."""
    live, processors = alive.is_lesson_live(settings.redis_url), slots.processors()
    places = slots.pictures(settings.worker_processes, processors, live=live)
    return slots.threads(places, processors, live=live)


def _options(work: PieceWork, threads: int) -> dict[str, object]:
    """List the encoder's options. Raises ValueError where the plan cannot be read."""
    if work.kind is Kind.VIDEO_SMALL:
        picture = planning.lesson_of(plans.current(work.plan)).picture
        if picture is None:
            raise ValueError("the plan has no picture")
        return planoptions.picture_options(picture, threads)
    return encoder.preset_options(work.kind, planning.picture_of(work.plan, work.kind))
