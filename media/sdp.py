"""Pure: read SDP offers (RFC 8866, RFC 8829) from any WHIP or WHEP client, defensively.

Only what an answer needs is kept. Lines that mean nothing to us are skipped, as RFC 8866 5 demands; what cannot work is
an SdpError whose text tells the other end why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_SDP_BYTES = 64 * 1024
MAX_SECTIONS = 16
MAX_PAYLOAD_TYPES = 128
DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Hashes that the DTLS side can check (RFC 8122 5); others in an offer are passed over."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}\Z")
_ICE_CHARS = re.compile(r"[A-Za-z0-9+/\-_=]{1,256}\Z")
_HEX = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2})*\Z")


class SdpError(ValueError):
    """An offer that cannot be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type: `name` in capitals, `parameters` of its fmtp, `rtx` the payload type that repairs it."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int
    parameters: tuple[tuple[str, str], ...] = ()
    feedback: tuple[str, ...] = ()
    rtx: int | None = None

    def parameter(self, name: str, default: str = "") -> str:
        """Return one fmtp parameter."""
        return dict(self.parameters).get(name, default)


@dataclass(frozen=True, slots=True)
class Section:
    """One m= section. `usable` is false for what is rejected whatever it holds (data channels, port 0, no RTP)."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str
    direction: str
    codecs: tuple[Codec, ...]
    ssrcs: tuple[int, ...]
    usable: bool
    bundled: bool
    extensions: tuple[tuple[int, str], ...] = ()

    @property
    def sends(self) -> bool:
        """Whether the other end wants to send here."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def receives(self) -> bool:
        """Whether the other end wants to receive here."""
        return self.direction in ("sendrecv", "recvonly")

    def extension_id(self, uri: str) -> int | None:
        """Return the number that the offer gives a header extension; one-byte headers know 1 to 14 (RFC 8285 4.2)."""
        return next((number for number, name in self.extensions if name == uri and 1 <= number <= 14), None)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the other end proposes: its sections in order, its ICE names, its certificate hashes, its DTLS role."""

    sections: tuple[Section, ...]
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str


def parse_offer(text: str) -> Offer:
    """Parse an offer. Raises SdpError."""
    if len(text) > MAX_SDP_BYTES or len(text.encode(errors="replace")) > MAX_SDP_BYTES:
        raise SdpError(f"the offer is larger than {MAX_SDP_BYTES} bytes")
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line]
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("an SDP begins with v=0")
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            blocks.append([])
        blocks[-1].append(line.rstrip())
    head, media = blocks[0], blocks[1:]
    if not media:
        raise SdpError("the offer has no media section")
    if len(media) > MAX_SECTIONS:
        raise SdpError(f"the offer has more than {MAX_SECTIONS} media sections")
    bundle = _bundle(head)
    sections = tuple(_section(block, head, bundle) for block in media)
    if len({s.mid for s in sections}) != len(sections):
        raise SdpError("two media sections have the same mid")
    live = [i for i, s in enumerate(sections) if s.usable]
    if not live:
        raise SdpError("the offer has no audio or video section over DTLS-SRTP")
    if len(live) > 1 and not all(sections[i].bundled for i in live):
        raise SdpError("audio and video must share one transport (a=group:BUNDLE)")
    return _transport(sections, head, media[live[0]])


def _transport(sections: tuple[Section, ...], head: list[str], first: list[str]) -> Offer:
    """Read the transport from the first usable section, or the session (RFC 8843 7.1.3)."""
    ufrag = _attribute(first, "ice-ufrag") or _attribute(head, "ice-ufrag") or ""
    password = _attribute(first, "ice-pwd") or _attribute(head, "ice-pwd") or ""
    if not _ICE_CHARS.match(ufrag) or not _ICE_CHARS.match(password):
        raise SdpError("ice-ufrag or ice-pwd is missing or malformed")
    prints = _fingerprints(first) or _fingerprints(head)
    if not prints:
        raise SdpError("no certificate fingerprint by sha-256, sha-384 or sha-512")
    setup = _attribute(first, "setup") or _attribute(head, "setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise SdpError(f"a=setup:{setup[:20]} cannot be answered; expected actpass, active or passive")
    return Offer(sections, ufrag, password, prints, setup)


def _attributes(lines: list[str], name: str) -> list[str]:
    """Return the values of every `a=name:value` (or "" for a bare flag)."""
    start, flag = f"a={name}:", f"a={name}"
    return [
        line[len(start) :].strip() if line != flag else "" for line in lines if line == flag or line.startswith(start)
    ]


def _attribute(lines: list[str], name: str) -> str | None:
    values = _attributes(lines, name)
    return values[0] if values else None


def _fingerprints(lines: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for value in _attributes(lines, "fingerprint"):
        algorithm, _, digest = value.partition(" ")
        algorithm, digest = algorithm.lower(), digest.strip().upper()
        if algorithm not in FINGERPRINT_BYTES:
            continue
        if not _HEX.match(digest) or len(digest) != FINGERPRINT_BYTES[algorithm] * 3 - 1:
            raise SdpError(f"malformed {algorithm} fingerprint")
        found.append((algorithm, digest))
    return tuple(found)


def _bundle(head: list[str]) -> frozenset[str]:
    """Return the mids of the first BUNDLE group."""
    for value in _attributes(head, "group"):
        semantics, _, mids = value.partition(" ")
        if semantics == "BUNDLE":
            return frozenset(mids.split())
    return frozenset()


def _section(lines: list[str], head: list[str], bundle: frozenset[str]) -> Section:
    words = lines[0][2:].split()
    if len(words) < 4 or not words[1].partition("/")[0].isdigit():
        raise SdpError(f"malformed line {lines[0][:60]!r}")
    kind, port, protocol, *formats = words
    if not _TOKEN.match(kind) or not _TOKEN.match(protocol) or len(formats) > MAX_PAYLOAD_TYPES:
        raise SdpError("malformed media section")
    mid = _attribute(lines, "mid") or ""
    if mid and (not _TOKEN.match(mid) or len(mid) > 32):
        raise SdpError("malformed a=mid")
    direction = next((d for d in DIRECTIONS if f"a={d}" in lines or f"a={d}" in head), "sendrecv")
    # A bundled section may have port 0 with a=bundle-only (RFC 8843 6).
    refused = port.partition("/")[0] == "0" and "a=bundle-only" not in lines
    usable = (
        kind in ("audio", "video")
        and not refused
        and protocol in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")
    )
    codecs = _codecs(lines, formats) if usable else ()
    return Section(
        kind, protocol, tuple(formats), mid, direction, codecs, _ssrcs(lines), usable, mid in bundle, _extensions(lines)
    )


def _extensions(lines: list[str]) -> tuple[tuple[int, str], ...]:
    """Read `a=extmap:<number>[/<direction>] <URI> …` (RFC 8285 8); at most 32."""
    found = []
    for value in _attributes(lines, "extmap")[:32]:
        words = value.split()
        number = _number(words[0].partition("/")[0], 255) if len(words) > 1 else None
        if number is not None:
            found.append((number, words[1]))
    return tuple(found)


def _number(text: str, high: int) -> int | None:
    """Return a decimal number from 0 to `high`, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= high else None


