"""What a PATCH asks for: nothing, an ICE restart, or something that its conditions forbid."""

from __future__ import annotations

import random

import pytest

from media.answer import LocalTransport
from media.patching import BadFragment, Verdict, answer_restart, judge, parse_fragment

RESTART = (
    "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n"
)
TRICKLE = (
    RESTART.replace("ysXw", "EsAw") + "a=candidate:1 1 udp 1 198.51.100.1 39132 typ host\r\na=end-of-candidates\r\n"
)
BARE = "a=end-of-candidates\r\n"
LOCAL = LocalTransport("newufrag", "p" * 24, "AB:CD", ("198.51.100.7",), 8443)


@pytest.mark.parametrize(
    ("text", "if_match", "verdict"),
    [
        (RESTART, '"*"', Verdict.RESTART),
        (RESTART, "*", Verdict.RESTART),
        (RESTART, None, Verdict.UNCONDITIONAL),
        (RESTART, '"tag"', Verdict.CHANGED),
        (RESTART, '"other"', Verdict.CHANGED),
        (TRICKLE, '"tag"', Verdict.NOTHING),
        (TRICKLE, None, Verdict.NOTHING),
        (TRICKLE, '"other"', Verdict.CHANGED),
        (TRICKLE, '"other", "tag"', Verdict.NOTHING),
        (TRICKLE, '"*"', Verdict.RESTART),
        (BARE, None, Verdict.NOTHING),
        (BARE, '"tag"', Verdict.NOTHING),
        (BARE, '"other"', Verdict.CHANGED),
        (BARE, '"*"', Verdict.NOTHING),
    ],
)
def test_conditions(text: str, if_match: str | None, verdict: Verdict) -> None:
    """New names need `*`; a tag that is given must be the present one; candidates alone change nothing."""
    assert judge(parse_fragment(text), if_match, "tag", "EsAw") is verdict


def test_the_answer_has_our_names_in_the_askers_frame() -> None:
    """The 200 carries bundle, section and mid as they came, our new names, and candidates of both protocols."""
    lines = answer_restart(parse_fragment(RESTART), LOCAL).split("\r\n")
    assert lines[:6] == [
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        "a=ice-ufrag:newufrag",
        "a=ice-pwd:" + "p" * 24,
    ]
    assert [line.split()[2] for line in lines if line.startswith("a=candidate:")] == ["udp", "tcp"]
    assert lines[-2:] == ["a=end-of-candidates", ""]


@pytest.mark.parametrize(
    "text",
    ["a=ice-ufrag:abcd\r\n", "a=ice-pwd:" + "x" * 24, "a=ice-ufrag:a b\r\na=ice-pwd:x", "a=x\r\n" * 20_000],
)
def test_half_a_pair_of_names_is_refused(text: str) -> None:
    """One name without the other, malformed names and oversized fragments say what is wrong."""
    with pytest.raises(BadFragment):
        parse_fragment(text)


def test_damaged_fragments_bring_nothing_foreign_into_the_answer() -> None:
    """Whatever is changed in a fragment, it is refused, or what is given back still reads as lines of SDP."""
    chance = random.Random(8)
    for _ in range(2000):
        text = list(RESTART)
        for _ in range(chance.randint(1, 8)):
            text[chance.randrange(len(text))] = chr(chance.choice((0, 10, 13, 32, 58, 97, 0x663)))
        try:
            answer = answer_restart(parse_fragment("".join(text)), LOCAL)
        except BadFragment:
            continue
        assert all(line[1:2] == "=" and line.isascii() and line.isprintable() for line in answer.split("\r\n")[:-1])
