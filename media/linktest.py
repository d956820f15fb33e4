"""Measurements of links over the media port: who wants to know sends an offer as a viewer does, and gets padding."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod

from media import rtcp, twcc
from media.answer import (
    LocalTransport,
    NoCommonCodec,
    PictureRequest,
    VoiceRequest,
    answer_host,
    answer_viewer,
    dtls_role,
    plan_host,
    plan_viewer,
)
from media.arrivals import Arrivals
from media.linkprobe import CEILING_BPS, LinkProbe, Phase
from media.rtc.port import MediaPort
from media.rtc.srtp import WIRE_OVERHEAD_BYTES
from media.rtc.tcp import TcpLink
from media.rtp import MalformedPacket, parse_rtp
from media.sdp import Codec, Offer, parse_offer
from media.uplinkprobe import UplinkProbe

MAX_TESTS = 8
"""At once in one process: a measurement sends up to 2 Mbit/s."""
CONNECT_S = 10.0
KEPT_S = 60.0
"""A result is asked for right after the end."""
PADDING_LONGEST_BYTES = 255
HEADER_BYTES = 20 + WIRE_OVERHEAD_BYTES
"""RTP with one extension element, and what surrounds it."""
PICTURE = PictureRequest(CEILING_BPS // 1000, start_kbps=100)
"""From 100 kbit/s a browser's first probes ask for 300 and 600; it goes on from there while the link carries it."""
CLOCK_HZ = 90_000


class Busy(Exception):
    """There are as many measurements as may be."""


class LinkTest(ABC):
    """One connection that is measured in one direction; `way` is "udp" or "tcp" once it is there."""

    def __init__(self, port: MediaPort, offer: Offer) -> None:
        self.resource = secrets.token_urlsafe(16)
        self.began_s = port.clock()
        self.over = False
        self.way = ""
        self.answer = ""
        self.peer = port.peer(self)
        self.peer.accept(dtls_role(offer), offer.fingerprints, offer.ufrag)

    def _local(self, port: MediaPort, addresses: tuple[str, ...]) -> LocalTransport:
        peer = self.peer
        return LocalTransport(peer.ufrag, peer.password, peer.identity.fingerprint, addresses, port.number)

    def tick(self, now_s: float) -> None:
        """Let the measurement go on; end where nobody comes."""
        if self.over:
            return
        if self.peer.connected:
            self.way = "tcp" if isinstance(self.peer.selected, TcpLink) else "udp"
            self._measure(now_s)
        elif now_s - self.began_s > CONNECT_S:
            self.peer.close("nobody came")

    @abstractmethod
    def _measure(self, now_s: float) -> None:
        """Go on with a connection that is there; close it when there is a result."""

    @abstractmethod
    def _result(self) -> dict | None:
        """Return what was measured, None before that."""

    def report(self) -> dict:
        """Return state and result: rates in kbit/s, round trip in ms, loss in percent."""
        result = self._result()
        if result is not None:
            return {"state": "done", "way": self.way, **result}
        return {"state": "failed" if self.over else "running", "way": self.way}

    def closed(self, reason: str) -> None:
        """Keep the result for whoever asks."""
        self.over = True


class Downlink(LinkTest):
    """Sends padding as `LinkProbe` says, on the repair stream, where browsers expect probes.

    Over TCP only the way and its round trip are told.
    """

    def __init__(self, port: MediaPort, offer: Offer, addresses: tuple[str, ...]) -> None:
        """Raises NoCommonCodec where the offer does not ask for a picture with transport-wide feedback."""
        plan = plan_viewer(offer, _codec(offer))
        if plan.video is None or plan.video.transport_cc is None:
            raise NoCommonCodec("nothing to measure with: the offer has no picture with transport-cc feedback")
        super().__init__(port, offer)
        self.probe: LinkProbe | None = None
        self._batch = port.batch
        self._sequence = 1000 + secrets.randbelow(15000)
        ssrcs = dict(zip(("audio", "video", "rtx"), _sources(), strict=True))
        repair = plan.video.codec.rtx
        number = plan.video.codec.payload_type if repair is None else repair
        # Urgent: over TCP a picture's packets are dropped when they queue, and a queue is what is looked for here.
        self._stream = self.peer.stream(ssrcs["video" if repair is None else "rtx"], number, urgent=True)
        self._element = plan.video.transport_cc << 4 | 1
        self.answer = answer_viewer(offer, plan, self._local(port, addresses), ssrcs)

    def _measure(self, now_s: float) -> None:
        self.probe.tick(now_s)
        if self.way == "tcp" and self.probe.phase is not Phase.QUIET:
            # TCP hands over in bursts what waited for a lost packet, so that spacing tells nothing of the link.
            self.peer.close("over TCP")
            return
        while size := self.probe.due(now_s):
            filling = max(1, min(PADDING_LONGEST_BYTES, size - HEADER_BYTES))
            body = bytes(filling - 1) + bytes([filling])
            stamp = int(now_s * CLOCK_HZ) & 0xFFFFFFFF
            self._batch.fan_out(self._sequence, stamp, False, body, (self._stream,), 1, now_s)
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._stream.name is None:
                break
        if self.probe.phase in (Phase.DONE, Phase.DEAF):
            self.peer.close("measured")

    def _result(self) -> dict | None:
        result = None if self.probe is None else self.probe.result
        if result is None:
            over_tcp = self.over and self.way == "tcp" and self.probe is not None and self.probe.rtt_s is not None
            return {"rtt_ms": round(self.probe.rtt_s * 1000)} if over_tcp else None
        return {
            "down_kbps": round(result.down_bps / 1000),
            "rtt_ms": round(result.rtt_s * 1000),
            "loss_percent": round(result.loss * 100, 1),
        }

    # What the port tells.

    def connected(self, now_s: float) -> None:
        """Begin."""
        self.probe = LinkProbe(now_s)
        self._stream.account(self.probe, self._element)

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        """Drop it: nothing was asked for."""

    def rtcp(self, data: bytes, now_s: float) -> None:
        """Take arrivals in; anything else, and what is broken, is dropped."""
        try:
            found = [data] if twcc.is_feedback(data) else _feedbacks(data)
            for one in found:
                if self.probe is not None:
                    self.probe.on_feedback(twcc.parse(one), now_s)
        except (MalformedPacket, twcc.MalformedFeedback):
            return


