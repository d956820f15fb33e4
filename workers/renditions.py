"""Make the files of recordings: choose what is next, make voices, put pictures together, verify, publish.

Whoever holds the lease works; only one can publish. Pictures are made in pieces (workers.pieces).
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from config import Settings
from rules import pieces as cutting
from rules import renditions as presets
from rules.leases import Verdict
from rules.lessonplan import VoicePlan
from rules.lifecycle import RenditionState
from rules.renditions import Kind
from rules.soundplan import Heard
from rules.space import Work as Task
from store import chunklists, database, materials, pieces, plans, recordings, space
from store.files import Files
from store.recordings import PublishedFile, Work
from workers import alive, decks, encoder, joining, pack, plan, planning, probe, slots, sources
from workers import pieces as piecework
from workers.attempt import (
    ENCODE,
    FETCH,
    LISTEN,
    PUBLISH,
    VERIFY,
    Attempt,
    LeaseLost,
    Refused,
    announce,
    remove_abandoned,
)

log = logging.getLogger(__name__)

# Files and pieces looked at in one go; the next look finds the next ones.
LIMIT = 50
# A process that has work goes on with it this long before it takes other messages; then it sends itself another one.
KEEP_ON_S = 600.0
VOICE, PICTURE = "voice", "picture"
# What every school can fetch, and the first thing to be there.
FIRST = Kind.VOICE_OPUS
# The sound of a picture is that of the voice beside it, which is encoded once.
VOICE_OF = {Kind.VIDEO_SMALL: Kind.VOICE_OPUS, Kind.VIDEO_COMPAT: Kind.VOICE_AAC}


@dataclass(frozen=True, slots=True)
class Next:
    """Something that may be worked on now: a file by itself, or a piece of one."""

    sort: str
    rendition_id: str = ""
    piece_id: str = ""


def next_up() -> list[Next]:
    """List what should be made now, in this order. No picture is begun while a recording's first voice is not there.

    Its twin for old players is made beside the pictures. Files that can be finished come before new pieces. Leases of
    processes that died on this machine end here; those of other machines run out by themselves.
    """
    now, first_busy = database.utc_now(), False
    for rendition_id, owner, kind in recordings.leases_held(now):
        if alive.is_dead(owner):
            log.warning("the process that made %s died; somebody else goes on", rendition_id)
            recordings.end_lease(rendition_id, owner, now)
        elif kind is FIRST:
            first_busy = True
    for piece_id, owner in pieces.leases_held(now):
        if alive.is_dead(owner):
            log.warning("the process that worked on piece %s died; somebody else goes on", piece_id)
            pieces.end_lease(piece_id, owner, now)
    files = [work for one in recordings.next_renditions(now, LIMIT) if (work := recordings.work(one)) is not None]
    voices = [Next(VOICE, work.rendition_id) for work in files if work.kind in presets.VOICE_KINDS]
    if first_busy or any(work.kind is FIRST for work in files):
        return voices
    plans.lay_out(now)
    # A pack is made of the voice; it is work for the places of pictures, as it looks through the picture.
    others = [work for work in files if work.kind not in presets.VOICE_KINDS]
    others = [work for work in others if work.kind is not Kind.PACK or recordings.voice_is_over(work.recording_id)]
    ready = [Next(PICTURE, work.rendition_id) for work in others]
    return voices + ready + [Next(PICTURE, piece_id=one) for one in pieces.next_pieces(now, LIMIT)]


def work_on(settings: Settings, sort: str, tell: Callable[[], None]) -> bool:
    """Make what there is of one sort, if this worker has a place free for it; tell whether any work was done.

    A message says no more than that there is work; the database says what comes first by now. `tell` sends messages to
    others when there is work for them too.
    """
    with slots.place(alive.worker_scope(), sort, _places(settings, sort)) as number:
        until_s, done = time.monotonic() + KEEP_ON_S, False
        while (
            number is not None
            and not alive.is_stopping()
            and time.monotonic() < until_s
            and number < _places(settings, sort)
            and _one(settings, sort, tell)
        ):
            done = True
    return done


def _places(settings: Settings, sort: str) -> int:
    """Say how many may work on one sort at a time by now; a lesson that goes live takes a place away."""
    if sort != PICTURE:
        return 1
    live = alive.is_lesson_live(settings.redis_url)
    return slots.pictures(settings.worker_processes, slots.processors(), live=live)


def _one(settings: Settings, sort: str, tell: Callable[[], None]) -> bool:
    """Take the first thing of a sort that can be had and make an attempt at it; False where there is none."""
    owner = alive.lease_owner()
    for one in next_up():
        if one.sort != sort:
            continue
        if one.piece_id:
            piece = pieces.work(one.piece_id)
            if piece is not None and pieces.take(one.piece_id, owner, database.utc_now()) is Verdict.TAKE:
                piecework.work_on(settings, owner, piece, tell)
                return True
        else:
            work = recordings.work(one.rendition_id)
            if work is not None and recordings.take(one.rendition_id, owner, database.utc_now()) is Verdict.TAKE:
                FileAttempt(settings, owner, work).make()
                return True
    return False


def tidy(settings: Settings) -> None:
    """Remove what is left of work that ended early or is no longer wanted: folders, pieces, files in storage."""
    remove_abandoned(settings)
    storage = Files(settings.storage_url)
    gone = []
    for piece_id, key in pieces.dropped(LIMIT * 4):
        _remove(storage, key)
        gone.append(piece_id)
    if gone:
        pieces.forget(gone)
    for rendition_id, key in recordings.leftovers(LIMIT):
        _remove(storage, key)
        recordings.forget_leftover(rendition_id, key)


def _remove(storage: Files, key: str) -> None:
    if key:
        storage.remove_unfinished_of(key)
        storage.delete(key)


@dataclass(frozen=True, slots=True)
class Made:
    """A finished, verified file that is not published yet."""

    path: Path
    sha256: str
    duration_s: float
    picture: presets.Picture | None


class FileAttempt(Attempt):
    """One attempt at one file."""

    def __init__(self, settings: Settings, owner: str, work: Work) -> None:
        name = f"{work.kind.value} of recording {work.recording_id}, attempt {work.attempts + 1}"
        super().__init__(settings, owner, name)
        self.work = work

    def make(self) -> None:
        """Make the file and publish it; what that leaves behind is removed."""
        maker: Callable[[FileAttempt, Path], Made] = _join if self.work.kind in presets.VIDEO_KINDS else _voice
        if self.work.kind is Kind.PACK:
            maker = _pack

        def body(folder: Path) -> None:
            room = space.room_for(self.settings, 0, Task.ENCODE)
            if not room.fits:
                raise Refused("disk_full", f"{room.missing_bytes} bytes more must be free")
            _publish(self, maker(self, folder))

        self.run(body)
        tidy(self.settings)

    def note(self, stage: str, percent: float, eta_s: float | None) -> bool:
        """Tell the database and open pages."""
        work = self.work
        state = RenditionState.VERIFYING if stage in (VERIFY, PUBLISH) else RenditionState.ENCODING
        how_far = {"state": state, "stage": stage, "percent": percent, "eta_s": eta_s}
        kept = recordings.progress(work.rendition_id, self.owner, database.utc_now(), **how_far)
        if kept:
            self.announce(**how_far)
        return kept

    def release(self) -> None:
        """Give the file back uncounted."""
        recordings.release(self.work.rendition_id, self.owner)

    def bury(self) -> None:
        """Give the file back as after a death."""
        recordings.end_lease(self.work.rendition_id, self.owner, database.utc_now())

    def fail(self, code: str, *, permanent: bool) -> None:
        """Give the file back with a reason, or leave it failed."""
        now = database.utc_now()
        delay_s = recordings.fail(self.work.rendition_id, self.owner, now, code, permanent=permanent)
        self.announce(RenditionState.FAILED if delay_s is None else RenditionState.WAITING, eta_s=delay_s)

    def announce(
        self, state: RenditionState, stage: str = "", percent: float = 0.0, eta_s: float | None = None
    ) -> None:
        """Tell open pages."""
        work = self.work
        announce(self.settings, work.session_id, work.recording_id, work.kind, state, stage, percent, eta_s)


def _voice(attempt: FileAttempt, folder: Path) -> Made:
    """Encode the whole sound and verify what came out."""
    work = attempt.work
    target = folder / f"made.{presets.CONTAINERS[work.kind].extension}"
    line = _sound(attempt, work.kind, target)
    checked = _decoded(attempt, target, line)
    found = plan.faults(checked, line, None)
    if found or checked.audio_s is None:
        raise Refused("damaged", "; ".join(found) or "there is no sound in it")
    return Made(target, _sha256(target), checked.audio_s, None)


def _sound(attempt: FileAttempt, kind: Kind, target: Path, thrifty: VoicePlan | None = None) -> plan.Timeline:
    """Encode the sound of a recording as one kind of voice; what is heard on the way is kept for its other files."""
    work = attempt.work
    attempt.report(FETCH)
    with sources.fetched(attempt.settings, work.segments, lambda done: attempt.report(FETCH, done)) as paths:
        kept = plans.current(work.plan)
        line = planning.timeline(kept, paths, work.segments)
        heard = planning.heard(kept, paths, line, lambda done: attempt.report(LISTEN, done))
        if heard is None:
            raise Refused("no_sound_or_picture", "there is no sound in it", permanent=True)
        if "heard" not in kept:
            found = {"heard": planning.told(heard), "line": plan.to_json(line)}
            plans.note(work.recording_id, database.utc_now(), **found)
        job = encoder.SoundJob(kind, paths, line, thrifty or planning.voice_of(heard), target)
        began_s = time.monotonic()

        def on_progress(made_s: float) -> None:
            done = made_s / line.duration_s
            attempt.report(ENCODE, done, plan.eta_s(done, time.monotonic() - began_s))

        attempt.report(ENCODE)
        encoder.run(job, plan.time_limit_s(kind, line.duration_s), on_progress, threads=1)
    return line


def _pack(attempt: FileAttempt, folder: Path) -> Made:
    """Make a lesson pack of what is published and of what people added, and read it whole."""
    work, settings = attempt.work, attempt.settings
    deck = materials.deck(work.session_id)
    if deck is not None and deck.state == "waiting":
        decks.prepare(settings, deck)
        deck = materials.deck(work.session_id)
    attempt.report(FETCH)
    with sources.fetched(settings, work.segments, lambda done: attempt.report(FETCH, done)) as paths:
        line = planning.timeline(plans.current(work.plan), paths, work.segments)
        pages = tuple(deck.pages) if deck is not None else ()
        lesson = pack.Lesson(work.recording_id, work.session_id, paths, line, pages)
        storage = Files(settings.storage_url)
        path, length_s = pack.make(storage, lesson, folder, lambda done: attempt.report(ENCODE, done))
    attempt.report(VERIFY)
    found = pack.faults(path, length_s, folder)
    if found:
        raise Refused("damaged", "; ".join(found))
    return Made(path, _sha256(path), length_s, None)


def _join(attempt: FileAttempt, folder: Path) -> Made:
    """Put the stretches of a picture together with the sound, and verify what came out."""
    work = attempt.work
    try:
        kept = plans.current(work.plan)
        line, picture = plan.from_json(kept.get("line", {})), planning.picture_of(kept, work.kind)
    except (ValueError, LookupError) as trouble:
        plans.forget(work.recording_id)
        raise Refused("damaged", f"the plan cannot be read any more and is made anew: {trouble!r}") from trouble
    target = folder / "made.mp4"
    storage = Files(attempt.settings.storage_url)
    attempt.report(FETCH)
    with ExitStack() as held:
        parts = []
        for made in pieces.made(work.rendition_id):
            path = held.enter_context(storage.local_path(made.key, folder))
            if _sha256(path) != made.sha256:
                pieces.redo(made.id, made.sha256)
                raise Refused("damaged", f"{made.key} is not what was put there")
            parts.append(joining.Part(path, made.first_frame, made.frames))
            attempt.report(FETCH)
        sound = _sound_beside(attempt, folder, held) if line.has_audio else None
        try:
            rate = plan.rate_of(picture.fps)
            joining.join(parts, sound, target, rate, lambda done: attempt.report(ENCODE, done))
        except ValueError as trouble:
            raise Refused("damaged", str(trouble)) from trouble
    frames = cutting.frame_count(line.duration_s, picture.fps)
    checked = _decoded(attempt, target, line)
    found = plan.joined_faults(checked, line, picture, frames)
    if found:
        raise Refused("damaged", "; ".join(found))
    return Made(target, _sha256(target), max(checked.audio_s or 0.0, checked.video_s or 0.0), picture)


def _sound_beside(attempt: FileAttempt, folder: Path, held: ExitStack) -> Path:
    """Take the published voice as the picture's sound; where there is none, or the plan says otherwise, encode it."""
    work = attempt.work
    kind, kept = VOICE_OF[work.kind], plans.current(work.plan)
    thrifty = planning.lesson_of(kept).voice if work.kind is Kind.VIDEO_SMALL else None
    fits = thrifty is None or ("heard" in kept and planning.voice_of(Heard(**kept["heard"])) == thrifty)
    voice = recordings.published(work.recording_id, kind) if fits else None
    if voice is not None:
        path = held.enter_context(Files(attempt.settings.storage_url).local_path(voice.key, folder))
        if _sha256(path) == voice.sha256:
            return path
        log.warning("%s: the published voice is damaged in storage; its sound is encoded again", attempt.name)
    target = folder / f"sound.{presets.CONTAINERS[kind].extension}"
    _sound(attempt, kind, target, thrifty)
    return target


