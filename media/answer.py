"""Pure: write answers (RFC 8829 5.3) of a lite agent with one transport, for a host (WHIP) and for a viewer (WHEP).

Only what is built is agreed to: few header extensions, no data channel, one voice, one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from media import patience
from media.payload import dependency
from media.sdp import Codec, Offer, SdpError, Section

VIDEO_ORDER = ("AV1", "VP9", "H264", "VP8")
"""The cheapest in bits first (docs/live-plane.md)."""
ENCODED = ("AV1", "VP8")
"""What the server encodes low rungs in (media/lowrung), the better first."""
CNAME = "path"
HOST_PICTURE_AS_KBPS = 300
"""`b=AS` of a host's picture section: with voice and headers three quarters of a good school link of 512 kbit/s. More
would hardly be seen at 640x360, and all of it stands in the queue for a moment when a link falls."""
HOST_START = "x-google-start-bitrate=100"
"""Chromium begins with 300 kbit/s, which a slow uplink cannot carry; from 100 it finds a good link by its probes."""
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DESCRIBED = ("AV1", "H264")
"""Codecs whose packets tell of temporal layers by the Dependency Descriptor alone. VP8 and VP9 do in the payload, and
Chromium leaves that out of VP8 where the descriptor is agreed."""
SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
"""What a viewer's REMB is reckoned from; without it some clients reckon nothing."""
VIEWER_FEEDBACK_AS_KBPS = 48
"""`b=AS` of a viewer's picture section: Chromium sizes its transport-cc feedback by it, 4.2 a second and 3 kbit/s
upwards at this value instead of 16 and 9 (docs/rate-control.md). It does not bound what is received."""
VIEWER_VOICE = "useinbandfec=1"
VIEWER_VOICE_LAST = f"{VIEWER_VOICE};x-google-max-bitrate={VIEWER_FEEDBACK_AS_KBPS}"
"""The same for a voice section behind that of the picture: of two the last counts."""
AV1_DEFAULTS = {"level-idx": "5", "profile": "0", "tier": "0"}
"""Parameters that need not be said (RTP payload format for AV1, 7.2.1): a packet more is half a second on 24 kbit/s."""
PRIORITY_STEP = 256


