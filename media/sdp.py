"""Pure: read SDP offers (RFC 8866, RFC 8829) from any WHIP or WHEP client, defensively.

Only what an answer needs is kept. Lines that mean nothing to us are skipped, as RFC 8866 5 demands; what cannot work is
an SdpError whose text tells the other end why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_SDP_BYTES = 64 * 1024
MAX_LINES = 2048
"""Browsers' offers have 100 to 300."""
MAX_LINE_CHARACTERS = 8192
MAX_SECTIONS = 16
MAX_PAYLOAD_TYPES = 128
MAX_PARAMETERS = 64
"""Of one payload type; what stands behind them is passed over, as are more kinds of feedback than MAX_FEEDBACK."""
MAX_FEEDBACK = 32
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
    long_extensions: bool = False
    """Whether header extensions over 16 bytes may come between short ones (RFC 8285 6, a=extmap-allow-mixed)."""

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


@dataclass(frozen=True, slots=True)
class _Block:
    """The session's lines, or those of one media section: its `m=` line and the values of its attributes by name.

    Sorted once, so that reading costs the same however many lines and sections there are.
    """

    first: str
    attributes: dict[str, list[str]]

    def all(self, name: str) -> list[str]:
        """Return the values of every `a=name:value` ("" for a bare flag)."""
        return self.attributes.get(name, [])

    def one(self, name: str) -> str | None:
        """Return the first value, None where the attribute is absent."""
        return next(iter(self.all(name)), None)

    def flag(self, name: str) -> bool:
        """Say whether there is a bare `a=name`."""
        return "" in self.all(name)


def parse_offer(text: str) -> Offer:
    """Parse an offer. Raises SdpError."""
    head, media = _blocks(text)
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


def _blocks(text: str) -> tuple[_Block, list[_Block]]:
    """Sort the lines into those of the session and of each section. Raises SdpError for what is too large."""
    if len(text) > MAX_SDP_BYTES or len(text.encode(errors="replace")) > MAX_SDP_BYTES:
        raise SdpError(f"the offer is larger than {MAX_SDP_BYTES} bytes")
    lines = [line for line in text.replace("\r", "\n").split("\n") if line]
    if len(lines) > MAX_LINES:
        raise SdpError(f"the offer has more than {MAX_LINES} lines")
    if not lines or lines[0].strip() != "v=0":
        raise SdpError("an SDP begins with v=0")
    blocks = [_Block("", {})]
    for line in lines:
        if len(line) > MAX_LINE_CHARACTERS:
            raise SdpError(f"a line is longer than {MAX_LINE_CHARACTERS} characters: {line[:60]!r}")
        if line.startswith("m="):
            blocks.append(_Block(line.rstrip(), {}))
        elif line.startswith("a="):
            name, _, value = line[2:].rstrip().partition(":")
            blocks[-1].attributes.setdefault(name, []).append(value.strip())
    return blocks[0], blocks[1:]


def _transport(sections: tuple[Section, ...], head: _Block, first: _Block) -> Offer:
    """Read the transport from the first usable section, or the session (RFC 8843 7.1.3)."""
    ufrag = first.one("ice-ufrag") or head.one("ice-ufrag") or ""
    password = first.one("ice-pwd") or head.one("ice-pwd") or ""
    if not _ICE_CHARS.match(ufrag) or not _ICE_CHARS.match(password):
        raise SdpError("ice-ufrag or ice-pwd is missing or malformed")
    prints = _fingerprints(first) or _fingerprints(head)
    if not prints:
        raise SdpError("no certificate fingerprint by sha-256, sha-384 or sha-512")
    setup = first.one("setup") or head.one("setup") or "actpass"
    if setup not in ("actpass", "active", "passive"):
        raise SdpError(f"a=setup:{setup[:20]} cannot be answered; expected actpass, active or passive")
    return Offer(sections, ufrag, password, prints, setup)


def _fingerprints(block: _Block) -> tuple[tuple[str, str], ...]:
    found = []
    for value in block.all("fingerprint"):
        algorithm, _, digest = value.partition(" ")
        algorithm, digest = algorithm.lower(), digest.strip().upper()
        if algorithm not in FINGERPRINT_BYTES:
            continue
        if not _HEX.match(digest) or len(digest) != FINGERPRINT_BYTES[algorithm] * 3 - 1:
            raise SdpError(f"malformed {algorithm} fingerprint")
        found.append((algorithm, digest))
    return tuple(found)


