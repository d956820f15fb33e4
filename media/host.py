"""A host's connection: its packets into tracks, its clocks, and what we ask of it (NACK, PLI, reports)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Protocol

from media import rtcp
from media.answer import LocalTransport, MediaPlan, VoiceRequest, answer_host
from media.arrivals import Arrivals
from media.ingest import Track, TrackPacket
from media.keyframes import KeyframeRequests
from media.layers import LayerReader
from media.payload import video, vp8
from media.rtc.port import MediaPort
from media.rtp import MalformedPacket, RtpPacket, parse_rtp
from media.sdp import Offer

REPORT_INTERVAL_S = 1.0
NACKS_PER_PACKET = 64
"""Lost packets named in one NACK; the rest follow with the next tick."""
RATE_WINDOW_S = 2.0
WIRE_OVERHEAD_BYTES = 38
"""What IPv4, UDP and the SRTP tag add to a packet that has been decrypted."""


class Listener(Protocol):
    """What a room hears of a host."""

    def host_connected(self, host: Host, now_s: float) -> None: ...
    def host_packet(self, host: Host, kind: str, packet: TrackPacket, now_s: float) -> None: ...
    def host_clock(self, host: Host, kind: str, unix_s: float, timestamp: int) -> None: ...
    def host_closed(self, host: Host, reason: str) -> None: ...


class Host:
    """One WHIP session. It fills the room's tracks once the room has made it the room's host."""

    def __init__(self, port: MediaPort, plan: MediaPlan, listener: Listener) -> None:
        self.resource = secrets.token_urlsafe(16)
        self.peer = port.peer(self)
        self.plan = plan
        self.keyframes = KeyframeRequests()
        self._keyframe_timestamp: int | None = None
        self.tracks: dict[str, Track] = {}
        self.malformed = 0
        self.unexpected = 0
        self.kbps = 0.0
        self.loss = 0.0
        self._listener = listener
        self._ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        self._codec = plan.video.codec.name if plan.video is not None else None
        self._descriptor = plan.video.descriptor if plan.video is not None else None
        self._layers = LayerReader(self._codec) if self._codec is not None else None
        self._kinds: dict[int, str] = {}
        self._repairs: dict[int, tuple[str, int]] = {}
        self._arrivals = Arrivals()
        numbered = [track.transport_cc for track in (plan.audio, plan.video) if track is not None]
        self._transport_cc = next((number for number in numbered if number is not None), None)
        self._report_s = 0.0
        self._bytes = 0
        self._rate_since_s: float | None = None
        for kind, track in (("audio", plan.audio), ("video", plan.video)):
            if track is not None:
                self._kinds[track.codec.payload_type] = kind
                if track.codec.rtx is not None:
                    self._repairs[track.codec.rtx] = (kind, track.codec.payload_type)

    def answer(self, offer: Offer, local: LocalTransport, voice: VoiceRequest) -> str:
        """Write the answer to the host's offer."""
        return answer_host(offer, self.plan, local, voice)

    def connected(self, now_s: float) -> None:
        """Tell the room, which gives this host its tracks."""
        self._listener.host_connected(self, now_s)

    def closed(self, reason: str) -> None:
        """Tell the room."""
        self._listener.host_closed(self, reason)

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        """Take one packet of the host: count and drop what is broken or was not agreed."""
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            self.malformed += 1
            return
        self._bytes += len(data)
        if self._transport_cc is not None and packet.extensions:
            number = packet.extension(self._transport_cc)
            if number is not None and len(number) == 2:
                self._arrivals.received(int.from_bytes(number), len(data) + WIRE_OVERHEAD_BYTES, now_s)
        if packet.payload_type in self._repairs:
            packet = self._unwrap(packet)
            if packet is None:
                return
        kind = self._kinds.get(packet.payload_type)
        track = self.tracks.get(kind)
        if track is None:
            self.unexpected += 1
            return
        keyframe, layer = False, None
        if kind == "video" and packet.payload:
            keyframe = video.keyframe(self._codec, packet.payload)
            layer = self._layers.read(packet.payload, self._described(packet))
            packet = self._bare(packet)
        made = track.receive(packet, keyframe, now_s, layer)
        if made is None:
            return
        if keyframe:
            self.keyframes.arrived(now_s)
            self._keyframe_timestamp = packet.timestamp
        elif kind == "video" and packet.timestamp == self._keyframe_timestamp:
            self.keyframes.arrives(now_s)
        self._listener.host_packet(self, kind, made, now_s)

    def _described(self, packet: RtpPacket) -> bytes | None:
        return packet.extension(self._descriptor) if self._descriptor is not None and packet.extensions else None

    def _bare(self, packet: RtpPacket) -> RtpPacket:
        """Take out what one viewer's stream could not count on with where another's does."""
        if self._codec != "VP8":
            return packet
        try:
            return replace(packet, payload=vp8.bare(packet.payload))
        except MalformedPacket:
            return packet

    def _unwrap(self, packet: RtpPacket) -> RtpPacket | None:
        """Take the original out of an RTX packet (RFC 4588 4); None for probe padding and before any original."""
        kind, payload_type = self._repairs[packet.payload_type]
        track = self.tracks.get(kind)
        if len(packet.payload) <= 2 or track is None or track.source is None:
            return None
        return RtpPacket(
            payload_type=payload_type,
            sequence=int.from_bytes(packet.payload[:2]),
            timestamp=packet.timestamp,
            ssrc=track.source,
            payload=packet.payload[2:],
            marker=packet.marker,
            extensions=packet.extensions,
        )

    def rtcp(self, data: bytes, now_s: float) -> None:
        """Take the host's sender reports."""
        try:
            packets = rtcp.parse_compound(data)
        except MalformedPacket:
            self.malformed += 1
            return
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport):
                self._clock(packet, now_s)

    def _clock(self, report: rtcp.SenderReport, now_s: float) -> None:
        for kind, track in self.tracks.items():
            timestamp = track.sender_report(report.ssrc, report.unix_s, report.rtp_timestamp, now_s)
            if timestamp is not None:
                track.reception.last_sr = (report.ntp_time >> 16) & 0xFFFFFFFF
                track.reception.last_sr_s = now_s
                self._listener.host_clock(self, kind, report.unix_s, timestamp)

    def tick(self, now_s: float) -> None:
        """Ask again for what is missing, ask for a keyframe, report; call every 20 ms or so."""
        if not self.peer.connected:
            return
        feedback: list[rtcp.RtcpPacket] = []
        for kind, track in self.tracks.items():
            if track.source is None:
                continue
            requests = track.loss.due(now_s)
            if requests.ask:
                lost = tuple(number & 0xFFFF for number in requests.ask[:NACKS_PER_PACKET])
                feedback.append(rtcp.Nack(self._ssrc, track.source, lost))
            if requests.given_up and kind == "video":
                self.keyframes.ask(now_s)
        picture = self.tracks.get("video")
        if picture is not None and picture.source is not None and self.keyframes.due(now_s):
            feedback.append(rtcp.Pli(self._ssrc, picture.source))
        due = now_s >= self._report_s
        if due or feedback:
            self._send(feedback, now_s, due)
        arrivals = self._arrivals.feedback(self._ssrc, self._media_source(), now_s)
        if arrivals is not None:
            self.peer.send_rtcp(arrivals)  # alone, as RFC 5506 allows: a report in front would double its size

    def _media_source(self) -> int:
        """Return a source of the host's; feedback about its whole transport names any of them."""
        return next((track.source for track in self.tracks.values() if track.source is not None), 0)

    def _send(self, feedback: list[rtcp.RtcpPacket], now_s: float, due: bool) -> None:
        """Send one compound packet; it begins with a report (RFC 3550 6.1), with blocks when they are due."""
        blocks: tuple[rtcp.ReportBlock, ...] = ()
        if due:
            blocks = self._blocks(now_s)
            self._report_s = now_s + REPORT_INTERVAL_S
            self._measure(now_s)
        self.peer.send_rtcp(rtcp.serialize_compound([rtcp.ReceiverReport(self._ssrc, blocks), *feedback]))

    def _blocks(self, now_s: float) -> tuple[rtcp.ReportBlock, ...]:
        blocks = []
        worst = 0
        for track in self.tracks.values():
            if track.source is None:
                continue
            seen = track.reception
            fraction, lost = seen.interval()
            worst = max(worst, fraction)
            delay = 0 if seen.last_sr_s is None else min(round((now_s - seen.last_sr_s) * 65536), 0xFFFFFFFF)
            jitter = min(int(seen.jitter), 0xFFFFFFFF)
            blocks.append(
                rtcp.ReportBlock(track.source, fraction, lost, seen.highest & 0xFFFFFFFF, jitter, seen.last_sr, delay)
            )
        self.loss = worst / 256
        return tuple(blocks)

    def _measure(self, now_s: float) -> None:
        """Follow the host's rate at RTP level."""
        if self._rate_since_s is None:
            self._rate_since_s, self._bytes = now_s, 0
        elif now_s - self._rate_since_s >= RATE_WINDOW_S:
            self.kbps = self._bytes * 8 / 1000 / (now_s - self._rate_since_s)
            self._rate_since_s, self._bytes = now_s, 0