class NoCommonCodec(SdpError):
    """Nothing in the offer can be forwarded; the text names what would do."""


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end: ICE names, certificate hash (sha-256), where we are reached."""

    ufrag: str
    password: str
    fingerprint: str
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """What the host is asked to send. Sixty milliseconds a packet: 7 kbit/s of headers instead of 20 (RFC 7587 7)."""

    ptime_ms: int = 60
    max_average_bps: int = 16000


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What the host's picture may take."""

    as_kbps: int = HOST_PICTURE_AS_KBPS
    start_kbps: int | None = None
    """Chromium's `x-google-start-bitrate`: from where its rate control begins to search."""


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """One agreed medium: the section's place in the offer, the codec as the other end numbers it, its sources."""

    section: int
    codec: Codec
    ssrcs: tuple[int, ...]
    transport_cc: int | None = None
    """The number of the header extension for transport-wide sequence numbers, None where it is not agreed."""
    descriptor: int | None = None
    """The number of the header extension with the Dependency Descriptor of a host's picture, None without it."""
    remb: bool = False
    """Whether the viewer may send REMB, as one who cannot tell of arrivals."""
    send_time: int | None = None
    """The number of the header extension for abs-send-time, which goes with REMB."""
    patience: int | None = None
    """The number of the header extension by which a viewer's player is asked to wait, None where it is not agreed."""
    more: tuple[Codec, ...] = ()
    """Other codecs that we may send in mid-stream, for pictures that the server encodes."""

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """All that may be sent here, the agreed one first."""
        return (self.codec, *self.more)


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What is agreed with one other end. A medium that is not wanted or not possible is None."""

    audio: TrackPlan | None
    video: TrackPlan | None


def dtls_role(offer: Offer) -> str:
    """Return our DTLS role: client wherever the other end may be server (RFC 8842 5.3).

    A browser's own first flight is 1.5 KB of post-quantum key shares, half a second of a slow uplink, and its second
    datagram finds the queue full each time that both are repeated. Ours is 200 bytes.
    """
    return "server" if offer.setup == "active" else "client"


def plan_host(offer: Offer, preferred: Codec | None = None) -> MediaPlan:
    """Choose what a host shall send: Opus, and one picture codec.

    `preferred` is the codec of a lesson already going on, taken where it is offered, so that viewers stay as they are.
    Raises NoCommonCodec when neither voice nor picture can be taken.
    """
    audio = _first(offer, "audio", lambda s: s.sends, _opus)
    order = VIDEO_ORDER if preferred is None else (preferred.name, *VIDEO_ORDER)
    video = _first(offer, "video", lambda s: s.sends, lambda s: _video(s, order, preferred))
    if video is not None and video.codec.name in DESCRIBED:
        video = replace(video, descriptor=offer.sections[video.section].extension_id(dependency.URI))
    if audio is None and video is None:
        raise NoCommonCodec(
            "nothing to receive: offer Opus, or AV1, VP9 (profile 0), H.264 (packetization-mode 1), VP8"
        )
    return MediaPlan(audio, video)


def plan_viewer(offer: Offer, video: Codec | None) -> MediaPlan:
    """Choose what a viewer gets: Opus, and pictures by the viewer's own numbers for their codecs.

    The host's codec stands first where the viewer has it, then those of the low rungs. Raises NoCommonCodec when
    nothing is left.
    """
    audio = _first(offer, "audio", lambda s: s.receives, _opus)
    picture = None
    if video is not None:
        order = tuple(dict.fromkeys((video.name, *ENCODED)))
        picture = _first(offer, "video", lambda s: s.receives, lambda s: _video(s, order, video))
    if picture is not None:
        section = offer.sections[picture.section]
        if picture.transport_cc is not None:
            picture = replace(picture, patience=section.extension_id(patience.URI))
        # One is enough: on 32 kbit/s a second packet of the answer holds the voice up by 0.4 s.
        encoded = next((codec for name in ENCODED if (codec := _video(section, (name,), video)) is not None), None)
        if encoded is not None and encoded.name != picture.codec.name:
            picture = replace(picture, more=(encoded,))
    if audio is None and picture is None:
        wanted = "Opus" if video is None else f"Opus or {video.name}"
        raise NoCommonCodec(f"nothing to send: the lesson is in {wanted}, which the offer does not ask to receive")
    return MediaPlan(audio, picture)


def _first(offer: Offer, kind: str, wanted, choose) -> TrackPlan | None:
    """Return the first section of a kind that goes the wanted way and has a codec for us."""
    for index, section in enumerate(offer.sections):
        if section.usable and section.kind == kind and wanted(section):
            codec = choose(section)
            if codec is not None:
                plan = TrackPlan(index, codec, section.ssrcs, _transport_cc(section, codec))
                return _estimated(plan, section) if plan.transport_cc is None and section.receives else plan
    return None


def _estimated(plan: TrackPlan, section: Section) -> TrackPlan:
    """Let a viewer without transport-wide numbers estimate by himself, where he offers to."""
    if plan.codec.name != "OPUS" and "goog-remb" not in plan.codec.feedback:
        return plan
    return replace(plan, remb=plan.codec.name != "OPUS", send_time=section.extension_id(SEND_TIME_URI))


def _transport_cc(section: Section, codec: Codec) -> int | None:
    """Return the extension's number where the offer has both it and the feedback for it (draft-holmer 1.1, 4)."""
    return section.extension_id(TRANSPORT_CC_URI) if "transport-cc" in codec.feedback else None


def _opus(section: Section) -> Codec | None:
    return next((c for c in section.codecs if c.name == "OPUS" and c.clock_rate == 48000), None)


def _video(section: Section, order: Sequence[str], like: Codec | None) -> Codec | None:
    """Return the best codec: by `order`, then by nearness to the profile of `like`, then by the offer's order."""
    usable = [c for c in section.codecs if c.name in order and c.clock_rate == 90000 and _forwardable(c)]
    if not usable:
        return None
    return min(usable, key=lambda c: (order.index(c.name), _profile_distance(c, like)))


def _forwardable(codec: Codec) -> bool:
    """Whether the variant is one that every viewer with this codec decodes and the recorder can write."""
    if codec.name == "H264":
        return codec.parameter("packetization-mode", "0") == "1"
    if codec.name == "VP9":
        return codec.parameter("profile-id", "0") == "0"
    if codec.name == "AV1":
        return codec.parameter("profile", "0") == "0"
    return True


def _profile_distance(codec: Codec, like: Codec | None) -> int:
    """Rank H.264 profiles: the same as `like`, then constrained baseline, baseline, the rest (RFC 6184 8.1)."""
    if codec.name != "H264":
        return 0
    profile = codec.parameter("profile-level-id", "42000a").lower()
    if (
        like is not None
        and like.name == "H264"
        and profile[:2] == like.parameter("profile-level-id", "42000a").lower()[:2]
    ):
        return 0
    return {"42e0": 1, "42c0": 1, "4200": 2}.get(profile[:4], 3)


