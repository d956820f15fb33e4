"""A room's rungs: what each viewer gets for his rate, the pacer of all viewers, and the low rungs that are needed.

Every 100 ms each viewer's rung is chosen (rules/rungs.py); every tick the pacer passes over all of them once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from media.costs import ENCODED, FIXED_COSTS, LOW_VOICE_BPS, LOW_VOICE_S, VOICE_PLANNED_BPS, most_waited_s, wire_bps
from media.flow import Flow
from media.host import Host
from media.ingest import Track, TrackPacket
from media.layered import Layered
from media.lowrung import rungs as low
from media.lowrung.client import LowRungs, RungFrame, VoicePacket
from media.lowrung.opusjoin import VoiceJoiner
from media.payload import Depacketizer
from media.payload.opus import CLOCK_HZ
from media.reorder import ReorderBuffer
from media.rtc.crowd import SendStream
from media.rtc.port import MediaPort
from media.rtp import RtpPacket
from media.source import Source
from media.viewer import Viewer
from rules.rungs import Rung, Standing, Voice

logger = logging.getLogger(__name__)

DECIDE_S = 0.1
UNUSED_S = 5.0
"""A low rung that nobody has for so long is no longer encoded."""
PICTURE_STALE_S = 3.0
"""Without a packet for so long the host sends no picture, and nothing is encoded of it."""
LOW_STORE_PACKETS = 512
"""Kept of a low rung for retransmission: 15 s of MIDDLE, a minute of LOW."""
KEYFRAMES_S = 2.0
"""All viewers who come back to the host's picture ask for one keyframe in so long."""
REORDER_S = 0.25
MIDDLE_HOLD_S = 8.0
"""MIDDLE's rate rises no sooner: each change costs its viewers a keyframe."""
MIDDLE_UP = 1.15
NEVER = (False,)
"""Whether the picture of a viewer who has none is behind."""
LOW_VOICE_LATE_S = 0.09
"""What waits for its second frame goes alone when that is overdue: the frames come each 60 ms."""


