"""Offers of the clients that people really use, and what is answered to them."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from media.answer import (
    SEND_TIME_URI,
    TRANSPORT_CC_URI,
    LocalTransport,
    NoCommonCodec,
    VoiceRequest,
    answer_host,
    answer_viewer,
    candidates,
    dtls_role,
    plan_host,
    plan_viewer,
)
from media.payload import dependency
from media.sdp import Codec, SdpError, parse_offer

OFFERS = Path(__file__).parent / "offers"
NAMES = sorted(path.stem for path in OFFERS.glob("*.sdp"))
LOCAL = LocalTransport("ufrag123", "p" * 24, "AB:CD", ("198.51.100.7", "127.0.0.1"), 8443)
AV1 = Codec(45, "AV1", 90000, 1)
H264_MAIN = Codec(106, "H264", 90000, 1, (("packetization-mode", "1"), ("profile-level-id", "4d001f")))
SSRCS = {"audio": 11, "video": 22, "rtx": 33}


def offer_text(name: str) -> str:
    """Read a recorded offer as it came over the wire."""
    with open(OFFERS / f"{name}.sdp", newline="", encoding="utf-8") as file:
        return file.read()


def section(answer: str, kind: str) -> list[str]:
    """Return the lines of the answer's section of this kind."""
    blocks = answer.split("\r\nm=")
    return next(block for block in blocks[1:] if block.startswith(kind)).split("\r\n")


def offer_section(name: str, index: int) -> str:
    """Return the text of one section of a recorded offer."""
    return offer_text(name).split("\r\nm=")[1 + index]


@pytest.mark.parametrize("name", NAMES)
def test_recorded_offers_are_read(name: str) -> None:
    """Every recorded client gives ICE names, a certificate, an Opus and a video section in one bundle."""
    offer = parse_offer(offer_text(name))
    assert [s.kind for s in offer.sections] == ["audio", "video"]
    assert all(s.usable and s.bundled for s in offer.sections)
    assert offer.ufrag and offer.password and offer.fingerprints
    assert any(c.name == "OPUS" for c in offer.sections[0].codecs)


@pytest.mark.parametrize("name", ["chromium-whep", "firefox-whep"])
def test_what_the_watch_page_leaves_out_is_not_missed(name: str) -> None:
    """By the page's own list of lines a browser's offer gives the plan that the whole offer gives, in one bundle."""
    script = (OFFERS.parents[2] / "static/live/whip-whep.js").read_text("utf-8")
    read, once = (re.search(rf"^const {word} =\s+/(.+)/;$", script, re.M)[1] for word in ("READ", "SAID_ONCE"))
    offer = re.sub(r"m=video \d+(.*\r\n.*\r\n)", r"m=video 0\1a=bundle-only\r\n", offer_text(name))
    head, first, *more = re.split(r"\r\n(?=m=)", offer)
    kept = [line for part in (head, first) for line in part.split("\r\n") if re.match(read, line)]
    kept += [line for line in "\r\n".join(more).split("\r\n") if re.match(read, line) and not re.match(once, line)]
    slim = parse_offer("\r\n".join(kept) + "\r\n")
    assert all(section.usable and section.bundled for section in slim.sections)
    plan, whole = plan_viewer(slim, AV1), plan_viewer(parse_offer(offer), AV1)
    for ours, theirs in ((plan.audio, whole.audio), (plan.video, whole.video)):
        assert ours.transport_cc == theirs.transport_cc is not None
        assert [c.payload_type for c in ours.codecs] == [c.payload_type for c in theirs.codecs]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("chromium-whip", "AV1"), ("firefox-whip", "AV1"), ("ffmpeg-whip", "H264"), ("aiortc-whip", "H264")],
)
def test_host_gets_the_cheapest_codec_it_offers(name: str, codec: str) -> None:
    """AV1 before VP9 before H.264 before VP8, with the repair stream that the host offers for it."""
    plan = plan_host(parse_offer(offer_text(name)))
    assert plan.video.codec.name == codec
    assert plan.video.codec.rtx is not None
    assert plan.audio is not None