def answer_host(
    offer: Offer,
    plan: MediaPlan,
    local: LocalTransport,
    voice: VoiceRequest,
    picture: PictureRequest = PictureRequest(),
) -> str:
    """Write the answer to a host: we receive, it sends what fits a slow uplink."""
    sections = []
    for index, section in enumerate(offer.sections):
        if plan.audio is not None and plan.audio.section == index:
            codec = plan.audio.codec
            wishes = f"minptime=10;useinbandfec=1;stereo=0;sprop-stereo=0;maxaveragebitrate={voice.max_average_bps}"
            extra = [f"a=ptime:{voice.ptime_ms}", f"a=maxptime:{max(voice.ptime_ms, 60)}"]
            extra += _congestion(plan.audio)
            sections.append(_accepted(section, codec, local, offer, "recvonly", wishes, extra))
        elif plan.video is not None and plan.video.section == index:
            codec = plan.video.codec
            extra = [*_congestion(plan.video), *_described(section, plan.video)]
            wishes = ";".join(filter(None, (_own_parameters(codec), HOST_START)))
            lines = _accepted(section, codec, local, offer, "recvonly", wishes, extra)
            sections.append(_with_rate(lines, HOST_PICTURE_AS_KBPS))
        else:
            sections.append(_rejected(section))
    return _session(offer, local, sections)


def answer_viewer(offer: Offer, plan: MediaPlan, local: LocalTransport, ssrcs: dict[str, int]) -> str:
    """Write the answer to a viewer. `ssrcs` names our sources: "audio", "video", and "rtx" where video has RTX."""
    sections = []
    for index, section in enumerate(offer.sections):
        if plan.audio is not None and plan.audio.section == index:
            extra = [*_source(ssrcs["audio"]), f"a=msid:{CNAME} v", *_congestion(plan.audio), *_remb(plan.audio)]
            wishes = VIEWER_VOICE_LAST if plan.video is None or plan.video.section < index else VIEWER_VOICE
            sections.append(_accepted(section, plan.audio.codec, local, offer, "sendonly", wishes, extra))
        elif plan.video is not None and plan.video.section == index:
            # The picture's own source is named first: Chromium takes the first a=ssrc line of a section for the media.
            codec, extra = plan.video.codec, _source(ssrcs["video"])
            if any(c.rtx is not None for c in plan.video.codecs):
                extra = [f"a=ssrc-group:FID {ssrcs['video']} {ssrcs['rtx']}", *extra, *_source(ssrcs["rtx"])]
            extra += [f"a=msid:{CNAME} p", *_congestion(plan.video), *_remb(plan.video)]
            more = plan.video.more
            lines = _accepted(section, codec, local, offer, "sendonly", _own_parameters(codec), extra, more)
            agreed = plan.video.transport_cc is not None
            sections.append(_with_rate(lines, VIEWER_FEEDBACK_AS_KBPS) if agreed else lines)
        else:
            sections.append(_inactive(section, local, offer, plan) or _rejected(section))
    return _session(offer, local, sections)


def _congestion(track: TrackPlan) -> list[str]:
    """Agree to transport-wide numbers and the feedback about them, where both were offered."""
    if track.transport_cc is None:
        return []
    return [
        f"a=extmap:{track.transport_cc} {TRANSPORT_CC_URI}",
        *([] if track.patience is None else [f"a=extmap:{track.patience} {patience.URI}"]),
        *(f"a=rtcp-fb:{codec.payload_type} transport-cc" for codec in track.codecs),
    ]


def _remb(track: TrackPlan) -> list[str]:
    """Agree to REMB and to the moments that it is reckoned from."""
    lines = [] if track.send_time is None else [f"a=extmap:{track.send_time} {SEND_TIME_URI}"]
    return [*lines, *(f"a=rtcp-fb:{codec.payload_type} goog-remb" for codec in track.codecs if track.remb)]


def _described(section: Section, track: TrackPlan) -> list[str]:
    """Agree to the Dependency Descriptor; a keyframe's is longer than short header extensions may be."""
    if track.descriptor is None:
        return []
    mixed = ["a=extmap-allow-mixed"] if section.long_extensions else []
    return [*mixed, f"a=extmap:{track.descriptor} {dependency.URI}"]


def _with_rate(lines: list[str], kbps: int) -> list[str]:
    """Put b=AS behind the c= line (RFC 8866 5)."""
    return [*lines[:2], f"b=AS:{kbps}", *lines[2:]]


