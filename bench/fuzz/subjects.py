"""Every parser that reads what strangers send, with its inputs, what is done with them, and how it may refuse."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench.fuzz import offers, packets, pictures
from media import rtcp, twcc
from media.answer import (
    LocalTransport,
    VoiceRequest,
    answer_host,
    answer_viewer,
    dtls_role,
    plan_host,
    plan_viewer,
)
from media.lowrung import opusjoin
from media.patching import BadFragment, answer_restart, judge, parse_fragment
from media.payload import keyframe, layer, opus
from media.payload.dependency import DescriptorReader
from media.payload.video import CODECS, Depacketizer
from media.rtc import ice
from media.rtc.framing import BadFrame, Deframer
from media.rtp import MalformedPacket, RtpPacket, is_rtcp, parse_rtp
from media.sdp import Codec, SdpError, parse_offer

LOCAL = LocalTransport("ufrag123", "p" * 24, "AB:CD", ("198.51.100.7",), 8443)
SSRCS = {"audio": 11, "video": 22, "rtx": 33}
HOST_CODECS = (None, Codec(45, "AV1", 90000, 1), Codec(96, "H264", 90000, 1))


@dataclass(frozen=True, slots=True)
class Subject:
    """One parser: `make` an input from a generator, `run` it, `refusals` are what the parser may raise."""

    name: str
    make: Callable[[random.Random], object]
    run: Callable[[object], object]
    refusals: tuple[type[Exception], ...] = ()


def _rtp(data: bytes) -> None:
    is_rtcp(data)
    packet = parse_rtp(data)
    packet.extension(3)


def _rtcp(data: bytes) -> None:
    for packet in rtcp.parse_compound(data):
        if isinstance(packet, rtcp.TransportFeedback):
            twcc.parse(rtcp.serialize(packet))


def _twcc(data: bytes) -> None:
    twcc.is_feedback(data)
    twcc.parse(data)


def _check(data: bytes) -> None:
    """Do what the port does: parse, then answer; neither may raise, whatever came."""
    request = ice.parse_check(data) if ice.looks_like_stun(data) else None
    if request is not None:
        ice.respond(request, packets.PASSWORD, ("192.0.2.1", 40000))


def _offer(text: str) -> None:
    """Read an offer and answer it to a host and to viewers, as far as it can be."""
    offer = parse_offer(text)
    dtls_role(offer)
    refused = 0
    for codec in HOST_CODECS:
        try:
            answer_viewer(offer, plan_viewer(offer, codec), LOCAL, SSRCS)
        except SdpError:
            refused += 1
    answer_host(offer, plan_host(offer), LOCAL, VoiceRequest())


def _fragment(text: str) -> None:
    fragment = parse_fragment(text)
    judge(fragment, '"x", *', "etag", "abcd")
    answer_restart(fragment, LOCAL)


def _voice(data: bytes) -> None:
    opus.is_stereo(data)
    opus.packet_samples(data)
    opus.filler(data)
    opusjoin.frames(data)


def _stream(data: bytes) -> None:
    deframer = Deframer()
    half = len(data) // 2
    deframer.feed(data[:half])
    deframer.feed(data[half:])


def _picture(codec: str) -> Callable[[bytes], None]:
    """Look at a payload as ingest does, and put it into frames as the recorder does, good and bad ones in turn."""
    module = CODECS[codec]
    depacketizer = Depacketizer(codec)
    good = pictures.SHAPES[codec][0]
    number = 0

    def run(payload: bytes) -> None:
        nonlocal number
        keyframe(codec, payload)
        layer(codec, payload)
        for one in (good[number % len(good)], payload):
            number += 1
            packet = RtpPacket(96, number & 0xFFFF, number // 6, 7, one, number % 6 == 5)
            depacketizer.push(number, packet)
        module.frame_size(module.assemble([payload]))

    return run


def _dependency() -> Callable[[bytes], None]:
    """Read descriptors of one stream, whose templates stay from one to the next."""
    reader = DescriptorReader()

    def run(data: bytes) -> None:
        reader.read(data)

    return run


SUBJECTS = (
    Subject("rtp", packets.rtp, _rtp, (MalformedPacket,)),
    Subject("rtcp", packets.control, _rtcp, (MalformedPacket, twcc.MalformedFeedback)),
    Subject("transport-cc", packets.feedback, _twcc, (twcc.MalformedFeedback,)),
    Subject("stun", packets.check, _check),
    Subject("sdp", offers.offer, _offer, (SdpError,)),
    Subject("sdp-fragment", offers.fragment, _fragment, (BadFragment,)),
    Subject("tcp-framing", packets.stream, _stream, (BadFrame,)),
    Subject("dependency", pictures.dependency, _dependency(), (MalformedPacket,)),
    Subject("opus", pictures.voice, _voice, (MalformedPacket,)),
    *(
        Subject(codec.lower(), pictures.payloads[codec], _picture(codec), (MalformedPacket,))
        for codec in ("AV1", "VP9", "VP8", "H264")
    ),
)