def _bundle(head: _Block) -> frozenset[str]:
    """Return the mids of the first BUNDLE group."""
    for value in head.all("group"):
        semantics, _, mids = value.partition(" ")
        if semantics == "BUNDLE":
            return frozenset(mids.split())
    return frozenset()


def _section(block: _Block, head: _Block, bundle: frozenset[str]) -> Section:
    words = block.first[2:].split()
    if len(words) < 4 or not words[1].partition("/")[0].isdigit():
        raise SdpError(f"malformed line {block.first[:60]!r}")
    kind, port, protocol, *formats = words
    if not _TOKEN.match(kind) or not _TOKEN.match(protocol) or len(formats) > MAX_PAYLOAD_TYPES:
        raise SdpError("malformed media section")
    mid = block.one("mid") or ""
    if mid and (not _TOKEN.match(mid) or len(mid) > 32):
        raise SdpError("malformed a=mid")
    direction = next((d for d in DIRECTIONS if block.flag(d) or head.flag(d)), "sendrecv")
    # A bundled section may have port 0 with a=bundle-only (RFC 8843 6).
    refused = port.partition("/")[0] == "0" and not block.flag("bundle-only")
    usable = (
        kind in ("audio", "video")
        and not refused
        and protocol in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")
    )
    codecs = _codecs(block, formats) if usable else ()
    return Section(
        kind,
        protocol,
        tuple(formats),
        mid,
        direction,
        codecs,
        _ssrcs(block),
        usable,
        mid in bundle,
        _extensions(block),
        block.flag("extmap-allow-mixed") or head.flag("extmap-allow-mixed"),
    )


def _extensions(block: _Block) -> tuple[tuple[int, str], ...]:
    """Read `a=extmap:<number>[/<direction>] <URI> …` (RFC 8285 8); at most 32."""
    found = []
    for value in block.all("extmap")[:32]:
        words = value.split()
        number = _number(words[0].partition("/")[0], 255) if len(words) > 1 else None
        if number is not None:
            found.append((number, words[1]))
    return tuple(found)


def _number(text: str, high: int) -> int | None:
    """Return a decimal number from 0 to `high`, or None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= high else None


def _ssrcs(block: _Block) -> tuple[int, ...]:
    """List the sources in order of appearance, at most 16."""
    found: dict[int, None] = {}
    for value in block.all("ssrc"):
        number = _number(value.partition(" ")[0], 0xFFFFFFFF)
        if number is not None and len(found) < 16:
            found[number] = None
    return tuple(found)


def _codecs(block: _Block, formats: list[str]) -> tuple[Codec, ...]:
    """Read rtpmap, fmtp and rtcp-fb of every format; RTX is folded into the codec that it repairs (RFC 4588 8.6)."""
    maps: dict[int, tuple[str, int, int]] = {}
    for value in block.all("rtpmap"):
        number, _, encoding = value.partition(" ")
        parts = encoding.strip().split("/")
        payload_type = _number(number, 127)
        rate = _number(parts[1], 10_000_000) if len(parts) > 1 else None
        if payload_type is not None and rate and _TOKEN.match(parts[0]):
            channels = _number(parts[2], 255) if len(parts) > 2 else 1
            maps[payload_type] = (parts[0].upper(), rate, channels or 1)
    parameters = {pt: _parameters(text) for pt, text in _by_payload_type(block, "fmtp")}
    feedback: dict[int | None, list[str]] = {}
    for payload_type, text in _by_payload_type(block, "rtcp-fb"):
        wishes = feedback.setdefault(payload_type, [])
        if len(wishes) < MAX_FEEDBACK:
            wishes.append(text.strip())
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


def _by_payload_type(block: _Block, name: str) -> list[tuple[int | None, str]]:
    """Return (payload type, rest) of fmtp or rtcp-fb lines; None stands for the wildcard of rtcp-fb."""
    found: list[tuple[int | None, str]] = []
    for value in block.all(name):
        number, _, rest = value.partition(" ")
        payload_type = _number(number, 127)
        if number == "*" or payload_type is not None:
            found.append((payload_type, rest))
    return found


def _parameters(text: str) -> tuple[tuple[str, str], ...]:
    """Split `a=1;b=2`; what has no sign keeps an empty value."""
    pairs = (part.strip().partition("=") for part in text.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS] if part.strip())
    return tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
