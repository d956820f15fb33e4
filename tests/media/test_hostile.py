"""What strangers send: many made inputs for every parser, and those that are known to hurt parsers elsewhere."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.fuzz import packets
from bench.fuzz.running import Outcome, run
from bench.fuzz.subjects import HOST_CODECS, LOCAL, SSRCS, SUBJECTS, Subject
from media import rtcp, twcc
from media.answer import VoiceRequest, answer_host, answer_viewer, plan_host, plan_viewer
from media.patching import BadFragment, parse_fragment
from media.payload import Depacketizer
from media.payload.video import CODECS, MAX_FRAME_PACKETS
from media.rtc import ice
from media.rtc.framing import BadFrame, Deframer
from media.rtp import MalformedPacket, RtpPacket, parse_rtp
from media.sdp import MAX_LINES, MAX_SDP_BYTES, SdpError, parse_offer
from tests.media.packetizers import leb128
from tests.media.test_payload import FRAMES
from tests.media.test_sdp import offer_text

INPUTS = 20_000
DEAR = {"sdp": 3_000}
WHERE = ("192.0.2.1", 40000)
HEAD = "v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:pppppppppppppppppppppp\r\na=group:BUNDLE 0 1\r\n"
HEAD += "a=fingerprint:sha-256 " + "AB:" * 31 + "CD\r\n"
VOICE = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_only_refusals_leave_a_parser(subject: Subject) -> None:
    """Of thousands of made inputs each is read or refused by the parser's own error; both happen."""
    outcome: Outcome = run(subject, DEAR.get(subject.name, INPUTS), seed=7)
    assert outcome.faults == []
    assert outcome.refused < outcome.inputs
    assert outcome.refused > 0 or not subject.refusals


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever bytes come, every parser of packets gives a value or its own error."""
    for subject in SUBJECTS:
        if subject.name not in ("sdp", "sdp-fragment"):
            try:
                subject.run(data)
            except subject.refusals:
                continue


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever stands in an offer or a fragment, lone surrogates and NULs too, it is answered or refused."""
    for prefix in ("", HEAD, HEAD + VOICE, HEAD + VOICE + "a=fmtp:111 ", HEAD + "m=video 9 UDP/TLS/RTP/SAVPF "):
        for subject in SUBJECTS:
            if subject.name in ("sdp", "sdp-fragment"):
                try:
                    subject.run(prefix + text)
                except subject.refusals:
                    continue


# SDP.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD + VOICE * 10_000, "larger than"),
        (HEAD + "m=audio 9 x 0\r\n" * 1000, "sections"),
        (HEAD + VOICE + "a=" + "x" * 1_000_000, "larger than"),
        (HEAD + VOICE + "a=" + "x" * 60_000, "longer than 8192"),
        (HEAD + VOICE + "a=x\n" * MAX_LINES, "lines"),
        (HEAD + VOICE + VOICE, "same mid"),
        (HEAD + VOICE.replace("a=mid:0", "a=mid:0\0"), "mid"),
        ("\0" * 5000, "begins with v=0"),
        (b"\xff\xfe\x00v=0".decode("latin-1"), "begins with v=0"),
        (HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF" + " 1" * 4000, "malformed media section"),
        (HEAD + "m=audio ٣ UDP/TLS/RTP/SAVPF\r\n", "malformed line"),
        (HEAD.replace("AB:", "ÄB:") + VOICE, "fingerprint"),
        (HEAD + "ы" * (MAX_SDP_BYTES // 2), "larger than"),
    ],
)
def test_hostile_offers_are_refused_with_the_reason(text: str, why: str) -> None:
    """Thousands of sections, a line of a megabyte, doubled names, NULs and other alphabets get a reason."""
    with pytest.raises(SdpError, match=why):
        parse_offer(text)


def test_offers_as_large_as_allowed_are_answered() -> None:
    """Wildcards, parameters and candidates by the thousand are cut to what anybody uses, and the answer stays small."""
    lines = ["a=rtcp-fb:* nack"] * 600 + ["a=candidate:1 1 udp 1 192.0.2.1 9 typ host"] * 600 + ["a=ssrc:1 x"] * 300
    text = HEAD + VOICE + "a=fmtp:111 " + "a=b;" * 2000 + "\r\n" + "\r\n".join(lines) + "\r\n"
    offer = parse_offer(text)
    (codec,) = offer.sections[0].codecs
    assert len(codec.feedback) <= 64
    assert len(codec.parameters) <= 64
    assert len(answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())) < 2000


def test_an_accepted_section_with_payload_type_0_keeps_its_candidates() -> None:
    """A port of 0 means refused; a format of 0 does not."""
    picture = "m=video 9 UDP/TLS/RTP/SAVPF 0 97\r\na=mid:1\r\na=rtpmap:0 VP8/90000\r\n"
    picture += "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=0\r\n"
    offer = parse_offer(HEAD + picture)
    answer = answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())
    assert f"m=video {LOCAL.port} UDP/TLS/RTP/SAVPF 0 97" in answer
    assert "a=group:BUNDLE 1" in answer
    assert "a=candidate:1 1 udp" in answer


@pytest.mark.parametrize("codec", HOST_CODECS, ids=str)
def test_answers_are_bounded_by_offers(codec) -> None:
    """An answer to a recorded offer is no longer than the offer and a transport: nothing multiplies."""
    text = offer_text("chromium-whep")
    offer = parse_offer(text)
    assert len(answer_viewer(offer, plan_viewer(offer, codec), LOCAL, SSRCS)) < len(text) + 1000


def test_fragments_of_thousands_of_lines_are_refused() -> None:
    """A fragment has a dozen lines; thousands are no fragment."""
    with pytest.raises(BadFragment, match="lines"):
        parse_fragment("a=x\n" * 10_000)