def _ssrcs(lines: list[str]) -> tuple[int, ...]:
    """List the sources in order of appearance, at most 16."""
    found: dict[int, None] = {}
    for value in _attributes(lines, "ssrc"):
        number = _number(value.partition(" ")[0], 0xFFFFFFFF)
        if number is not None and len(found) < 16:
            found[number] = None
    return tuple(found)


def _codecs(lines: list[str], formats: list[str]) -> tuple[Codec, ...]:
    """Read rtpmap, fmtp and rtcp-fb of every format; RTX is folded into the codec that it repairs (RFC 4588 8.6)."""
    maps: dict[int, tuple[str, int, int]] = {}
    for value in _attributes(lines, "rtpmap"):
        number, _, encoding = value.partition(" ")
        parts = encoding.strip().split("/")
        payload_type = _number(number, 127)
        rate = _number(parts[1], 10_000_000) if len(parts) > 1 else None
        if payload_type is not None and rate and _TOKEN.match(parts[0]):
            channels = _number(parts[2], 255) if len(parts) > 2 else 1
            maps[payload_type] = (parts[0].upper(), rate, channels or 1)
    parameters = {pt: _parameters(text) for pt, text in _by_payload_type(lines, "fmtp")}
    feedback: dict[int | None, list[str]] = {}
    for payload_type, text in _by_payload_type(lines, "rtcp-fb"):
        feedback.setdefault(payload_type, []).append(text.strip())
    order = [pt for pt in (_number(f, 127) for f in formats) if pt in maps]
    repairs = {}
    for payload_type in order:
        if maps[payload_type][0] == "RTX":
            repaired = _number(dict(parameters.get(payload_type, ())).get("apt", ""), 127)
            repairs.setdefault(repaired, payload_type)
    return tuple(
        Codec(
            payload_type=pt,
            name=maps[pt][0],
            clock_rate=maps[pt][1],
            channels=maps[pt][2],
            parameters=parameters.get(pt, ()),
            feedback=tuple(feedback.get(None, []) + feedback.get(pt, [])),
            rtx=repairs.get(pt),
        )
        for pt in dict.fromkeys(order)
        if maps[pt][0] != "RTX"
    )


def _by_payload_type(lines: list[str], name: str) -> list[tuple[int | None, str]]:
    """Return (payload type, rest) of fmtp or rtcp-fb lines; None stands for the wildcard of rtcp-fb."""
    found: list[tuple[int | None, str]] = []
    for value in _attributes(lines, name):
        number, _, rest = value.partition(" ")
        payload_type = _number(number, 127)
        if number == "*" or payload_type is not None:
            found.append((payload_type, rest))
    return found


def _parameters(text: str) -> tuple[tuple[str, str], ...]:
    """Split `a=1;b=2`; what has no sign keeps an empty value."""
    pairs = (part.strip().partition("=") for part in text.split(";") if part.strip())
    return tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
