"""A room: one lesson's host, its viewers, its recorder, and the one loop by which a packet reaches them all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from media.answer import LocalTransport, VoiceRequest, dtls_role, plan_host, plan_viewer
from media.host import Host
from media.ingest import Track, TrackPacket
from media.ladder import Ladder
from media.recorder import Recorder
from media.rtc.peer import Peer
from media.rtc.port import MediaPort
from media.rtp import RtpPacket
from media.sdp import Codec, Offer
from media.viewer import Viewer, Who

logger = logging.getLogger(__name__)

HOST_SILENCE_S = 3.0
WAITING_S = 60.0
"""A host that was answered and never sent anything gives the room back after this long."""
AUDIO_HZ, VIDEO_HZ = 48000, 90000
REPORTS_S = 0.25
"""How often viewers are looked through for sender reports that are due."""
MAX_PENDING_HOSTS = 3
"""Hosts answered and not yet connected; the oldest beyond this many is dismissed."""


class Observer(Protocol):
    """What a room tells its service."""

    def room_changed(self, room: Room) -> None: ...
    def room_ended(self, room: Room, sealed: Future | None) -> None: ...


class Room:
    """One session's lesson. `unix_s` turns the port's clock into Unix seconds that never step."""

    def __init__(
        self,
        session: str,
        port: MediaPort,
        make_recorder: Callable[[str, float], Recorder],
        observer: Observer,
        grace_s: float,
        unix_s: Callable[[float], float],
    ) -> None:
        self.session = session
        self.state = "waiting"
        self.codec: Codec | None = None
        self.viewers: dict[str, Viewer] = {}
        self.recorder: Recorder | None = None
        self._port = port
        self._make_recorder = make_recorder
        self._observer = observer
        self._grace_s = grace_s
        self._unix_s = unix_s
        self._host: Host | None = None
        self._pending: list[Host] = []
        self._tracks = {"audio": Track("audio", AUDIO_HZ), "video": Track("video", VIDEO_HZ)}
        self._since_s = port.clock()
        self._heard_s = 0.0
        self._ended = False
        self._codec_known = False
        self.ladder = Ladder(port, self._tracks, self._ask_keyframe, self._list_streams)
        self._beginning: list[Viewer] = []
        self._reports_s = 0.0

    # Offers.

    def offer_host(self, offer: Offer, addresses: tuple[str, ...], voice: VoiceRequest) -> tuple[Host, str]:
        """Answer a host. It takes the room over when it is connected, not before. Raises NoCommonCodec."""
        plan = plan_host(offer, self.codec)
        host = Host(self._port, plan, self)
        text = host.answer(offer, self._local(host.peer, addresses), voice)
        host.peer.accept(dtls_role(offer), offer.fingerprints, offer.ufrag)
        self._pending.append(host)
        if len(self._pending) > MAX_PENDING_HOSTS:
            self._pending[0].peer.close("replaced")
        if not self._codec_known:
            self.codec = plan.video.codec if plan.video is not None else None
        return host, text

    def offer_viewer(self, offer: Offer, addresses: tuple[str, ...], who: Who) -> tuple[Viewer, str]:
        """Answer a viewer. Raises NoCommonCodec."""
        plan = plan_viewer(offer, self.codec)
        tracks = (self._tracks["audio"], self._tracks["video"])
        codec = _name(self.codec)
        viewer = Viewer(self._port, who, plan, tracks, codec, self._viewer_changed, self._ask_keyframe)
        text = viewer.answer(offer, self._local(viewer.peer, addresses))
        viewer.peer.accept(dtls_role(offer), offer.fingerprints, offer.ufrag)
        self.viewers[viewer.resource] = viewer
        return viewer, text

    def _local(self, peer: Peer, addresses: tuple[str, ...]) -> LocalTransport:
        return LocalTransport(peer.ufrag, peer.password, peer.identity.fingerprint, addresses, self._port.number)

    def resource(self, name: str) -> Host | Viewer | None:
        """Find a session of this room by its resource name."""
        hosts = [*self._pending, *([self._host] if self._host is not None else [])]
        return self.viewers.get(name) or next((host for host in hosts if host.resource == name), None)

    # The host.

    def host_connected(self, host: Host, now_s: float) -> None:
        """Let the newest host take over; viewers of another picture codec are sent away and come back for it."""
        self._pending.remove(host)
        former, self._host = self._host, host
        if former is not None:
            former.peer.close("replaced")
        codec = host.plan.video.codec if host.plan.video is not None else None
        changed = self._codec_known and _name(codec) != _name(self.codec)
        self.codec, self._codec_known = codec, True
        if changed:
            self._tracks["video"] = Track("video", VIDEO_HZ)
        for track in self._tracks.values():
            track.restart()
        host.tracks = {
            kind: track
            for kind, track in self._tracks.items()
            if (host.plan.audio if kind == "audio" else host.plan.video) is not None
        }
        if changed or any(_promised_other(viewer, codec) for viewer in self.viewers.values()):
            for viewer in list(self.viewers.values()):
                if changed or _promised_other(viewer, codec):
                    viewer.peer.close("codec")
        self.ladder.host_connected(host, _name(codec), self._tracks["video"])
        if self.recorder is not None:
            self.recorder.host_connected(_name(codec), host.plan.audio is not None, self._unix_s(now_s))
        host.keyframes.ask(now_s)
        logger.info("room %s: host connected, video %s", self.session, _name(codec))

    def host_packet(self, host: Host, kind: str, packet: TrackPacket, now_s: float) -> None:
        """Send one packet of the host to everybody, then to the recorder."""
        if host is not self._host or self._ended:
            return
        self._heard_s = now_s
        if self.state != "live":
            self._went_live(now_s)
        self.ladder.host_packet(kind, packet, now_s)
        if packet.keyframe:
            self._begin_waiting_viewers(host.tracks["video"], now_s)
        if self.recorder is not None:
            self._record(host, kind, packet)

    def _record(self, host: Host, kind: str, packet: TrackPacket) -> None:
        plan = host.plan.audio if kind == "audio" else host.plan.video
        copy = RtpPacket(
            payload_type=plan.codec.payload_type,
            sequence=packet.number & 0xFFFF,
            timestamp=packet.timestamp,
            ssrc=host.tracks[kind].source,
            payload=b"" if packet.padding else packet.payload,  # it uses up a number, so the recorder must hear of it
            marker=packet.marker,
        )
        self.recorder.on_rtp(kind, copy, self._unix_s(packet.arrival_s))

    def host_clock(self, host: Host, kind: str, unix_s: float, timestamp: int) -> None:
        """Pass the host's clocks to the recorder."""
        if host is self._host and self.recorder is not None:
            self.recorder.on_sender_report(kind, unix_s, timestamp)

    def host_closed(self, host: Host, reason: str) -> None:
        """Take note that a host's connection is gone."""
        if host in self._pending:
            self._pending.remove(host)
        if host is self._host:
            self._host = None
            logger.info("room %s: host's connection ended (%s)", self.session, reason)
            self._lost(self._port.clock())

    def _went_live(self, now_s: float) -> None:
        returned = self.state == "host_lost"
        self._enter("live", now_s)
        if self.recorder is None:
            self.recorder = self._make_recorder(self.session, self._unix_s(now_s))
            codec, audio = self._host.plan.video, self._host.plan.audio
            name = codec.codec.name if codec is not None else None
            self.recorder.host_connected(name, audio is not None, self._unix_s(now_s))
            for viewer in self.viewers.values():
                if viewer.peer.connected:
                    self._attend(viewer, now_s)
        elif returned:
            logger.info("room %s: host is back", self.session)

    def _lost(self, now_s: float) -> None:
        if self.state == "live" and not self._ended:
            self._enter("host_lost", now_s)
            if self.recorder is not None:
                self.recorder.host_lost(self._unix_s(now_s))

    # The viewers.

    def _viewer_changed(self, viewer: Viewer, what: str) -> None:
        now_s = self._port.clock()
        if what == "connected":
            self.ladder.join(viewer, now_s)
            if self.recorder is not None:
                self._attend(viewer, now_s)
        else:
            self.viewers.pop(viewer.resource, None)
            self.ladder.leave(viewer)
            if self.recorder is not None and not self._here(viewer.who.key):
                self.recorder.viewer_left(viewer.who.key, self._unix_s(now_s))
        if not self._ended:
            self._list_streams()
            self._observer.room_changed(self)

    def _attend(self, viewer: Viewer, now_s: float) -> None:
        who = viewer.who
        self.recorder.viewer_joined(who.key, who.name, who.school, self._unix_s(now_s))

    def _here(self, key: str) -> bool:
        """Whether a person is still connected by another window."""
        return any(v.who.key == key and v.peer.connected for v in self.viewers.values())

    def _list_streams(self) -> None:
        """Make the lists over which every packet is fanned out; they change when viewers do, not with packets."""
        here = [viewer for viewer in self.viewers.values() if viewer.peer.connected]
        self.ladder.follow_unmeasured(v.forwarder.video.stream for v in here if v.live_video)
        self._beginning = [v for v in here if v.beginning]

    def _begin_waiting_viewers(self, track: Track, now_s: float) -> None:
        """Let everybody who waits for a picture begin with the keyframe that has just begun."""
        waiting = [viewer for viewer in self._beginning if viewer.needs_keyframe]
        if not waiting or track.gop is None:
            return
        for viewer in waiting:
            viewer.begin_with(track.gop, now_s)
        self._list_streams()

    def _ask_keyframe(self, now_s: float) -> None:
        if self._host is not None:
            self._host.keyframes.ask(now_s)

    # Time.

    @property
    def was_live(self) -> bool:
        """Whether the lesson has ever been on air."""
        return self.recorder is not None

    def tick(self, now_s: float) -> None:
        """Move on what depends on time; call every 20 ms."""
        self.ladder.tick(now_s)
        host = self._host
        if host is not None:
            if self.recorder is not None and self.recorder.wants_keyframe():
                host.keyframes.ask(now_s)
            host.tick(now_s)
        deaf = host is not None and host.keyframes.deaf
        if self._beginning:
            moved = [viewer.tick(now_s, deaf) for viewer in self._beginning]
            if any(moved) or not all(viewer.beginning for viewer in self._beginning):
                self._list_streams()
        if now_s - self._reports_s >= REPORTS_S:
            self._reports_s, wall_s = now_s, time.time()
            for viewer in self.viewers.values():
                viewer.report(wall_s, now_s)
            stopped = [viewer for viewer in self.viewers.values() if viewer.rest(now_s)]
            if stopped:
                self._list_streams()
        self._watch(now_s)

    def _watch(self, now_s: float) -> None:
        """Notice silence, and end what has waited long enough."""
        if self.state == "live" and now_s - self._heard_s > HOST_SILENCE_S:
            self._lost(now_s)
        if self.recorder is not None and self.recorder.sealed is not None:
            self.end("limit")
        patience_s = {"host_lost": self._grace_s, "waiting": WAITING_S}.get(self.state)
        if patience_s is not None and now_s - self._since_s > patience_s:
            self.end("host_lost")

    def _enter(self, state: str, now_s: float) -> None:
        self.state, self._since_s = state, now_s
        self._observer.room_changed(self)

    # The end.

    def leave(self, member: Host | Viewer) -> str:
        """Take a DELETE: a viewer goes, the room's host ends the lesson; return which it was.

        A host who waits beside another, or has been replaced, is "spare": its leaving ends nothing.
        """
        if isinstance(member, Viewer):
            member.peer.close("left")
            return "viewer"
        alone = self.state == "waiting" and self._host is None and self._pending == [member]
        if member is self._host or alone:
            self.end("host_left")
            return "host"
        member.peer.close("left")
        return "spare"

    def end(self, reason: str) -> None:
        """End the lesson: everybody is dismissed, the recording is sealed. Reasons are those of the manifest."""
        self._close("ended", lambda recorder, now_s: recorder.seal(reason, now_s), reason)

    def suspend(self) -> None:
        """Leave the lesson unfinished as the process goes down: the next one resumes the recording."""
        self._close("suspended", lambda recorder, now_s: recorder.suspend(now_s), "restart")

    def _close(self, state: str, finish: Callable[[Recorder, float], Future], reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        now_s = self._port.clock()
        for member in (*self.viewers.values(), *self._pending, *([self._host] if self._host is not None else [])):
            member.peer.close("ended")
        self.state = state
        sealed = None if self.recorder is None else finish(self.recorder, self._unix_s(now_s))
        logger.info("room %s: %s (%s)", self.session, state, reason)
        self._observer.room_ended(self, sealed)

    def summary(self, with_list: bool = True) -> dict:
        """Return the room state of docs/architecture.md."""
        here = [viewer for viewer in self.viewers.values() if viewer.peer.connected]
        host = self._host
        state = {
            "session": self.session,
            "state": self.state,
            "since": round(self._unix_s(self._since_s), 3),
            "viewers": len(here),
            "video_codec": _name(self.codec),
            "recording": self.recorder.status() if self.recorder is not None else None,
            "host": {"kbps": round(host.kbps, 1), "loss": round(host.loss, 4)} if host is not None else None,
        }
        if with_list:
            state["viewer_list"] = [
                {
                    "key": v.who.key,
                    "name": v.who.name,
                    "school": v.who.school,
                    "since": round(self._unix_s(v.since_s), 3),
                }
                for v in here
            ]
        return state


def _name(codec: Codec | None) -> str | None:
    return codec.name if codec is not None else None


def _promised_other(viewer: Viewer, codec: Codec | None) -> bool:
    """Whether a viewer was answered for a picture that the host does not send."""
    return viewer.plan.video is not None and codec is not None and viewer.host_codec != codec.name