def _decoded(attempt: FileAttempt, path: Path, line: plan.Timeline) -> plan.MadeFacts:
    attempt.report(VERIFY)
    live = alive.is_lesson_live(attempt.settings.redis_url)
    threads = slots.threads(1, slots.processors(), live=live)
    return probe.decode(path, lambda at_s: attempt.report(VERIFY, at_s / line.duration_s), threads=threads)


def _publish(attempt: FileAttempt, made: Made) -> None:
    """Put the file into storage under a name made of its content, then let the database decide who won."""
    work, container = attempt.work, presets.CONTAINERS[attempt.work.kind]
    attempt.report(PUBLISH)
    key = f"recordings/{work.recording_id}/{work.kind.value}-{made.sha256[:16]}.{container.extension}"
    storage = Files(attempt.settings.storage_url)
    if work.left_key:
        storage.remove_unfinished_of(work.left_key)
        if work.left_key != key:
            storage.delete(work.left_key)
    if not recordings.intend(work.rendition_id, attempt.owner, key):
        raise LeaseLost
    before = recordings.former_key(work.rendition_id)
    stored = storage.put(made.path, key)
    if stored.sha256 != made.sha256:
        raise Refused("storage", "the file changed on its way into storage")
    file = PublishedFile(
        key=key,
        content_type=container.content_type,
        bytes=stored.bytes,
        sha256=stored.sha256,
        duration_s=made.duration_s,
        width=made.picture.width if made.picture else None,
        height=made.picture.height if made.picture else None,
        fps=made.picture.fps if made.picture else None,
    )
    if not recordings.publish(work.rendition_id, attempt.owner, database.utc_now(), file):
        # The winner's file may be the same to the last byte, and then this is its key too.
        if not recordings.is_wanted(work.rendition_id, key):
            storage.delete(key)
        raise LeaseLost
    if before and before != key:
        storage.delete(before)
    attempt.announce(RenditionState.PUBLISHED, percent=100.0, eta_s=0.0)
    try:
        chunklists.keep(storage, key, chunklists.digest(made.path))
    except OSError as trouble:  # it is made when it is first asked for
        log.warning("no list of chunks beside %s: %s", key, trouble)
    log.info("published %s of recording %s: %d bytes", work.kind.value, work.recording_id, stored.bytes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