# STUN.


def _stun(body: bytes, told: int | None = None) -> bytes:
    return struct.pack("!HHI", 1, len(body) if told is None else told, packets.COOKIE) + bytes(12) + body


@pytest.mark.parametrize(
    "data",
    [
        _stun(b"", 4),
        _stun(b"\0\6\0\4ours", 0xFFFF),
        _stun(b"\0\6\xff\xffours")[:-1],
        _stun(b"\0\x24\0\2\0\0\0\0"),
        _stun(b"\0\x20\0\x08\0\x09\0\0\0\0\0\0"),
        _stun(b"\0\6\0\2\xff\xfe\0\0"),
        _stun(b"\0\6\0\4ours" + b"\x7f\xff\xff\xff" + struct.pack("!HH", 8, 20) + bytes(20)),
        _stun(b"\0\6\0\4ours" + struct.pack("!HH", 8, 4) + bytes(4)),
        _stun(b"\x80\x28\0\4\0\0\0\0"),
        struct.pack("!HHI", 0x3FFF, 0, packets.COOKIE) + bytes(12),
    ],
)
def test_broken_checks_are_passed_over(data: bytes) -> None:
    """Lengths that lie, values of the wrong size, text that is none, unknown methods: no answer, no error."""
    assert ice.parse_check(data) is None


def test_a_check_without_a_signature_is_read_and_not_answered() -> None:
    """Who is asked for stands in the open; that nobody has signed it comes out before anything is sent."""
    check = ice.parse_check(_stun(b"\0\6\0\4ours"))
    assert check.ufrag == "ours"
    assert ice.respond(check, packets.PASSWORD, WHERE) is None


# RTP and RTCP.


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x8f\x60" + bytes(10), "CSRC"),
        (b"\x90\x60" + bytes(10) + b"\xbe\xde\xff\xff", "does not fit"),
        (b"\x90\x60" + bytes(10) + b"\xbe\xde\0\1\x1f\0\0\0", "runs out"),
        (b"\x90\x60" + bytes(10) + b"\x10\0\0\1\1\xff\0\0", "runs out"),
        (b"\xa0\x60" + bytes(10) + b"\xff", "padding"),
    ],
)
def test_rtp_headers_that_lie(data: bytes, why: str) -> None:
    """CSRCs, extensions and padding beyond the packet are refused with the reason."""
    with pytest.raises(MalformedPacket, match=why):
        parse_rtp(data)


def test_one_datagram_tells_of_a_bounded_number_of_packets() -> None:
    """Eighty-five feedbacks of 24 bytes that each name 4,096 lost packets would cost a tenth of a second further on."""
    body = struct.pack("!IIHHIHH", 1, 2, 0, twcc.MAX_STATUS_COUNT, 0, twcc.MAX_STATUS_COUNT, 0)
    one = struct.pack("!BBH", 0x8F, 205, 5) + body
    assert len(rtcp.parse_compound(one * 2)) == 2
    with pytest.raises(MalformedPacket, match="one datagram"):
        rtcp.parse_compound(one * 85)


def test_a_connection_full_of_empty_frames_is_closed() -> None:
    """One read of zeros would be 32,000 empty frames."""
    with pytest.raises(BadFrame, match="empty"):
        Deframer().feed(bytes(65536))


# Payloads.


@pytest.mark.parametrize(
    ("codec", "payload", "why"),
    [
        ("AV1", b"\0" + b"\xff" * 9, "without an end"),
        ("AV1", b"\0" + leb128(2**56 - 1) + b"x", "are left"),
        ("AV1", b"\0" * 1500, "elements"),
        ("AV1", b"\x10\x34", "cut off"),
        ("H264", b"\x78" + b"\0\0" * 1000, "does not fit"),
        ("H264", b"\x78" + b"\0\1\x09" * 650 * 2, "NAL units"),
        ("H264", b"\x41\x9a\0\0\1\x65\x88", "start code"),
        ("H264", b"\x7c", "shorter"),
        ("VP9", b"\x0a\xff" + bytes(32), "cut off"),
        ("VP9", b"\x0a\x08\xff" + b"\x0c" * 20, "cut off"),
        ("VP8", b"\x90\x80\x80", "nothing behind"),
    ],
)
def test_payloads_that_lie(codec: str, payload: bytes, why: str) -> None:
    """Lengths without an end or beyond the packet, and units by the thousand, are refused with the reason."""
    with pytest.raises(MalformedPacket, match=why):
        CODECS[codec].assemble([payload])


@pytest.mark.parametrize(
    ("codec", "piece"),
    [
        ("AV1", b"\0" + b"\2\x30\0" * 100),
        ("H264", b"\x78" + b"\0\1\x09" * 600),
        ("VP8", FRAMES["VP8"][1]),
        ("VP9", FRAMES["VP9"][1]),
    ],
)
def test_a_frame_without_end_is_given_up(codec: str, piece: bytes) -> None:
    """A keyframe followed by thousands of packets of the same time is dropped, and the next good one is shown."""
    depacketizer = Depacketizer(codec)
    number = 0
    for payload in [FRAMES[codec][0], *[piece] * (MAX_FRAME_PACKETS + 10)]:
        assert depacketizer.push(number, RtpPacket(96, number & 0xFFFF, 1, 7, payload)) == []
        number += 1
    assert depacketizer.push(number, RtpPacket(96, number & 0xFFFF, 1, 7, piece, True)) == []
    assert depacketizer.broken
    shown = []
    for index, payload in enumerate(FRAMES[codec]):
        number += 1
        last = index == len(FRAMES[codec]) - 1
        shown += depacketizer.push(number, RtpPacket(96, number & 0xFFFF, 2, 7, payload, last))
    assert len(shown) == 1
