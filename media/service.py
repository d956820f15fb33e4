"""All rooms of one media process: limits, time, what is told to the registry, what is resumed after a restart."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from media.answer import LocalTransport, VoiceRequest
from media.linktest import LinkTests
from media.patching import Verdict, answer_restart, judge, parse_fragment
from media.recorder import Recorder, Resumable, recover
from media.recovery import seal_recovered
from media.room import Room
from media.rtc.port import MediaPort
from media.sdp import parse_offer
from media.viewer import Viewer, Who
from media.writer import NO_RESERVE
from rules.rungs import Mode
from rules.space import Reserve

logger = logging.getLogger(__name__)

TICK_S = 0.02
"""The pacer passes over all viewers this often: a picture packet of 500 bytes is 60 ms of a 64 kbit/s link."""
PORT_TICK_S = 0.1
RESUME_CHECK_S = 5.0
MAX_ROOMS = 500
EVENT_SPACING_S = 0.5
"""A room's state is told at most this often: forty schools that join at once are few events."""
STATE_EVERY_S = 5.0

Publish = Callable[[str, dict], None]


class NotLive(Exception):
    """The session has no room."""


class Full(Exception):
    """There is no place for one more viewer or room."""


class UnknownResource(Exception):
    """No session by that name."""


class Precondition(Exception):
    """A PATCH whose If-Match is missing (428) or does not hold (412); `status` says which."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Created:
    """What the control port answers for an offer. The etag names the ICE session (RFC 9725 4.3)."""

    resource: str
    answer: str
    etag: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """What the control port answers for an ICE restart."""

    fragment: str
    etag: str


class Service:
    """The rooms. Everything runs on one event loop; nothing here waits for a disk or a network."""

    def __init__(
        self,
        port: MediaPort,
        addresses: tuple[str, ...],
        live_folder: Path,
        max_viewers: int,
        grace_s: float,
        max_lesson_hours: float,
        publish: Publish,
        reserve: Reserve = NO_RESERVE,
    ) -> None:
        self.port = port
        self.rooms: dict[str, Room] = {}
        self.link_tests = LinkTests(port, addresses)
        self.tick_faults = 0
        self._addresses = addresses
        self._live_folder = live_folder
        self._max_viewers = max_viewers
        self._grace_s = grace_s
        self._max_lesson_hours = max_lesson_hours
        self._publish = publish
        self._reserve = reserve
        self._resumable: dict[str, Resumable] = {}
        self._unix_offset_s = time.time() - port.clock()
        self._sealing: set[Future] = set()
        self._closing: set[asyncio.Task] = set()
        self._changed: dict[str, float] = {}
        self._told_s: dict[str, float] = {}

    def unix_s(self, now_s: float) -> float:
        """Turn the port's clock into Unix seconds; steady, whatever happens to the wall clock."""
        return now_s + self._unix_offset_s

    def recover(self) -> None:
        """Find what the last process left behind; call once, before the control port opens."""
        self._live_folder.mkdir(parents=True, exist_ok=True)
        self._resumable = recover(self._live_folder, time.time(), self._grace_s)

    # The control port's calls.

    def host(self, session: str, sdp: str) -> Created:
        """Answer a host. Raises SdpError, Full."""
        offer = parse_offer(sdp)
        room = self.rooms.get(session)
        fresh = room is None
        if fresh:
            if len(self.rooms) >= MAX_ROOMS:
                raise Full
            room = Room(session, self.port, self._recorder, self, self._grace_s, self.unix_s)
        host, answer = room.offer_host(offer, self._addresses, VoiceRequest())
        if fresh:
            self.rooms[session] = room
            self.room_changed(room)
        return Created(host.resource, answer, host.peer.ufrag)

    def viewer(self, session: str, sdp: str, who: Who) -> Created:
        """Answer a viewer. Raises NotLive, Full, SdpError."""
        room = self.rooms.get(session)
        if room is None:
            raise NotLive
        offer = parse_offer(sdp)
        if self.viewers >= self._max_viewers:
            raise Full
        viewer, answer = room.offer_viewer(offer, self._addresses, who)
        return Created(viewer.resource, answer, viewer.peer.ufrag)

    @property
    def viewers(self) -> int:
        """Places taken, those who are still connecting included."""
        return sum(len(room.viewers) for room in self.rooms.values())

    def patch(self, session: str, resource: str, text: str, if_match: str | None) -> Restarted | None:
        """Restart ICE where a fragment asks for it; None where it changes nothing.

        DTLS, SRTP and media go on. Raises UnknownResource, BadFragment, Precondition.
        """
        _room, member = self._find(session, resource)
        peer = member.peer
        fragment = parse_fragment(text)
        verdict = judge(fragment, if_match, peer.ufrag, peer.remote_ufrag)
        if verdict is Verdict.NOTHING:
            return None
        if verdict is not Verdict.RESTART:
            raise Precondition(verdict.value)
        peer.restart(fragment.ufrag)
        local = LocalTransport(peer.ufrag, peer.password, peer.identity.fingerprint, self._addresses, self.port.number)
        return Restarted(answer_restart(fragment, local), peer.ufrag)

    def standing(self, session: str, resource: str, mode: Mode | None) -> dict:
        """Tell a viewer what it gets and why, after taking its choice. Raises UnknownResource, also for a host."""
        _room, member = self._find(session, resource)
        if not isinstance(member, Viewer):
            raise UnknownResource
        if mode is not None:
            member.prefer(mode)
        return member.standing()

    def leave(self, session: str, resource: str) -> str:
        """Remove a session; return "host", "spare" or "viewer" (Room.leave). Raises UnknownResource."""
        room, member = self._find(session, resource)
        return room.leave(member)

    def _find(self, session: str, resource: str):
        room = self.rooms.get(session)
        member = room.resource(resource) if room is not None else None
        if member is None:
            raise UnknownResource
        return room, member

    def end(self, session: str) -> None:
        """End a lesson. Raises UnknownResource where there is no room."""
        room = self.rooms.get(session)
        if room is None:
            raise UnknownResource
        room.end("ended")

    # What rooms tell.

    def room_changed(self, room: Room) -> None:
        """Remember to tell of a room's state."""
        self._changed.setdefault(room.session, self.port.clock())

    def room_ended(self, room: Room, sealed: Future | None) -> None:
        """Forget a room; its recording is sealed on the writer's thread."""
        if self.rooms.get(room.session) is room:
            del self.rooms[room.session]
        self._changed.pop(room.session, None)
        self._told_s.pop(room.session, None)
        if sealed is not None:
            self._sealing.add(sealed)
        if room.ladder.encoding:
            task = asyncio.get_running_loop().create_task(room.ladder.close(), name=f"encoder of {room.session}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        # A host who never got through is no lesson that ended: it may try again from another network.
        if room.state == "ended" and room.was_live:
            self._publish(room.session, {"type": "ended"})

    def _recorder(self, session: str, now_s: float) -> Recorder:
        """Resume the session's recording where there is one, else begin a new one."""
        left = self._resumable.pop(session, None)
        if left is not None:
            logger.info("room %s: recording %s goes on", session, left.identity.recording)
            return Recorder.resume(left, self._max_lesson_hours, self._reserve)
        recording = secrets.token_hex(6)
        return Recorder(self._live_folder, session, recording, now_s, self._max_lesson_hours, self._reserve)

    # Time.

    async def run(self) -> None:
        """Give rooms and port their time, until cancelled."""
        port_s = resume_s = 0.0
        while True:
            now_s = self.port.clock()
            for room in list(self.rooms.values()):
                try:
                    room.tick(now_s)
                except Exception:
                    # The boundary of one room: its fault must not stop the clock of the others.
                    self.tick_faults += 1
                    logger.exception("fault in room %s", room.session)
            self._measure(now_s)
            if now_s - port_s >= PORT_TICK_S:
                port_s = now_s
                self.port.tick(now_s)
                self._tell(now_s)
            self.port.batch.flush()
            if now_s - resume_s >= RESUME_CHECK_S:
                resume_s = now_s
                await self._seal_unresumed()
            await asyncio.sleep(max(0.001, TICK_S - (self.port.clock() - now_s)))

    def _measure(self, now_s: float) -> None:
        try:
            self.link_tests.tick(now_s)
        except Exception:
            # Another boundary: no fault of a measurement reaches the lessons.
            self.tick_faults += 1
            logger.exception("fault in a measurement of a link")

    def _tell(self, now_s: float) -> None:
        """Publish states that have changed, and every room's now and then: events are hints, and hints get lost."""
        for session, room in self.rooms.items():
            last_s = self._told_s.get(session, 0.0)
            if (session in self._changed and now_s - last_s >= EVENT_SPACING_S) or now_s - last_s >= STATE_EVERY_S:
                self._changed.pop(session, None)
                self._told_s[session] = now_s
                self._publish(session, {"type": "state", "room": room.summary(with_list=False)})

    async def _seal_unresumed(self) -> None:
        """Seal recordings of an earlier process whose host has not come back in time."""
        for session, left in list(self._resumable.items()):
            room = self.rooms.get(session)
            if time.time() - left.last_s > self._grace_s and (room is None or room.state != "live"):
                del self._resumable[session]
                try:
                    await asyncio.to_thread(seal_recovered, left)
                except OSError as error:
                    logger.error("recording %s could not be sealed: %s", left.identity.recording, error)
        for future in [f for f in self._sealing if f.done()]:
            self._sealing.discard(future)
            if future.exception() is not None:
                logger.error("a recording could not be sealed: %s", future.exception())

    async def stop(self, timeout_s: float) -> None:
        """Leave every lesson so that the next process can go on with it; wait for the disk, but not for ever."""
        for room in list(self.rooms.values()):
            room.suspend()
        waiting = [asyncio.wrap_future(future) for future in self._sealing if not future.done()] + [*self._closing]
        if waiting:
            _done, late = await asyncio.wait(waiting, timeout=timeout_s)
            if late:
                logger.error(
                    "%d recordings were not finished in %s s; the next start cuts them back", len(late), timeout_s
                )
