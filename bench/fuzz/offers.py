"""Make hostile SDP: offers of real clients damaged, and offers by a grammar that knows what each line may say."""

from __future__ import annotations

import random
from pathlib import Path

from tests.media.mutation import mutate

OFFERS = Path(__file__).resolve().parents[2] / "tests" / "media" / "offers"
NAMES = ("opus", "AV1", "VP8", "VP9", "H264", "rtx", "red", "PCMU", "\x00", "ö" * 300, "", "x" * 257)
NUMBERS = ("0", "1", "8", "96", "97", "111", "127", "128", "255", "-1", "٣", "9" * 12, "", "*", "1e3", "4294967296")
WORDS = ("audio", "video", "application", "0", "a", "*", "\x00", "\ud800", "x" * 300, "ы", "", "apt=96", "profile-id=0")
PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "RTP/SAVPF", "UDP/DTLS/SCTP", "\x7f", "")
PRINT = "AB:" * 31 + "CD"
HUGE = 0.002
"""How many of the offers are of thousands of lines, or have one line of tens of thousands of characters."""


def texts() -> list[str]:
    """Return the recorded offers as they came over the wire."""
    return [path.read_bytes().decode() for path in sorted(OFFERS.glob("*.sdp"))]


_SEEDS = [text.encode() for text in texts()]
_LINES = sorted({line for text in texts() for line in text.splitlines()})


def offer(rng: random.Random) -> str:
    """Make one offer."""
    dice = rng.random()
    if dice < HUGE:
        return _huge(rng)
    if dice < 0.3:
        return mutate(rng, rng.choice(_SEEDS)).decode("utf-8", rng.choice(("replace", "surrogateescape")))
    if dice < 0.6:
        return _shuffled(rng)
    return _grammatical(rng)


def fragment(rng: random.Random) -> str:
    """Make one trickle-ice-sdpfrag (RFC 8840)."""
    lines = [
        "a=ice-ufrag:abcd",
        "a=ice-pwd:" + "p" * 24,
        "m=audio 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:0",
        "a=group:BUNDLE 0 1",
    ]
    lines += ["a=candidate:1 1 udp 1 192.0.2.1 9 typ host", "a=end-of-candidates", _attribute(rng)]
    chosen = [rng.choice(lines) for _ in range(rng.choice((1, 3, 8, 60)))]
    text = "\r\n".join(chosen)
    if rng.random() < HUGE:
        text = rng.choice(("\n" * 65536, " \r" * 30000, "a=\n" * 21000, "m=audio 9 x" + " 1" * 30000, "é" * 40000))
    return mutate(rng, text.encode("utf-8", "replace")).decode("utf-8", "replace") if rng.random() < 0.4 else text


def _shuffled(rng: random.Random) -> str:
    """Leave lines of a recorded offer out, double them, exchange them, or put in lines of others."""
    lines = rng.choice(_SEEDS).decode().splitlines()
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, rng.choice(_LINES))
            case 2:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 3:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)] + rng.choice(WORDS)
            case _:
                lines[at] = lines[at].replace("96", rng.choice(NUMBERS)).replace("111", rng.choice(NUMBERS))
    return rng.choice(("\r\n", "\r\n", "\n", "\r")).join(lines)


def _grammatical(rng: random.Random) -> str:
    """Write an offer from nothing, each choice mostly right."""
    head = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE " + " ".join("0123456789")]
    if rng.random() < 0.8:
        head += ["a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 24, "a=fingerprint:sha-256 " + PRINT, "a=setup:actpass"]
    lines = list(head)
    for mid in range(rng.choice((0, 1, 2, 2, 2, 3, 16, 17))):
        kind = rng.choice(("audio", "video", "video", rng.choice(WORDS)))
        formats = [str(rng.choice((0, 8, 96, 97, 98, 111, 127))) for _ in range(rng.choice((1, 2, 4, 20)))]
        port = rng.choice(("9", "9", "9", "0", rng.choice(NUMBERS)))
        lines.append(f"m={kind} {port} {rng.choice(PROTOCOLS)} {' '.join(formats)}")
        lines += [
            f"a=mid:{rng.choice((mid, mid, mid, 0))}",
            rng.choice(("a=sendrecv", "a=recvonly", "a=sendonly", "a=")),
        ]
        for number in formats:
            lines.append(f"a=rtpmap:{number} {rng.choice(NAMES[:6])}/{rng.choice(('48000/2', '90000', '0', ''))}")
            lines.append(f"a=rtcp-fb:{rng.choice((number, '*'))} {rng.choice(('transport-cc', 'nack', 'goog-remb'))}")
        lines += [_attribute(rng) for _ in range(rng.choice((0, 2, 8)))]
    return "\r\n".join(lines) + "\r\n"


def _attribute(rng: random.Random) -> str:
    number, word, name = rng.choice(NUMBERS), rng.choice(WORDS), rng.choice(NAMES)
    return rng.choice(
        (
            f"a=rtpmap:{number} {name}/{rng.choice(NUMBERS)}/{rng.choice(NUMBERS)}",
            f"a=fmtp:{number} {word};{';;=;' * rng.randrange(30)}packetization-mode=1;profile-level-id={word}",
            f"a=fmtp:{number} apt={rng.choice(NUMBERS)}",
            f"a=ssrc:{number} cname:{word}",
            f"a=extmap:{number}/{word} {rng.choice(('http://www.ietf.org/id/x', word))}",
            f"a=fingerprint:{rng.choice(('sha-256', 'SHA-512', 'md5'))} {rng.choice((PRINT, word))}",
            f"a=setup:{rng.choice(('active', 'passive', 'holdconn', word))}",
            f"a=candidate:1 1 udp 1 {word} {number} typ host",
            f"a=ice-ufrag:{word}",
            f"a={word}",
            f"m={word}",
        )
    )


def _huge(rng: random.Random) -> str:
    """Write what is large in one way: sections, lines, a line, codecs, parameters, candidates."""
    start = _SEEDS[rng.randrange(len(_SEEDS))].decode()
    return start + rng.choice(
        (
            "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 2000,
            "m=audio 9 UDP/TLS/RTP/SAVPF" + " 1" * 30000,
            "\n" * 60000,
            "\r\n" * 29000,
            "a=\n" * 1700,
            "a=" + "x" * 60000,
            "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 1300,
            "".join(f"a=rtpmap:{n % 128} VP8/90000\r\na=rtcp-fb:* nack {n}\r\n" for n in range(800)),
            "a=fmtp:96 " + "a=b;" * 2000 + "\r\n",
            "".join(f"a=fmtp:{n} " + ";" * 8000 + "\r\n" for n in range(7)),
            "a=group:BUNDLE" + " 0" * 4000 + "\r\n",
            "a=ssrc:" + "9" * 8000 + "\r\n",
            "\0" * 60000,
            "ы" * 40000,
            "x" * 1_000_000,
        )
    )
