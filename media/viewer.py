"""A viewer: what it asks by RTCP, when its picture begins, and its end."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from media import draw, keyframes, patience, rtcp, twcc
from media.answer import ENCODED, LocalTransport, MediaPlan, answer_viewer
from media.cc.told import Told
from media.flow import Flow
from media.forward import Forwarder, Sending
from media.ingest import Gop, Track, TrackPacket
from media.rtc.crowd import SendStream
from media.rtc.port import MediaPort
from media.rtp import MalformedPacket, newer_stamp
from media.sdp import Codec, Offer
from media.source import Source
from rules.rungs import Mode, Rung, Why, begin

MOST_SHIFTED_TICKS, SHIFT_TICKS = 18_000, 90
"""A picture of another rung that is no newer than what was shown goes on with its clock shifted, by 0.2 s at most: the
next keyframe would take two seconds."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a viewer is: `key` is the person's or guest's, the rest is for showing."""

    key: str
    name: str
    school: str


class Viewer:
    """One WHEP session; tells its room that it is there, that it wants a keyframe, that it is gone."""

    def __init__(
        self,
        port: MediaPort,
        who: Who,
        plan: MediaPlan,
        tracks: tuple[Track, Track],
        host_codec: str | None,
        room_changed: Callable[[Viewer, str], None],
        ask_keyframe: Callable[[float], None],
    ) -> None:
        self.who = who
        self.resource = secrets.token_urlsafe(16)
        self.peer = port.peer(self)
        self.plan = plan
        self.malformed = 0
        self.since_s: float | None = None
        self.flow: Flow | None = None
        self.told: Told | None = None
        """What one who agreed to no transport-wide numbers says of his link."""
        self.rung = Rung.VOICE
        self.codecs: dict[str, Codec] = {} if plan.video is None else {c.name: c for c in plan.video.codecs}
        self.host_codec = host_codec
        """The codec of the host's pictures as it was when this viewer was answered."""
        self.low_codec = next((name for name in ENCODED if name in self.codecs), None)
        self._on: dict[str, Source | None] = {"audio": None, "video": None}
        self._waits_for: dict[str, Source | None] = {"audio": None, "video": None}
        self._room_changed = room_changed
        self._ask_keyframe = ask_keyframe
        self._waiting_since_s: float | None = None
        self._pli_s: float | None = None
        self._patient = False
        self._rest = keyframes.Rest()
        self._began_s = 0.0
        self._batch = port.batch
        self.ssrcs = draw.sources()
        audio_track, video_track = tracks
        self.forwarder = Forwarder(
            port.batch,
            self._sending("audio", plan.audio, audio_track),
            self._sending("video", plan.video, video_track),
            self._repair_stream(),
            draw.small_start(),
        )
        self.picture = None if self.forwarder.video is None else self.forwarder.video.stream

    def _sending(self, kind: str, plan, track: Track) -> Sending | None:
        if plan is None:
            return None
        stream = self.peer.stream(self.ssrcs[kind], plan.codec.payload_type, urgent=kind == "audio")
        return Sending(stream, track, draw.small_start(), clock=track)

    def _repair_stream(self):
        repairs = [codec.rtx for codec in self.codecs.values() if codec.rtx is not None]
        return self.peer.stream(self.ssrcs["rtx"], repairs[0]) if repairs else None

    def answer(self, offer: Offer, local: LocalTransport) -> str:
        """Write the answer to the viewer's offer."""
        return answer_viewer(offer, self.plan, local, self.ssrcs)

    @property
    def live_video(self) -> bool:
        """Whether the room's pictures go to this viewer as they come."""
        video = self.forwarder.video
        return self.unmeasured and video.begun is not None and not self.forwarder.replaying

    @property
    def needs_keyframe(self) -> bool:
        """Whether the viewer waits for a picture to begin with."""
        video = self.forwarder.video
        return self.unmeasured and video.begun is None and not self._rest.on

    @property
    def unmeasured(self) -> bool:
        """Whether the viewer gets the host's pictures without regard to a rate, as it says nothing about arrivals."""
        video = self.forwarder.video
        return self.peer.connected and video is not None and self.flow is None and self.host_codec in self.codecs

    def connected(self, now_s: float) -> None:
        """Begin: the voice with its next packet, the picture as `tick` decides."""
        self.since_s = now_s
        self._number_packets(now_s)
        self._room_changed(self, "connected")

    def _number_packets(self, now_s: float) -> None:
        """Give packets transport-wide numbers where the viewer has agreed to them; the estimate begins with that."""
        for plan, kind in ((self.plan.audio, "audio"), (self.plan.video, "video")):
            if plan is None or plan.transport_cc is None:
                continue
            self.flow = self.flow or Flow(now_s, books=self._batch.ledgers.open())
            for stream in self._streams(kind):
                stream.account(self.flow, plan.transport_cc << 4 | 1)
        if self.flow is None:
            self._stamp_packets()

    def _stamp_packets(self) -> None:
        """Listen to what a viewer tells by himself; give packets the moment of sending where he wants it for that."""
        self.told = Told()
        for plan, kind in ((self.plan.audio, "audio"), (self.plan.video, "video")):
            if plan is not None and plan.send_time is not None:
                for stream in self._streams(kind):
                    stream.account(self.told, plan.send_time << 4 | 2)

    def _streams(self, kind: str) -> list[SendStream]:
        sending: Sending | None = getattr(self.forwarder, kind)
        found = [sending and sending.stream, self.forwarder.repair if kind == "video" else None]
        return [stream for stream in found if stream is not None]

    def measure(self, now_s: float) -> None:
        """Go on by what he has told: it was less than what is sent."""
        self.flow = Flow(now_s, self.told)
        for stream in (*self._streams("audio"), *self._streams("video")):
            stream.account(self.flow, stream.extension)
        if self.forwarder.replaying:
            self.forwarder.stop_picture()

    def adopt(self, source: Source, now_s: float) -> None:
        """Take the pictures that were sent without regard to a rate for those of the best rung."""
        if self.forwarder.video.begun is None:
            return
        self._on["video"] = source
        source.streams.add(self.picture)
        self.rung = Rung.FULL
        self.flow.standing = begin(now_s, Rung.FULL)

    def unmeasure(self) -> None:
        """Go on without a rate: this viewer agreed to tell of arrivals and does not."""
        self._close_books()
        self.flow, self.told = None, Told()
        forwarder = self.forwarder
        for stream in (*self._streams("audio"), *self._streams("video")):
            stream.account(None, 0)
        self.silence("video")
        if forwarder.video is not None:
            self._take_codec(self.plan.video.codec)
            forwarder.video.track = forwarder.video.clock

    def _take_codec(self, codec: Codec) -> None:
        self.forwarder.video.stream.carry(codec.payload_type)
        if codec.rtx is not None:
            self.forwarder.repair.carry(codec.rtx)

    # From one source to another.

    def turn(self, source: Source, now_s: float) -> None:
        """Change to a source as soon as it can begin; what is there goes on until then."""
        kind = source.track.kind
        if source in (self._waits_for[kind], self._on[kind] if self._waits_for[kind] is None else None):
            return
        self._stop_waiting(kind)
        if source is self._on[kind]:
            return
        source.waiting.append(self)
        self._waits_for[kind] = source
        if kind == "video":
            source.ask_keyframe(now_s)

    @property
    def showing(self) -> Source | None:
        """Return the source whose pictures are sent."""
        return self._on["video"]

    def stay(self) -> None:
        """Wait for no other picture than the one that is sent."""
        self._stop_waiting("video")

    def cross(self, source: Source, after: int, first: int) -> None:
        """Go over to the same pictures with more or fewer layers, whose packet `first` follows the present `after`."""
        sending = self.forwarder.video
        self._leave("video", after)
        self._on["video"] = source
        sending.track = source.track
        sending.begin(first)
        sending.stream.behind, sending.stream.cursor = True, first
        source.streams.add(sending.stream)

    def silence(self, kind: str) -> None:
        """Leave the source of this medium at once; the numbers go on from there when another begins."""
        self._stop_waiting(kind)
        self._leave(kind)

    def _leave(self, kind: str, after: int | None = None) -> None:
        """Leave a source behind its packet `after`, or behind what has been sent."""
        source, sending = self._on[kind], getattr(self.forwarder, kind)
        self._on[kind] = None
        if source is not None:
            source.streams.remove(sending.stream)
        if sending is not None:
            sending.pause(sending.head if after is None else after)

    def _stop_waiting(self, kind: str) -> None:
        waited, self._waits_for[kind] = self._waits_for[kind], None
        if waited is not None:
            waited.waiting.remove(self)

    def enter(self, source: Source, packet: TrackPacket, now_s: float) -> None:
        """Begin with this packet of a source that was waited for, unless what was sent before is newer."""
        kind = source.track.kind
        sending: Sending = getattr(self.forwarder, kind)
        latest = sending.latest_timestamp
        newer = latest is None or newer_stamp(packet.timestamp, latest)
        behind = -1 if newer else (latest - packet.timestamp) & 0xFFFFFFFF
        if not newer and kind == "audio":
            # The low voice lags by what its encoder takes. The other stops here, and this one is there in a moment.
            self._leave(kind)
            return
        if behind > MOST_SHIFTED_TICKS:
            return
        self.silence(kind)
        self._on[kind] = source
        sending.track = source.track
        if kind == "video":
            self._take_codec(self.codecs[source.codec])
            for stream in (sending.stream, self.forwarder.repair):
                if stream is not None:
                    stream.shift(0 if newer else behind + SHIFT_TICKS)
            self.peer.feed()
        sending.begin(packet.number)
        source.streams.add(sending.stream)
        sending.stream.behind, sending.stream.cursor = True, packet.number
        self.forwarder.advance(sending, now_s)

    def pace(self, now_s: float) -> None:
        """Send what waits and what a probe wants sent; call in every pass of the pacer."""
        forwarder, flow = self.forwarder, self.flow
        if forwarder.video is not None and forwarder.video.stream.behind:
            forwarder.advance(forwarder.video, now_s)
        while forwarder.repair is not None and (size := flow.padding_due(now_s)):
            flow.padded(forwarder.pad(size, now_s))

    def drop_late(self, longest_s: float, now_s: float) -> None:
        """Give up pictures that have waited too long, or that the TCP connection refused; go on with a keyframe."""
        source = self._on["video"]
        if source is None:
            return
        if self.forwarder.waited_s(now_s) <= longest_s and not self.peer.starved:
            return
        gop, cursor = source.track.gop, self.forwarder.video.stream.cursor
        self.silence("video")
        if gop is not None and gop.packets[0].number > cursor and now_s - gop.started_s < longest_s:
            self.enter(source, gop.packets[0], now_s)
        else:
            self.turn(source, now_s)

    def begin_with(self, gop: Gop, now_s: float) -> bool:
        """Begin the picture with a keyframe; true when the viewer has caught up with the room."""
        self._waiting_since_s, self._began_s = None, now_s
        self.peer.feed()
        self.forwarder.start_replay(gop, now_s)
        return self.forwarder.replay(now_s)

    def tick(self, now_s: float, deaf: bool) -> bool:
        """Move the picture's beginning on; true when the room's list of live viewers has to be made anew."""
        forwarder = self.forwarder
        if forwarder.replaying:
            return forwarder.replay(now_s)
        if not self._rest.over(now_s) or not self.needs_keyframe:
            return False
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        gop = forwarder.video.track.gop
        age_s = None if gop is None or self._stale(now_s) else now_s - gop.started_s
        if keyframes.start(now_s - self._waiting_since_s, deaf, age_s) is keyframes.Start.REPLAY:
            return self.begin_with(gop, now_s)
        self._ask_keyframe(now_s)
        return False

    def _stale(self, now_s: float) -> bool:
        """Whether the host has stopped its camera: who comes now must not see the pictures from before."""
        return now_s - self.forwarder.video.track.last_arrival_s > keyframes.STALE_S

    @property
    def beginning(self) -> bool:
        """Whether `tick` has something to do."""
        return self.forwarder.replaying or self.needs_keyframe or self._rest.on

    def rest(self, now_s: float) -> bool:
        """Stop the picture where the TCP connection has refused it (`Backlog`); true when it has just stopped.

        It begins anew with a keyframe after a rest; its numbers close up, so that the viewer asks for nothing again.
        """
        if not self.peer.starved or self._rest.on or not self.unmeasured or self.forwarder.video.begun is None:
            return False
        self._rest.begin(now_s, now_s - self._began_s)
        self.forwarder.stop_picture()
        return True

    def prefer(self, mode: Mode) -> None:
        """Take the viewer's own choice; nothing is chosen for one who is not measured."""
        if self.flow is not None:
            self.flow.prefer(mode)

    def standing(self) -> dict:
        """Return what the viewer gets and why, for its page (docs/architecture.md)."""
        flow = self.flow
        if flow is None:
            rung = Rung.FULL if self.unmeasured else self.rung
            return {"rung": rung.name.lower(), "why": Why.FITS, "low_voice": False, "kbps": None, "mode": Mode.AUTO}
        standing = flow.standing
        return {
            "rung": standing.rung.name.lower(),
            "why": standing.why,
            "low_voice": standing.low_voice,
            "kbps": round(flow.estimator.target_bps / 1000),
            "mode": flow.mode,
        }

    def report(self, unix_s: float, now_s: float) -> None:
        """Send sender reports when they are due."""
        data = self.forwarder.reports(unix_s, now_s) if self.peer.connected else None
        if data is not None:
            self.peer.send_rtcp(data)

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        """Drop what a viewer sends: nobody asked for it."""
        self.malformed += 1

    def rtcp(self, data: bytes, now_s: float) -> None:
        """Take a viewer's reports and requests; broken ones are counted and dropped."""
        if twcc.is_feedback(data):
            self._feedback(data, now_s)
            return
        try:
            packets = rtcp.parse_compound(data)
        except MalformedPacket:
            self.malformed += 1
            return
        for packet in packets:
            match packet:
                case rtcp.Nack():
                    self.forwarder.repeat(packet.media_ssrc, packet.lost, now_s)
                    self._ask_patience()
                case rtcp.TransportFeedback():
                    self._feedback(rtcp.serialize(packet), now_s)
                case rtcp.Pli() | rtcp.Fir():
                    self._wants_keyframe(now_s)
                case rtcp.Remb() if self.told is not None:
                    with_voice = self.ssrcs["audio"] in packet.ssrcs
                    self.told.on_remb(packet.bitrate_bps, with_voice, self.forwarder.carried, now_s)
                case rtcp.ReceiverReport() | rtcp.SenderReport():
                    for block in packet.reports:
                        self.forwarder.reported(block, now_s)
                        if self.told is not None:
                            self.told.on_report(block, self.forwarder.carried, now_s)

    def _ask_patience(self) -> None:
        """Ask the player, once, to wait for repeats of the voice where they take long."""
        number = None if self.plan.video is None or self.flow is None else self.plan.video.patience
        if number is None or self._patient or not self.picture.extension:
            return
        delay_s = patience.needed_s(self.forwarder.voice_asked, self.forwarder.rtt_s)
        if delay_s is not None:
            self._patient = True
            self.picture.ask_patience(patience.element(number, delay_s), patience.PACKETS)

    def _feedback(self, data: bytes, now_s: float) -> None:
        """Take arrivals in; browsers send them in a datagram of their own (RFC 5506)."""
        try:
            feedback = twcc.parse(data)
        except twcc.MalformedFeedback:
            self.malformed += 1
            return
        if self.flow is not None:
            self.peer.attentive = True
            self.flow.on_feedback(feedback, now_s)

    def _wants_keyframe(self, now_s: float) -> None:
        """Pass a request on, but not all of one viewer's."""
        if self._pli_s is None or now_s - self._pli_s >= keyframes.VIEWER_INTERVAL_S:
            self._pli_s = now_s
            source = self._on["video"]
            (self._ask_keyframe if source is None else source.ask_keyframe)(now_s)

    def closed(self, reason: str) -> None:
        """Tell the room that this viewer is gone."""
        self._room_changed(self, reason)
        self._close_books()

    def _close_books(self) -> None:
        if self.flow is not None:
            self._batch.ledgers.close(self.flow.books)
