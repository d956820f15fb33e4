"""Packets in a byte stream, and what a connection slower than the lesson drops."""

from __future__ import annotations

import random

import pytest

from media.rtc.framing import (
    MAX_FRAME_BYTES,
    PICTURE_AGE_S,
    PICTURE_FRAMES,
    URGENT_AGE_S,
    URGENT_FRAMES,
    Backlog,
    BadFrame,
    Deframer,
    frame,
)

VOICE, PICTURE = b"v" * 60, b"p" * 1000


def drain(backlog: Backlog, most: int = 4096, step: int = 1 << 20) -> list[bytes]:
    """Write everything out, `step` bytes at a time; return the packets that come out at the other end."""
    deframer, packets = Deframer(), []
    while backlog:
        piece = backlog.next_bytes(most)[:step]
        packets += deframer.feed(piece)
        backlog.written(len(piece))
    return packets


def test_packets_survive_any_cut() -> None:
    """However the stream is cut, the packets come out whole and in order."""
    chance = random.Random(3)
    packets = [chance.randbytes(chance.randint(1, MAX_FRAME_BYTES)) for _ in range(60)]
    stream = b"".join(map(frame, packets))
    for longest in (1, 2, 3, 700, 5000, len(stream)):
        deframer, found, at = Deframer(), [], 0
        while at < len(stream):
            end = at + chance.randint(1, longest)
            found += deframer.feed(stream[at:end])
            at = end
        assert found == packets


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", b"SSH-2.0-x\r\n"])
def test_other_protocols_are_told_by_their_first_bytes(greeting: bytes) -> None:
    """HTTP, TLS and SSH clients that knock are found out at once."""
    with pytest.raises(BadFrame):
        Deframer().feed(greeting)


def test_empty_frames_are_nothing() -> None:
    """RFC 4571 allows frames without content; they bring no packet."""
    assert Deframer().feed(b"\0\0\0\0" + frame(b"x")) == [b"x"]


def test_any_bytes_give_packets_or_badframe() -> None:
    """Whatever comes, packets of a lawful size come out or BadFrame is raised."""
    chance = random.Random(4)
    for _ in range(3000):
        deframer = Deframer()
        try:
            for _ in range(4):
                found = deframer.feed(bytes([chance.choice((0, 1, 8, 255))]) + chance.randbytes(chance.randint(0, 99)))
                assert all(0 < len(packet) <= MAX_FRAME_BYTES for packet in found)
        except BadFrame:
            continue


def test_voice_overtakes_waiting_pictures() -> None:
    """Voice that comes behind pictures leaves before them."""
    backlog = Backlog()
    backlog.add(PICTURE, False, 0.0)
    backlog.add(PICTURE, False, 0.1)
    backlog.add(VOICE, True, 0.2)
    assert drain(backlog) == [VOICE, PICTURE, PICTURE]


def test_a_begun_frame_is_finished_first() -> None:
    """Voice never gets into the middle of a frame that has been written in part, at any size of writes."""
    for step in (1, 2, 5, 700, 1003):
        backlog = Backlog()
        backlog.add(PICTURE, False, 0.0)
        deframer = Deframer()
        first = backlog.next_bytes(4096)[:step]
        found = deframer.feed(first)
        backlog.written(len(first))
        backlog.add(VOICE, True, 0.1)
        while backlog:
            piece = backlog.next_bytes(4096)[:step]
            found += deframer.feed(piece)
            backlog.written(len(piece))
        assert found == [PICTURE, VOICE]


def test_pictures_that_wait_too_long_all_go_until_the_next_keyframe() -> None:
    """Past half a second the waiting pictures are dropped, later ones refused, and voice goes on; `resume` ends it."""
    backlog = Backlog()
    for index in range(10):
        backlog.add(PICTURE, False, index * 0.01)
    backlog.add(VOICE, True, PICTURE_AGE_S + 0.02)
    assert backlog.starved and backlog.dropped == 10
    backlog.add(PICTURE, False, PICTURE_AGE_S + 0.03)
    assert drain(backlog) == [VOICE]
    backlog.resume()
    backlog.add(PICTURE, False, 2.0)
    assert drain(backlog) == [PICTURE] and backlog.dropped == 11


def test_queues_are_bounded() -> None:
    """Neither queue grows without end, not even within one moment; old voice goes first."""
    backlog = Backlog()
    for index in range(URGENT_FRAMES + 5):
        backlog.add(bytes([index % 256]) * 3, True, 0.0)
    for _ in range(PICTURE_FRAMES + 5):
        backlog.add(PICTURE, False, 0.0)
    assert backlog.starved
    assert backlog.waiting_bytes == URGENT_FRAMES * 5
    assert drain(backlog)[0] == bytes([5]) * 3
    backlog.add(VOICE, True, 1.0)
    backlog.add(b"new", True, 1.1 + URGENT_AGE_S)
    assert drain(backlog) == [b"new"]


def test_writes_stay_small() -> None:
    """Frames are joined up to the size asked for, so that the kernel never holds much that voice cannot overtake."""
    backlog = Backlog()
    for _ in range(9):
        backlog.add(PICTURE, False, 0.0)
    assert len(backlog.next_bytes(4096)) == 4 * 1002
    assert len(backlog.next_bytes(10)) == 1002