def _inactive(section: Section, local: LocalTransport, offer: Offer, plan: MediaPlan) -> list[str] | None:
    """Keep a picture section alive without a picture, where the voice carries the transport (RFC 8829 5.3.1)."""
    codec = next((c for c in section.codecs if _forwardable(c)), None)
    if section.kind != "video" or not section.usable or codec is None or plan.audio is None or not section.bundled:
        return None
    return _accepted(section, codec, local, offer, "inactive", _own_parameters(codec), [])


def _source(ssrc: int) -> list[str]:
    return [f"a=ssrc:{ssrc} cname:{CNAME}"]


def _own_parameters(codec: Codec) -> str:
    """Give the offer's own parameters back: profile and level must be those of the payload type (RFC 6184 8.2.2)."""
    if codec.name == "AV1" and all(AV1_DEFAULTS.get(name) == value for name, value in codec.parameters):
        return ""
    return ";".join(f"{name}={value}" if value else name for name, value in codec.parameters)


def _session(offer: Offer, local: LocalTransport, sections: list[list[str]]) -> str:
    """Put the answer together; candidates stand once, in the section that carries the bundle (RFC 8843 7.1.3)."""
    accepted = [i for i, lines in enumerate(sections) if lines[0].split(" ", 2)[1] != "0"]
    agreed = [offer.sections[i].mid for i in accepted if offer.sections[i].bundled]
    head = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
    if agreed:
        head.append("a=group:BUNDLE " + " ".join(agreed))
    for index in accepted:
        if index == accepted[0] or not offer.sections[index].bundled:
            sections[index] = sections[index] + candidates(local)
    return "\r\n".join(head + [line for lines in sections for line in lines]) + "\r\n"


def _rejected(section: Section) -> list[str]:
    """Refuse a section: port 0 (RFC 8829 5.3.1)."""
    lines = [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}", "c=IN IP4 0.0.0.0", "a=inactive"]
    return [*lines, f"a=mid:{section.mid}"] if section.mid else lines


def _accepted(
    section: Section,
    codec: Codec,
    local: LocalTransport,
    offer: Offer,
    direction: str,
    parameters: str,
    extra: list[str],
    more: tuple[Codec, ...] = (),
) -> list[str]:
    """Write an agreed section; `parameters` are the first codec's, those of `more` are as offered."""
    numbers = [n for c in (codec, *more) for n in (c.payload_type, c.rtx) if n is not None]
    formats = " ".join(map(str, dict.fromkeys(numbers)))
    lines = [f"m={section.kind} {local.port} {section.protocol} {formats}", "c=IN IP4 0.0.0.0"]
    if section.mid:
        lines.append(f"a=mid:{section.mid}")
    lines += [
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{'active' if dtls_role(offer) == 'client' else 'passive'}",
        f"a={direction}",
        "a=rtcp-mux",
        *_codec_lines(section.kind, codec, parameters),
    ]
    for other in more:
        lines += _codec_lines(section.kind, other, _own_parameters(other))
    return lines + extra


def _codec_lines(kind: str, codec: Codec, parameters: str) -> list[str]:
    number, rtx = codec.payload_type, codec.rtx
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    name = "opus" if codec.name == "OPUS" else codec.name
    lines = [f"a=rtpmap:{number} {name}/{codec.clock_rate}{channels}"]
    if parameters:
        lines.append(f"a=fmtp:{number} {parameters}")
    # Opus has no RTX; its NACK, not in any offer, asks for the same packet once more (docs/live-plane.md).
    lines.append(f"a=rtcp-fb:{number} nack")
    if kind == "video":
        lines.append(f"a=rtcp-fb:{number} nack pli")
    if rtx is not None:
        lines += [f"a=rtpmap:{rtx} rtx/{codec.clock_rate}", f"a=fmtp:{rtx} apt={number}"]
    return lines


def candidates(local: LocalTransport) -> list[str]:
    """List host candidates, the first preferred; those over TCP stand behind all of UDP's.

    Lines by RFC 8839 5.1 and RFC 6544 4.5. Priorities by RFC 8445 5.1.2.1; over TCP the type preference is the lower 90
    that browsers use too, and the local preference begins with the direction (RFC 6544 4.2: passive, 2 of 7).
    """
    udp = (126 << 24) + (65535 << 8) + 255
    tcp = (90 << 24) + ((2 * 8192 + 8191) << 8) + 255
    ways = (("udp", udp, "typ host"), ("tcp", tcp, "typ host tcptype passive"))
    lines = []
    for protocol, top, kind in ways:
        for i, address in enumerate(local.addresses):
            foundation = len(lines) + 1
            priority = top - i * PRIORITY_STEP
            lines.append(f"a=candidate:{foundation} 1 {protocol} {priority} {address} {local.port} {kind}")
    return [*lines, "a=end-of-candidates"]