def test_host_that_comes_back_keeps_the_lesson_s_codec() -> None:
    """A host that could send AV1 keeps to VP8 while the viewers of the lesson watch VP8."""
    offer = parse_offer(offer_text("chromium-whip"))
    assert plan_host(offer, Codec(96, "VP8", 90000, 1)).video.codec.name == "VP8"


def test_h264_keeps_its_profile_for_viewers() -> None:
    """A viewer with several H.264 variants gets the one of the host's profile, in packetization mode 1."""
    codecs = parse_offer(offer_text("chromium-whep")).sections[1].codecs
    assert sum(c.name == "H264" for c in codecs) > 2
    chosen = plan_viewer(parse_offer(offer_text("chromium-whep")), H264_MAIN).video.codec
    assert chosen.parameter("profile-level-id").startswith("4d")
    assert chosen.parameter("packetization-mode") == "1"


def test_ffmpeg_waits_for_our_first_flight() -> None:
    """An offer with setup:passive makes us the DTLS client, and the answer says so."""
    offer = parse_offer(offer_text("ffmpeg-whip"))
    answer = answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())
    assert dtls_role(offer) == "client"
    assert answer.count("a=setup:active\r\n") == 2


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith("whip")])
def test_answer_to_a_host_asks_for_a_slow_uplink(name: str) -> None:
    """Opus mono, in-band FEC, 60 ms packets; NACK for voice; PLI and RTX for the picture; we only receive."""
    offer = parse_offer(offer_text(name))
    plan = plan_host(offer)
    answer = answer_host(offer, plan, LOCAL, VoiceRequest(ptime_ms=60, max_average_bps=16000))
    audio, video = section(answer, "audio"), section(answer, "video")
    assert "a=ice-lite" in answer
    assert "a=recvonly" in audio and "a=recvonly" in video
    assert "a=ptime:60" in audio
    fmtp = next(line for line in audio if line.startswith("a=fmtp:"))
    assert {"useinbandfec=1", "stereo=0", "maxaveragebitrate=16000"} <= set(fmtp.split(" ")[1].split(";"))
    number, rtx = plan.video.codec.payload_type, plan.video.codec.rtx
    assert f"a=rtcp-fb:{plan.audio.codec.payload_type} nack" in audio
    assert f"a=rtcp-fb:{number} nack pli" in video
    assert f"a=fmtp:{rtx} apt={number}" in video
    assert "a=candidate:1 1 udp 2130706431 198.51.100.7 8443 typ host" in audio
    for index, lines in enumerate((audio, video)):
        offered = TRANSPORT_CC_URI in offer_section(name, index)
        assert sum(line.startswith("a=extmap") for line in lines) == offered
        assert sum(line.endswith(" transport-cc") for line in lines) == offered


def test_every_address_is_offered_over_udp_first_and_then_over_tcp() -> None:
    """Passive TCP candidates of the same port follow UDP's with lower priorities and foundations of their own."""
    lines = candidates(LOCAL)
    assert lines[-1] == "a=end-of-candidates"
    fields = [line.removeprefix("a=candidate:").split() for line in lines[:-1]]
    assert [(f[2], f[4], f[5]) for f in fields] == [
        (kind, address, "8443") for kind in ("udp", "tcp") for address in LOCAL.addresses
    ]
    assert all(f[6:] == ["typ", "host", "tcptype", "passive"] for f in fields if f[2] == "tcp")
    priorities = [int(f[3]) for f in fields]
    assert priorities == sorted(priorities, reverse=True) and len(set(priorities)) == len(fields)
    assert all(0 < priority < 2**31 for priority in priorities)
    assert len({f[0] for f in fields}) == len(fields)