class Ladder:
    """Sources and viewers of one room."""

    def __init__(
        self,
        port: MediaPort,
        tracks: dict[str, Track],
        ask_keyframe: Callable[[float], None],
        unmeasured: Callable[[], None],
    ) -> None:
        """Make the room's sources. `unmeasured` is called when a viewer turns out to say nothing of arrivals."""
        now_s = port.clock()
        self._port = port
        self._unmeasured = unmeasured
        self._ask_host = ask_keyframe
        self._asked_s = self._asked_low_s = float("-inf")
        self.voice = Source(tracks["audio"], "OPUS", port.batch, lambda _now_s: None, now_s)
        self.picture = Source(tracks["video"], "", port.batch, self._ask_picture, now_s)
        self.layers = Layered(self.picture, port.batch, now_s)
        self.low_voice = Source(
            Track("audio", 48000, LOW_STORE_PACKETS), "OPUS", port.batch, lambda _now_s: None, now_s
        )
        self._joiner = VoiceJoiner(round(LOW_VOICE_S * CLOCK_HZ))
        self._joined_s = now_s
        self.low_pictures: dict[tuple[Rung, str], Source] = {}
        self.viewers: dict[Viewer, None] = {}
        self._paced: list[tuple[Flow, Sequence[bool], int, Viewer]] = []
        self._encoder: LowRungs | None = None
        self._used_s: dict[tuple[Rung, str], float] = {}
        self._middle_bps = low.MIDDLE_RATES_BPS[0]
        self._middle_s = now_s
        self._decided_s = 0.0
        self._reorder = ReorderBuffer(REORDER_S)
        self._depacketizer: Depacketizer | None = None
        self._host: Host | None = None
        self._primed = True

    # The host.

    def host_connected(self, host: Host, codec: str | None, video: Track) -> None:
        """Go on with another connection of the host, or another codec."""
        self._host = host
        self.layers.restart(changed=video is not self.picture.track)
        self.picture.codec = codec or ""
        self.picture.track = video
        self._put_together_anew()

    def host_packet(self, kind: str, packet: TrackPacket, now_s: float) -> None:
        """Send one packet of the host on, and to the encoder where somebody needs it."""
        encoder = self._encoder
        if kind == "audio":
            self.voice.send(packet, now_s)
            if encoder is not None and encoder.wants_voice and not packet.padding:
                encoder.voice(packet.timestamp, packet.payload)
            return
        self.layers.send(packet, now_s)
        if encoder is not None and encoder.wants_pictures and self._depacketizer is not None:
            self._encode(packet)

    def _encode(self, packet: TrackPacket) -> None:
        """Put the host's packets together to pictures for the encoder."""
        payload = b"" if packet.padding else packet.payload
        copy = RtpPacket(0, packet.number & 0xFFFF, packet.timestamp, 0, payload, packet.marker)
        for number, ready, _ in self._reorder.push(copy, packet.arrival_s):
            for frame in self._depacketizer.push(number, ready):
                self._encoder.picture(self.picture.codec, frame)

    # Viewers.

    def join(self, viewer: Viewer, now_s: float) -> None:
        """Give a viewer the voice at once; the picture follows when the link is known."""
        self.viewers[viewer] = None
        self._list_paced()
        if viewer.forwarder.audio is not None:
            viewer.turn(self.voice, now_s)
        if viewer.flow is None and viewer.low_codec is not None and viewer.host_codec not in viewer.codecs:
            self._give(viewer, Rung.MIDDLE, now_s)

    def follow_unmeasured(self, streams: Iterable[SendStream]) -> None:
        """Let these streams have all the host's pictures, and no others that have no flow."""
        self.picture.follow(streams)

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self.viewers.pop(viewer, None)
        self._list_paced()
        self.layers.forget(viewer)
        viewer.silence("audio")
        viewer.silence("video")

    def _list_paced(self) -> None:
        """List whom the pacer looks at: it does so fifty times a second, and the list seldom changes."""
        places = [(NEVER, 0) if v.picture is None else (v.picture.table.behind_at, v.picture.row) for v in self.viewers]
        self._paced = [(v.flow, *place, v) for v, place in zip(self.viewers, places, strict=True) if v.flow is not None]

    def tick(self, now_s: float) -> None:
        """Pass over the viewers for whom pictures or padding wait; now and then over all, to choose their rungs."""
        for flow, behind_at, row, viewer in self._paced:
            if flow.padding_bytes > 0 or (behind_at[row] and now_s >= flow.due_s):
                flow.refill(now_s)
                viewer.pace(now_s)
        if self._joiner.waiting and now_s - self._joined_s > LOW_VOICE_LATE_S:
            self._send_low_voice(self._joiner.flush())
        if now_s - self._decided_s >= DECIDE_S:
            self._decided_s = now_s
            self._decide(now_s)

    def _decide(self, now_s: float) -> None:
        track = self.picture.track
        moving = track.last_arrival_s is not None and now_s - track.last_arrival_s < PICTURE_STALE_S
        full_bps = self.picture.meter.cost_bps(now_s)
        voice = Voice(self.voice.meter.cost_bps(now_s) or VOICE_PLANNED_BPS, LOW_VOICE_BPS)
        voice = Voice(max(voice.full_bps, voice.low_bps), voice.low_bps)
        in_middle = sum(v.rung is Rung.MIDDLE and v.flow is not None for v in self.viewers)
        offers: dict[tuple[bool, bool, bool, Rung], dict[Rung, float]] = {}
        for viewer in self.viewers:
            flow = viewer.flow
            if flow is None:
                if viewer.told is not None and viewer.told.short and viewer.live_video:
                    self._measure(viewer, now_s)
                continue
            if flow.at_rest(now_s) and not viewer.peer.starved:
                if viewer.picture is not None and viewer.picture.behind:
                    viewer.drop_late(most_waited_s(viewer.rung), now_s)
                continue
            if flow.deaf(now_s):
                self.layers.forget(viewer)
                viewer.unmeasure()
                self._list_paced()
                self._unmeasured()
                continue
            costs: dict[Rung, float] = {}
            if moving and viewer.picture is not None:
                others = in_middle > (viewer.rung is Rung.MIDDLE)
                kind = (self.picture.codec in viewer.codecs, viewer.low_codec is not None, others, viewer.rung)
                if kind not in offers:
                    offers[kind] = self._costs(*kind, full_bps, now_s)
                costs = offers[kind]
            wanted_bps = max(costs.values(), default=0.0) + voice.full_bps
            if viewer.forwarder.repair is not None:
                flow.plan_probe(wanted_bps * 1.15, now_s)
            former = flow.standing
            self._settle(viewer, flow.decide(costs, voice, now_s), now_s)
            if flow.standing is former:
                flow.rest(wanted_bps * 1.15, now_s)
            viewer.drop_late(most_waited_s(viewer.rung), now_s)
        lost = self._encoder is not None and self._encoder.wants_pictures and moving and self._depacketizer.broken
        if self.picture.waiting or self.layers.waiting or lost:
            self._ask_picture(now_s)
        self._ask_again(now_s)
        self.layers.tick(now_s)
        self._rate_middle(voice.full_bps, now_s)
        self._prune(now_s)
        self._prime()

    def _measure(self, viewer: Viewer, now_s: float) -> None:
        """Choose for a viewer from now on who had all the host's pictures and tells that they are too much."""
        viewer.measure(now_s)
        self._list_paced()
        self._unmeasured()
        viewer.adopt(self.picture, now_s)

    def _ask_picture(self, now_s: float) -> None:
        """Ask the host for a keyframe, once in a while for all."""
        if now_s - self._asked_s >= KEYFRAMES_S:
            self._asked_s = now_s
            self._ask_host(now_s)

    def _ask_again(self, now_s: float) -> None:
        """Ask for keyframes of low rungs that somebody still waits for."""
        if now_s - self._asked_low_s >= KEYFRAMES_S:
            self._asked_low_s = now_s
            for source in self.low_pictures.values():
                if source.waiting:
                    source.ask_keyframe(now_s)

    def _costs(
        self, plays: bool, low_plays: bool, others: bool, has: Rung, full_bps: float, now_s: float
    ) -> dict[Rung, float]:
        """Return what can be had and what it costs, to all of whom these four hold.

        MIDDLE's rate is as it is while `others` have it, else the lowest, to be raised.
        """
        costs: dict[Rung, float] = {}
        if plays:
            costs = self.layers.costs(now_s, low_plays, has)
            costs[Rung.FULL] = full_bps
        if low_plays:
            costs |= FIXED_COSTS
            middle_bps = self._middle_bps if others else low.MIDDLE_RATES_BPS[0]
            costs[Rung.MIDDLE] = wire_bps(low.Rung.MIDDLE, middle_bps)
        return costs

    def _settle(self, viewer: Viewer, standing: Standing, now_s: float) -> None:
        """Let a viewer have what was chosen."""
        self._speak(viewer, standing.low_voice, now_s)
        if standing.rung is not viewer.rung:
            rate = round(viewer.flow.estimator.target_bps / 1000)
            logger.info(
                "%s: %s to %s (%s, %d kbit/s)",
                viewer.resource,
                viewer.rung.name,
                standing.rung.name,
                standing.why,
                rate,
            )
            self._give(viewer, standing.rung, now_s)

    def _speak(self, viewer: Viewer, low_voice: bool, now_s: float) -> None:
        if viewer.forwarder.audio is None:
            return
        wanted = self.low_voice if low_voice else self.voice
        if low_voice:
            self._used_s[Rung.VOICE, ""] = now_s
            self._encoders().start(low.Rung.VOICE)
        if viewer.flow.clogged(now_s):
            viewer.silence("audio")
        else:
            viewer.turn(wanted, now_s)

    def _give(self, viewer: Viewer, rung: Rung, now_s: float) -> None:
        """Turn a viewer to a rung: down at once, up as soon as its keyframe is there; between layers without one."""
        down = rung < viewer.rung
        viewer.rung = rung
        target = None if rung is Rung.VOICE else self._source(viewer, rung, now_s)
        if target is not None and self.layers.go(viewer, target, now_s):
            return
        if target is None or down:
            viewer.silence("video")
        if target is not None:
            viewer.turn(target, now_s)

    def _source(self, viewer: Viewer, rung: Rung, now_s: float) -> Source:
        if rung in ENCODED:
            return self._low_picture(rung, viewer.low_codec, now_s)
        return self.layers.sources.get(rung, self.picture)

    def _encoders(self) -> LowRungs:
        if self._encoder is None:
            self._encoder = LowRungs(self._low_frame, self._low_packet, lambda: self._ask_host(self._port.clock()))
        return self._encoder

    def _low_picture(self, rung: Rung, codec: str, now_s: float) -> Source:
        """Return a low rung's source, encoded from now on, with a keyframe soon."""
        key = (rung, codec)
        encoder = self._encoders()
        if key not in self.low_pictures:
            self.low_pictures[key] = Source(
                Track("video", 90000, LOW_STORE_PACKETS),
                codec,
                self._port.batch,
                lambda _now_s: encoder.force_keyframe(ENCODED[rung], codec),
                now_s,
            )
        if not encoder.wants_pictures:
            self._primed = False
            self._put_together_anew()
        self._used_s[key] = now_s
        if (ENCODED[rung], codec) not in encoder.active:
            encoder.start(ENCODED[rung], codec, self._middle_bps if rung is Rung.MIDDLE else None)
        else:
            encoder.force_keyframe(ENCODED[rung], codec)
        return self.low_pictures[key]

    def _low_frame(self, frame: RungFrame) -> None:
        rung = next(r for r, encoded in ENCODED.items() if encoded is frame.rung)
        source = self.low_pictures.get((rung, frame.codec))
        if source is None:
            return
        last = len(frame.payloads) - 1
        for index, payload in enumerate(frame.payloads):
            self._low_send(source, frame.timestamp, payload, index == last, frame.keyframe and index == 0)
        self._port.batch.flush()

    def _low_packet(self, packet: VoicePacket) -> None:
        if not self._joiner.waiting:
            self._joined_s = self._port.clock()
        self._send_low_voice(self._joiner.push(packet.timestamp, packet.payload))

    def _send_low_voice(self, joined: list[tuple[int, bytes]]) -> None:
        for timestamp, payload in joined:
            self._low_send(self.low_voice, timestamp, payload, False, False)
        self._port.batch.flush()

    def _low_send(self, source: Source, timestamp: int, payload: bytes, marker: bool, keyframe: bool) -> None:
        now_s = self._port.clock()
        number = (source.track.highest + 1) & 0xFFFF
        made = source.track.receive(RtpPacket(0, number, timestamp, 1, payload, marker), keyframe, now_s)
        if made is not None:
            source.send(made, now_s)

    def _rate_middle(self, voice_bps: float, now_s: float) -> None:
        """Follow the weakest of MIDDLE's viewers with its rate: down at once, up with patience."""
        rates = [
            v.flow.estimator.target_bps * 0.9 - voice_bps
            for v in self.viewers
            if v.rung is Rung.MIDDLE and v.flow is not None
        ]
        if not rates or self._encoder is None:
            return
        weakest_bps = min(rates) / (wire_bps(low.Rung.MIDDLE, 1e5) / 1e5)
        rate = low.middle_rate_bps(weakest_bps)
        if rate > self._middle_bps:
            rate = max(self._middle_bps, low.middle_rate_bps(weakest_bps / MIDDLE_UP))
            if now_s - self._middle_s < MIDDLE_HOLD_S:
                return
        if rate != self._middle_bps:
            self._middle_bps, self._middle_s = rate, now_s
            for rung, codec in self._encoder.active:
                if rung is low.Rung.MIDDLE:
                    self._encoder.start(rung, codec, rate)

    def _prune(self, now_s: float) -> None:
        """Stop encoding what nobody has had for a while."""
        if self._encoder is None:
            return
        for rung, codec in self._encoder.active:
            key = (Rung.VOICE, "")
            source = self.low_voice
            if rung is not low.Rung.VOICE:
                key = (next(r for r, encoded in ENCODED.items() if encoded is rung), codec)
                source = self.low_pictures[key]
            if not source.idle:
                self._used_s[key] = now_s
            elif now_s - self._used_s[key] > UNUSED_S:
                self._encoder.stop(rung, codec)

    def _prime(self) -> None:
        """Give a new encoder the pictures since the last keyframe where the host answers no request for another."""
        if self._primed or self._encoder is None or not self._encoder.stats.running:
            return
        self._primed = True
        gop = self.picture.track.gop
        if self._host is not None and self._host.keyframes.deaf and gop is not None:
            self._put_together_anew()
            for packet in gop.packets:
                self._encode(packet)

    def _put_together_anew(self) -> None:
        self._reorder = ReorderBuffer(REORDER_S)
        self._depacketizer = Depacketizer(self.picture.codec) if self.picture.codec else None

    @property
    def encoding(self) -> bool:
        """Whether there is an encoder to close."""
        return self._encoder is not None

    async def close(self) -> None:
        """End the encoder."""
        if self._encoder is not None:
            await self._encoder.close()
