"""Measurements of links over the media port: who wants to know sends an offer as a viewer does, and gets padding."""

from __future__ import annotations

import secrets

from media import rtcp, twcc
from media.answer import LocalTransport, NoCommonCodec, answer_viewer, dtls_role, plan_viewer
from media.linkprobe import LinkProbe, Phase
from media.rtc.port import MediaPort
from media.rtc.tcp import TcpLink
from media.rtp import MalformedPacket
from media.sdp import Codec, Offer, parse_offer

MAX_TESTS = 8
"""At once in one process: a measurement sends up to 2 Mbit/s."""
CONNECT_S = 10.0
KEPT_S = 60.0
"""A result is asked for right after the end."""
PADDING_LONGEST_BYTES = 255
HEADER_BYTES = 58
"""RTP with one extension element (20), IPv4, UDP and SRTP's tag (38): `media.rtc.srtp`."""
CLOCK_HZ = 90_000


class Busy(Exception):
    """There are as many measurements as may be."""


class LinkTest:
    """One connection that is measured. Its padding travels on the repair stream, where browsers expect probes."""

    def __init__(self, port: MediaPort, offer: Offer, addresses: tuple[str, ...]) -> None:
        """Raises NoCommonCodec where the offer does not ask for a picture with transport-wide feedback."""
        plan = plan_viewer(offer, _codec(offer))
        if plan.video is None or plan.video.transport_cc is None:
            raise NoCommonCodec("nothing to measure with: the offer has no picture with transport-cc feedback")
        self.resource = secrets.token_urlsafe(16)
        self.began_s = port.clock()
        self.over = False
        self.way = ""
        self.probe: LinkProbe | None = None
        self.peer = port.peer(self)
        self._batch = port.batch
        self._sequence = 1000 + secrets.randbelow(15000)
        ssrcs = dict(zip(("audio", "video", "rtx"), _sources(), strict=True))
        repair = plan.video.codec.rtx
        number = plan.video.codec.payload_type if repair is None else repair
        # Urgent: over TCP a picture's packets are dropped when they queue, and a queue is what is looked for here.
        self._stream = self.peer.stream(ssrcs["video" if repair is None else "rtx"], number, urgent=True)
        self._stream.extension = plan.video.transport_cc << 4 | 1
        self.peer.accept(dtls_role(offer), offer.fingerprints, offer.ufrag)
        local = LocalTransport(
            self.peer.ufrag, self.peer.password, self.peer.identity.fingerprint, addresses, port.number
        )
        self.answer = answer_viewer(offer, plan, local, ssrcs)

    def tick(self, now_s: float) -> None:
        """Send what is due; end when there is a result, or when nobody comes."""
        if self.over:
            return
        if self.probe is None:
            if now_s - self.began_s > CONNECT_S:
                self.peer.close("nobody came")
            return
        self.way = "tcp" if isinstance(self.peer.selected, TcpLink) else "udp"
        self.probe.tick(now_s)
        while size := self.probe.due(now_s):
            filling = max(1, min(PADDING_LONGEST_BYTES, size - HEADER_BYTES))
            body = bytes(filling - 1) + bytes([filling])
            stamp = int(now_s * CLOCK_HZ) & 0xFFFFFFFF
            self._batch.fan_out(self._sequence, stamp, False, body, (self._stream,), 1, now_s)
            self._sequence = (self._sequence + 1) & 0xFFFF
            if self._stream.address is None:
                break
        if self.probe.phase in (Phase.DONE, Phase.DEAF):
            self.peer.close("measured")

    def report(self) -> dict:
        """Return state and result: rates in kbit/s, round trip in ms, loss in percent."""
        result = None if self.probe is None else self.probe.result
        if result is not None:
            return {
                "state": "done",
                "way": self.way,
                "down_kbps": round(result.down_bps / 1000),
                "at_least": result.at_least,
                "rtt_ms": round(result.rtt_s * 1000),
                "loss_percent": round(result.loss * 100, 1),
            }
        return {"state": "failed" if self.over else "running", "way": self.way}

    # What the port tells.

    def connected(self, now_s: float) -> None:
        """Begin."""
        self.probe = self._stream.flow = LinkProbe(now_s)

    def rtp(self, data: bytes, now_s: float) -> None:
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

    def closed(self, reason: str) -> None:
        """Keep the result for whoever asks."""
        self.over = True


class LinkTests:
    """The measurements of one media process."""

    def __init__(self, port: MediaPort, addresses: tuple[str, ...]) -> None:
        self._port = port
        self._addresses = addresses
        self._tests: dict[str, LinkTest] = {}

    def __len__(self) -> int:
        return sum(not test.over for test in self._tests.values())

    def begin(self, sdp: str) -> LinkTest:
        """Answer an offer. Raises SdpError, Busy."""
        offer = parse_offer(sdp)
        if len(self) >= MAX_TESTS:
            raise Busy
        test = LinkTest(self._port, offer, self._addresses)
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