def test_answer_to_a_viewer_uses_the_viewer_s_numbers() -> None:
    """Payload types are the viewer's own; our sources and their repair stand in the answer, the media source first."""
    offer = parse_offer(offer_text("chromium-whep"))
    plan = plan_viewer(offer, AV1)
    answer = answer_viewer(offer, plan, LOCAL, SSRCS)
    longest = replace(LOCAL, fingerprint=":".join(["AB"] * 32), addresses=("198.151.100.107",))
    assert len(answer_viewer(offer, plan, longest, dict.fromkeys(SSRCS, 0xFFFFFFFF))) < 1448, "one packet of TCP"
    video = section(answer, "video")
    wanted = next(c for c in offer.sections[1].codecs if c.name == "AV1")
    assert video[0].endswith(f" {wanted.payload_type} {wanted.rtx}")
    assert "a=sendonly" in video
    assert "a=ssrc-group:FID 22 33" in video
    sources = [line for line in video if line.startswith("a=ssrc:")]
    assert sources == ["a=ssrc:22 cname:path", "a=ssrc:33 cname:path"]
    assert "a=ssrc:11 cname:path" in section(answer, "audio")
    number = offer.sections[1].extension_id(TRANSPORT_CC_URI)
    assert f"a=extmap:{number} {TRANSPORT_CC_URI}" in video and plan.video.transport_cc == number
    assert video.index("b=AS:48") == video.index("c=IN IP4 0.0.0.0") + 1
    assert not any("x-google-max-bitrate" in line for line in section(answer, "audio"))


def test_feedback_is_bounded_in_the_section_that_counts() -> None:
    """Chromium takes the last section's bound: b=AS where that is the picture's, its own parameter in the voice's."""
    parts = offer_text("chromium-whep").split("\r\nm=")
    turned = "\r\nm=".join([parts[0], parts[2].rstrip("\r\n"), parts[1] + "\r\n"])
    offer = parse_offer(turned)
    voice = section(answer_viewer(offer, plan_viewer(offer, AV1), LOCAL, SSRCS), "audio")
    assert any(line.endswith(";x-google-max-bitrate=48") for line in voice)


def test_we_shake_hands_first_wherever_we_may() -> None:
    """Browsers leave the choice to us: our first flight is a sixth of theirs."""
    offer = parse_offer(offer_text("chromium-whep"))
    assert dtls_role(offer) == "client"
    assert dtls_role(parse_offer(offer_text("chromium-whep").replace("a=setup:actpass", "a=setup:active"))) == "server"


def test_viewer_without_the_codec_gets_what_the_server_encodes() -> None:
    """A viewer that cannot decode the host's picture has a picture section for the low rungs, in AV1."""
    offer = parse_offer(offer_text("firefox-whep"))
    plan = plan_viewer(offer, H264_MAIN)
    assert [c.name for c in plan.video.codecs] == ["AV1"] and plan.audio is not None
    assert "a=sendonly" in section(answer_viewer(offer, plan, LOCAL, SSRCS), "video")


def test_viewer_of_a_lesson_by_voice_alone_keeps_its_picture_section() -> None:
    """Where the host sends no picture the section stays, inactive, in the bundle."""
    offer = parse_offer(offer_text("firefox-whep"))
    plan = plan_viewer(offer, None)
    assert plan.video is None
    answer = answer_viewer(offer, plan, LOCAL, SSRCS)
    assert "a=inactive" in section(answer, "video")
    assert "a=group:BUNDLE 0 1\r\n" in answer


def test_viewer_with_nothing_in_common_is_told() -> None:
    """Without Opus and without the codec there is nothing to send."""
    text = offer_text("aiortc-whep").replace("opus/48000", "speex/16000").replace("VP8/90000", "H263/90000")
    with pytest.raises(NoCommonCodec, match="AV1"):
        plan_viewer(parse_offer(text), AV1)


def test_a_data_channel_is_refused_in_place() -> None:
    """Sections that are not wanted keep their place with port 0, outside the bundle (RFC 8829 5.3.1)."""
    text = offer_text("chromium-whip").replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2")
    text += "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n"
    offer = parse_offer(text)
    answer = answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())
    assert section(answer, "application")[0] == "application 0 UDP/DTLS/SCTP webrtc-datachannel"
    assert "a=group:BUNDLE 0 1\r\n" in answer