class Uplink(LinkTest):
    """Takes what a browser sends as its own rate control allows, tells it what arrived, and times it."""

    def __init__(self, port: MediaPort, offer: Offer, addresses: tuple[str, ...]) -> None:
        """Raises NoCommonCodec where the offer does not send a picture with transport-wide numbers."""
        plan = plan_host(offer, _codec(offer))
        if plan.video is None or plan.video.transport_cc is None:
            raise NoCommonCodec("nothing to measure with: the offer sends no picture with transport-cc")
        super().__init__(port, offer)
        self.probe: UplinkProbe | None = None
        self._numbered = plan.video.transport_cc
        self._arrivals = Arrivals()
        self._ssrc, self._media_ssrc = next(iter(_sources())), 0
        self.answer = answer_host(offer, plan, self._local(port, addresses), VoiceRequest(), PICTURE)

    def _measure(self, now_s: float) -> None:
        feedback = self._arrivals.feedback(self._ssrc, self._media_ssrc, now_s)
        if feedback is not None:
            self.peer.send_rtcp(feedback)
        if self.probe.over(now_s):
            self.peer.close("measured")

    def _result(self) -> dict | None:
        up_bps = self.probe.up_bps if self.over and self.probe is not None else None
        return None if up_bps is None else {"up_kbps": round(up_bps / 1000)}

    def connected(self, now_s: float) -> None:
        """Begin."""
        self.probe = UplinkProbe(now_s)

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        """Time a packet; what is broken or carries no number is dropped."""
        try:
            packet = parse_rtp(data)
        except MalformedPacket:
            return
        number = packet.extension(self._numbered)
        if number is None or len(number) != 2 or self.probe is None:
            return
        size = len(data) + WIRE_OVERHEAD_BYTES
        self._media_ssrc = packet.ssrc
        self._arrivals.received(int.from_bytes(number), size, came_s)
        self.probe.arrived(size, came_s)

    def rtcp(self, data: bytes, now_s: float) -> None:
        """Drop it: the packets tell enough."""


class LinkTests:
    """The measurements of one media process."""

    def __init__(self, port: MediaPort, addresses: tuple[str, ...]) -> None:
        self._port = port
        self._addresses = addresses
        self._tests: dict[str, LinkTest] = {}

    def __len__(self) -> int:
        return sum(not test.over for test in self._tests.values())

    def begin(self, sdp: str) -> LinkTest:
        """Answer an offer: one that sends has its uplink measured, one that receives its downlink.

        Raises SdpError, Busy.
        """
        offer = parse_offer(sdp)
        if len(self) >= MAX_TESTS:
            raise Busy
        sends = any(section.kind == "video" and section.sends for section in offer.sections)
        test = (Uplink if sends else Downlink)(self._port, offer, self._addresses)
        self._tests[test.resource] = test
        return test

    def find(self, resource: str) -> LinkTest | None:
        """Return a measurement that runs or has ended lately."""
        return self._tests.get(resource)

    def stop(self, resource: str) -> bool:
        """End a measurement; false where there is none."""
        test = self._tests.pop(resource, None)
        if test is not None:
            test.peer.close("stopped")
        return test is not None

    def tick(self, now_s: float) -> None:
        """Give every measurement its time, and forget the old ones."""
        for resource, test in list(self._tests.items()):
            test.tick(now_s)
            if now_s - test.began_s > KEPT_S:
                self.stop(resource)


def _codec(offer: Offer) -> Codec | None:
    """Return a picture codec of the offer that has a repair stream, else any; its pictures are never sent."""
    codecs = [codec for section in offer.sections if section.kind == "video" for codec in section.codecs]
    codecs = [codec for codec in codecs if codec.name in ("VP8", "VP9", "H264", "AV1")]
    return min(codecs, key=lambda codec: codec.rtx is None, default=None)


def _feedbacks(data: bytes) -> list[bytes]:
    return [rtcp.serialize(one) for one in rtcp.parse_compound(data) if isinstance(one, rtcp.TransportFeedback)]


def _sources() -> set[int]:
    drawn: set[int] = set()
    while len(drawn) < 3:
        drawn.add(secrets.randbelow(0xFFFFFFFE) + 1)
    return drawn
