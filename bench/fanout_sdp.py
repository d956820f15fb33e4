"""Pure: the few lines of SDP by which a counting viewer or a made-up host agrees with any of the servers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from media.answer import TRANSPORT_CC_URI
from media.sdp import Offer, parse_offer

VOICE_PT, PICTURE_PT, REPAIR_PT, AV1_PT, AV1_REPAIR_PT = 111, 96, 97, 45, 46
EXTENSION_ID = 3
CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Local:
    """Our end: where we are, ICE names, certificate hash (sha-256)."""

    address: tuple[str, int]
    ufrag: str
    password: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Remote:
    """The server's end: where it is, ICE names, certificate hashes, and whether packets will be numbered."""

    address: tuple[str, int]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]


def read(text: str, reachable: str) -> Remote:
    """Read an offer or answer of a server; of its candidates the one at `reachable` is taken, else the first.

    Raises ValueError where there is none.
    """
    told: Offer = parse_offer(text)
    places = [(ip, int(port)) for ip, port in CANDIDATE.findall(text)]
    if not places:
        raise ValueError("the server names no UDP candidate over IPv4")
    address = next((place for place in places if place[0] == reachable), places[0])
    return Remote(address, told.ufrag, told.password, told.fingerprints)


def offer(local: Local, direction: str, ssrcs: Sequence[int] = (), codecs: Sequence[str] = ("VP8",)) -> str:
    """Write an offer of a voice and a picture; `ssrcs` are the sources of one who sends."""
    voice = [f"m=audio 9 UDP/TLS/RTP/SAVPF {VOICE_PT}", *_media(local, "0", direction, "active")]
    voice += [f"a=rtpmap:{VOICE_PT} opus/48000/2", f"a=rtcp-fb:{VOICE_PT} transport-cc", *_sources(ssrcs[:1])]
    numbers = {"VP8": (PICTURE_PT, REPAIR_PT), "AV1": (AV1_PT, AV1_REPAIR_PT)}
    formats = " ".join(str(number) for name in codecs for number in numbers[name])
    picture = [f"m=video 9 UDP/TLS/RTP/SAVPF {formats}", *_media(local, "1", direction, "active")]
    for name in codecs:
        number, repair = numbers[name]
        picture += [f"a=rtpmap:{number} {name}/90000", f"a=rtcp-fb:{number} transport-cc", f"a=rtcp-fb:{number} nack"]
        picture += [f"a=rtcp-fb:{number} nack pli", f"a=rtpmap:{repair} rtx/90000", f"a=fmtp:{repair} apt={number}"]
    return _join(["a=group:BUNDLE 0 1"], [*voice, *picture, *_sources(ssrcs[1:])])


def answer(text: str, local: Local) -> str:
    """Accept all that a server offers, to receive it."""
    told, lines = parse_offer(text), []
    for section in told.sections:
        lines += [f"m={section.kind} 9 {section.protocol} {' '.join(section.formats)}"]
        lines += _media(local, section.mid, "recvonly", "active", extension=None)
        number = section.extension_id(TRANSPORT_CC_URI)
        lines += [] if number is None else [f"a=extmap:{number} {TRANSPORT_CC_URI}"]
        for codec in section.codecs:
            lines.append(f"a=rtpmap:{codec.payload_type} {codec.name.lower()}/{codec.clock_rate}")
            lines += [f"a=rtcp-fb:{codec.payload_type} {kind}" for kind in codec.feedback]
            if codec.rtx is not None:
                lines += [f"a=rtpmap:{codec.rtx} rtx/90000", f"a=fmtp:{codec.rtx} apt={codec.payload_type}"]
    bundle = " ".join(section.mid for section in told.sections)
    return _join([f"a=group:BUNDLE {bundle}"], lines)


def _media(local: Local, mid: str, direction: str, setup: str, extension: int | None = EXTENSION_ID) -> list[str]:
    ip, port = local.address
    lines = ["c=IN IP4 0.0.0.0", f"a=mid:{mid}", f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.password}"]
    lines += [f"a=fingerprint:sha-256 {local.fingerprint}", f"a=setup:{setup}", f"a={direction}", "a=rtcp-mux"]
    lines += [f"a=candidate:1 1 udp 2130706431 {ip} {port} typ host", "a=end-of-candidates"]
    return lines if extension is None else [*lines, f"a=extmap:{extension} {TRANSPORT_CC_URI}"]


def _sources(ssrcs: Sequence[int]) -> list[str]:
    return [f"a=ssrc:{ssrc} cname:bench" for ssrc in ssrcs]


def _join(head: list[str], lines: list[str]) -> str:
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *head, *lines]) + "\r\n"
