"""Write a recording's folder on a thread of its own, so that a slow disk never holds up a lesson."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import av

from media.manifest import (
    ATTENDANCE_FILE,
    MANIFEST_FILE,
    RECORDING_FILE,
    VERSION,
    Segment,
    SegmentHead,
    Stay,
    manifest,
    segment_name,
    to_line,
)
from media.parts import BrokenContainer
from media.remux import Sample, SegmentFile
from rules import space
from rules.space import Disk, Reserve, Work

log = logging.getLogger(__name__)

MAX_QUEUED_SAMPLES = 4000
MAX_QUEUED_BYTES = 16 * 1024 * 1024
"""About a minute of a lesson. The queue's drop policy: a frame that no longer fits is dropped, as the newest; orders to
open, close and seal always fit. The recorder then waits for a keyframe."""
MAX_SEGMENTS = 1000
ROOM_EVERY_BYTES = 1_000_000
"""The disk is asked for room this often: half a minute of a lesson at 256 kbit/s."""
GATHER_S = 0.1
"""Frames are taken so often, all that are there: to wake this thread for each of them disturbs the loop of all viewers.
A killed process loses so much more at most."""


NO_RESERVE = Reserve(0, 0.0)


@dataclass(slots=True)
class Identity:
    """What recording this is, and what an earlier process wrote of it. Times are Unix seconds."""

    session: str
    recording: str
    started_at: float
    segments: list[Segment] = field(default_factory=list)
    next_number: int = 1


class Writer:
    """Take orders from the event loop and carry them out in order on one thread.

    `failure` is the text of what stopped the writing (a full disk, a refused file), None while all is well, and
    `disk_full` tells the one from the other; a later `open_segment` tries again. `reserve` is what the disk keeps
    free. `dead_segment` is the number of the last segment that ended by itself.
    """

    def __init__(self, folder: Path, identity: Identity, reserve: Reserve = NO_RESERVE) -> None:
        self.folder = folder
        self.failure: str | None = None
        self.disk_full = False
        self._reserve = reserve
        self._room_seen_at = 0
        self.dead_segment = 0
        self.dropped_samples = 0
        self._identity = identity
        self._segments = list(identity.segments)
        self._number = self._open_number = identity.next_number - 1
        self._file: SegmentFile | None = None
        self._finished = (sum(one.bytes for one in self._segments), sum(one.duration_s for one in self._segments))
        self._orders: deque[tuple[Callable, tuple]] = deque()
        self._wake = threading.Condition()
        self._queued_samples = self._queued_bytes = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f"recording-{identity.recording}", daemon=True)
        self._thread.start()
        self._order(self._make_folder)

    @property
    def bytes(self) -> int:
        """Return how much is on disk in whole parts."""
        file = self._file
        return self._finished[0] + (file.bytes if file is not None else 0)

    @property
    def seconds(self) -> float:
        """Return how much time is on disk in whole parts."""
        file = self._file
        return self._finished[1] + (file.end_s if file is not None else 0.0)

    def open_segment(self, head: SegmentHead, stereo: bool) -> int:
        """Close the present segment and begin the next; return its number."""
        self._number += 1
        self._order(self._open, self._number, head, stereo)
        return self._number

    def sample(self, sample: Sample) -> bool:
        """Queue a frame; false when the queue is full and the frame was dropped."""
        with self._wake:
            if self._queued_samples >= MAX_QUEUED_SAMPLES or self._queued_bytes + len(sample.data) > MAX_QUEUED_BYTES:
                self.dropped_samples += 1
                return False
            self._queued_samples += 1
            self._queued_bytes += len(sample.data)
            self._orders.append((self._write, (sample,)))
        return True

    def video_delay(self, delay_s: float) -> None:
        """Note the picture's delay in the parts to come."""
        self._order(self._set_delay, delay_s)

    def close_segment(self) -> None:
        """Finish the present segment, if there is one."""
        self._order(self._close)

    def attendance(self, stay: Stay) -> None:
        """Append a line to the attendance."""
        self._order(self._append_stay, stay)

    def seal(self, reason: str, ended_at: float | None, stays: list[Stay]) -> Future[Path | None]:
        """Finish everything and write the manifest; `ended_at` None stands for the end of the last segment.

        The future gives the manifest's path, None when nothing had been recorded (the folder is gone then), or OSError.
        """
        return self._last_order(self._seal, reason, ended_at, stays)

    def suspend(self) -> Future[None]:
        """Finish the present segment and stop without a manifest: another process may resume."""
        return self._last_order(self._close)

    def _order(self, carry_out: Callable, *arguments: object) -> None:
        with self._wake:
            self._orders.append((carry_out, arguments))
            self._wake.notify()

    def _last_order(self, carry_out: Callable, *arguments: object) -> Future:
        future: Future = Future()
        self._order(self._finish, future, carry_out, arguments)
        return future

    def _run(self) -> None:
        while not self._stopped:
            with self._wake:
                while not self._orders:
                    self._wake.wait(GATHER_S)
                carry_out, arguments = self._orders.popleft()
                if carry_out == self._write:
                    self._queued_samples -= 1
                    self._queued_bytes -= len(arguments[0].data)
            try:
                carry_out(*arguments)
            except OSError as error:
                self._disk_refused(error)
            except Exception:
                # The thread's boundary: one broken frame or order must not end the recording of a lesson.
                log.exception("recording %s: order %s failed", self._identity.recording, carry_out.__name__)
                self._drop_segment()

    def _finish(self, future: Future, carry_out: Callable, arguments: tuple) -> None:
        self._stopped = True
        try:
            future.set_result(carry_out(*arguments))
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the future
            self._disk_refused(error)
            future.set_exception(error)

    def _disk_refused(self, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        self.disk_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        log.error("recording %s stopped: %s", self._identity.recording, self.failure)
        file, self._file = self._file, None
        if file is not None:
            self.dead_segment = self._open_number
            try:
                self._finished_segment(file.give_up())
            except OSError as again:
                log.error("recording %s: the segment could not be cut back: %s", self._identity.recording, again)
                self._finished_segment(file.summary())

    def _drop_segment(self) -> None:
        """End a segment whose muxer failed; its whole parts stay."""
        file, self._file = self._file, None
        if file is not None:
            self.dead_segment = self._open_number
            self._finished_segment(file.finish(muxer_failed=True))

    def _finished_segment(self, segment: Segment | None) -> None:
        if segment is not None:
            self._segments.append(segment)
            self._finished = (self._finished[0] + segment.bytes, self._finished[1] + segment.duration_s)

    def _make_folder(self) -> None:
        path = self.folder / RECORDING_FILE
        if path.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {
            "version": VERSION,
            "session": self._identity.session,
            "recording": self._identity.recording,
            "started_at": self._identity.started_at,
        }
        write_by_rename(path, about)

    def _open(self, number: int, head: SegmentHead, stereo: bool) -> None:
        self._close()
        self._open_number = number
        try:
            if len(self._segments) >= MAX_SEGMENTS:
                raise OSError(f"the host began anew {MAX_SEGMENTS} times")
            self._require_room(Work.RECORDED if self._segments else Work.RECORDING)
            self._make_folder()
            self._file = SegmentFile(self.folder / segment_name(number, head.container), head, stereo)
        except (OSError, av.FFmpegError):
            self.dead_segment = number
            raise
        self.failure = None

    def _write(self, sample: Sample) -> None:
        if self._file is None:
            return
        if self._file.bytes >= self._room_seen_at + ROOM_EVERY_BYTES:
            self._require_room(Work.RECORDED)
        try:
            self._file.write(sample)
        except (av.FFmpegError, BrokenContainer) as error:
            log.warning("recording %s: the muxer refused a frame: %s", self._identity.recording, error)
            self._drop_segment()

    def _require_room(self, work: Work) -> None:
        """Ask the disk whether this may be written; raises OSError (ENOSPC) before the disk itself does.

        The last bytes are the database's: with them, everything else goes on while nothing is recorded.
        """
        self._room_seen_at = self._file.bytes if self._file is not None else 0
        usage = shutil.disk_usage(self.folder.parent if self.folder.parent.exists() else self.folder.parents[1])
        if not space.room(Disk("live", usage.total, usage.free), self._reserve, work, 0).fits:
            raise OSError(errno.ENOSPC, "No space left but the reserve")

    def _set_delay(self, delay_s: float) -> None:
        if self._file is not None:
            self._file.video_delay_s = delay_s

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            self._finished_segment(file.finish())
        except (av.FFmpegError, BrokenContainer) as error:
            log.warning("recording %s: the muxer refused the last part: %s", self._identity.recording, error)
            self._finished_segment(file.summary())

    def _append_stay(self, stay: Stay) -> None:
        with open(self.folder / ATTENDANCE_FILE, "a", encoding="utf-8") as file:
            file.write(to_line(stay))

    def _seal(self, reason: str, ended_at: float | None, stays: list[Stay]) -> Path | None:
        self._close()
        return seal_folder(self.folder, self._identity, self._segments, reason, ended_at, stays)


def seal_folder(
    folder: Path, identity: Identity, segments: list[Segment], reason: str, ended_at: float | None, stays: list[Stay]
) -> Path | None:
    """Write the manifest, or remove a folder in which nothing was recorded. Raises OSError."""
    if not segments:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return None
    path = folder / MANIFEST_FILE
    end = ended_at if ended_at is not None else segments[-1].ended_at
    content = manifest(identity.session, identity.recording, identity.started_at, end, reason, segments, stays)
    write_by_rename(path, content)
    return path


def write_by_rename(path: Path, content: dict) -> None:
    """Write JSON so that the name never stands for half of it, not even after a power cut."""
    temporary = path.with_suffix(".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
