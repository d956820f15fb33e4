"""What the fan-out and crowd benches decide: what is missing, what is agreed, how memory is judged."""

from __future__ import annotations

import pytest

from bench.crowd_churn import Sample, judge
from bench.fanout_chart import draw
from bench.fanout_load import LOADS
from bench.fanout_peer import Stream
from bench.fanout_sdp import EXTENSION_ID, Local, answer, offer, read
from media.answer import TRANSPORT_CC_URI
from media.sdp import parse_offer

PRINT = ":".join(["AB"] * 32)
LOCAL = Local(("127.0.0.1", 4000), "ufragufr", "p" * 24, PRINT)


def test_a_stream_knows_what_never_came() -> None:
    """A gap is missing until its packet comes late; a repeat is none; numbers wrap."""
    stream = Stream()
    for sequence in (65533, 65534, 1, 65535, 1, 3):
        stream.take(sequence)
    assert {number & 0xFFFF for number in stream.missing} == {0, 2}
    stream.take(0)
    assert {number & 0xFFFF for number in stream.missing} == {2}
    assert stream.packets == 7


def test_our_server_understands_the_viewers_offer() -> None:
    """An offer of ours is read back with both sections, feedback and the numbered extension."""
    told = parse_offer(offer(LOCAL, "recvonly", codecs=("VP8", "AV1")))
    assert [section.kind for section in told.sections] == ["audio", "video"]
    assert all(section.extension_id(TRANSPORT_CC_URI) == EXTENSION_ID for section in told.sections)
    assert {codec.name for codec in told.sections[1].codecs} == {"VP8", "AV1"}
    assert all("transport-cc" in codec.feedback for codec in told.sections[0].codecs)


def test_a_servers_offer_is_accepted_as_it_is() -> None:
    """Every section is answered in order, to receive, with the payload types that were offered."""
    told = parse_offer(answer(offer(LOCAL, "sendonly", (1, 2)), LOCAL))
    assert [(s.kind, s.direction) for s in told.sections] == [("audio", "recvonly"), ("video", "recvonly")]
    assert told.sections[1].codecs[0].rtx is not None


def test_the_reachable_candidate_is_taken() -> None:
    """Of several places that at the asked address counts; a server that names none cannot be used."""
    text = offer(LOCAL, "sendonly", (1, 2))
    assert read(text, "127.0.0.1").address == LOCAL.address
    with pytest.raises(ValueError, match="candidate"):
        read(text.replace("a=candidate", "a=x-candidate"), "127.0.0.1")


def test_loads_are_those_that_are_promised() -> None:
    """Fifty voice packets and thirty of a picture at about 290 kbit/s, and the same with voice as our hosts send it."""
    first, second = LOADS
    assert first.packets_per_s == 80 and 280 <= first.kbps <= 300
    assert round(second.packets_per_s, 1) == 46.7


def test_memory_is_judged_from_minute_five_on() -> None:
    """The growth is from minute five to the last busy sample; the empty room is the last of all."""
    samples = [Sample(minute, memory, 116, 12, 8, 14, minute * 6, 100, 0) for minute, memory in MEMORY]
    empty = Sample(31, 90.0, 1, 0, 7, 13, 190, 1900, 0)
    told = judge([*samples, empty])
    assert told["reference_minute"] == 5 and told["memory_growth_percent"] == 4.0
    assert told["sessions_in_the_empty_room"] == 1 and told["percent_of_a_core"] == 10.0


MEMORY = ((0.25, 80.0), (5, 100.0), (15, 103.0), (30, 104.0))


def test_the_chart_names_every_server() -> None:
    """Each load stands once, each server with its figure."""
    drawn = draw([("a", "ours", 8.0), ("a", "janus", 40.0), ("b", "ours", 9.0)])
    assert drawn.count("ours") == 2 and drawn.count(">a packets/s<") == 1 and ">40<" in drawn