@pytest.mark.parametrize(
    ("find", "replacement", "reason"),
    [
        ("v=0", "v=1", "v=0"),
        ("a=ice-ufrag:", "a=ice-u:", "ice-ufrag"),
        ("a=group:BUNDLE 0 1", "a=group:LS 0 1", "BUNDLE"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("a=setup:passive", "a=setup:holdconn", "setup"),
        ("sha-256 51:0A", "sha-256 51:", "fingerprint"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1", "fingerprint"),
        ("m=video 9", "m=video nine", "malformed"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVP", "DTLS-SRTP"),
    ],
)
def test_offers_that_cannot_work_say_why(find: str, replacement: str, reason: str) -> None:
    """Every refusal names what is wrong."""
    text = offer_text("ffmpeg-whip")
    assert find in text
    with pytest.raises(SdpError, match=reason):
        parse_offer(text.replace(find, replacement))


def test_size_and_count_have_limits() -> None:
    """More than 64 KB, or more than sixteen sections, are refused."""
    text = offer_text("ffmpeg-whip")
    with pytest.raises(SdpError, match="larger"):
        parse_offer(text + "a=x\r\n" * 20_000)
    with pytest.raises(SdpError, match="sections"):
        parse_offer(text + "".join(f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:m{i}\r\n" for i in range(20)))


@pytest.mark.parametrize("name", NAMES)
def test_damaged_offers_are_answered_or_refused(name: str) -> None:
    """Whatever is cut, doubled or changed in an offer, it is answered or refused with an SdpError, never more."""
    chance = random.Random(name)
    whole = offer_text(name)
    outcomes = set()
    for _ in range(400):
        text = list(whole)
        for _ in range(chance.randint(1, 12)):
            at = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[at] = chr(chance.choice((0, 10, 32, 47, 58, 65, 0x663, 0x1F600)))
                case 1:
                    del text[at : at + chance.randint(1, 40)]
                case _:
                    text[at:at] = text[at : at + chance.randint(1, 40)]
        try:
            offer = parse_offer("".join(text))
            answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())
            outcomes.add("host")
        except SdpError:
            outcomes.add("refused")
        try:
            offer = parse_offer("".join(text))
            answer_viewer(offer, plan_viewer(offer, AV1), LOCAL, SSRCS)
        except SdpError:
            continue
    assert "refused" in outcomes


def test_remb_is_agreed_to_where_nothing_better_is_offered() -> None:
    """aiortc offers no transport-wide numbers: its answer has REMB and sending times, a browser's has neither."""
    offer = parse_offer(offer_text("aiortc-whep"))
    answer = answer_viewer(offer, plan_viewer(offer, Codec(97, "VP8", 90000, 1)), LOCAL, SSRCS)
    lines = section(answer, "video")
    number = next(line for line in lines if line.startswith("a=rtpmap:")).removeprefix("a=rtpmap:").split()[0]
    assert f"a=rtcp-fb:{number} goog-remb" in lines
    assert f"a=extmap:3 {SEND_TIME_URI}" in lines
    offer = parse_offer(offer_text("chromium-whep"))
    answer = answer_viewer(offer, plan_viewer(offer, AV1), LOCAL, SSRCS)
    assert "goog-remb" not in answer and SEND_TIME_URI not in answer


def test_layers_are_described_where_the_payload_does_not_tell_them() -> None:
    """The Dependency Descriptor is agreed to with AV1, long header extensions with it, and not with VP8."""
    for name, agreed in (("AV1", True), ("VP8", False)):
        text = offer_text("chromium-whip").replace("a=mid:1", f"a=mid:1\r\na=extmap:13 {dependency.URI}")
        offer = parse_offer(text)
        plan = plan_host(offer, Codec(96, name, 90000, 1))
        lines = section(answer_host(offer, plan, LOCAL, VoiceRequest()), "video")
        assert (f"a=extmap:13 {dependency.URI}" in lines) == agreed
        assert ("a=extmap-allow-mixed" in lines) == agreed
