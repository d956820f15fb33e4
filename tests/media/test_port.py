"""The media port by itself: when it waits for datagrams, and when it reads by the clock."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import pytest

from media.rtc.port import BUSY_PER_S, CALM_PER_S, POLL_S, MediaPort


class Loop:
    """Notes what is asked of an event loop."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable] = {}
        self.later: list[tuple[float, Callable]] = []
        self.cancelled = 0

    def add_reader(self, number: int, call: Callable) -> None:
        """Wake for this descriptor."""
        self.readers[getattr(number, "fileno", lambda: number)()] = call

    def remove_reader(self, number: int) -> None:
        """Wake no more."""
        self.readers.pop(getattr(number, "fileno", lambda: number)(), None)

    def call_later(self, delay_s: float, call: Callable) -> Loop:
        """Note a timer, which is its own handle."""
        self.later.append((delay_s, call))
        return self

    def cancel(self) -> None:
        """Cancel a timer."""
        self.cancelled += 1


class Stage:
    """A port, its loop and its clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        sock, door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket()
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        self.loop = Loop()
        self.port = MediaPort(sock, door, lambda: self.now_s)
        self.port.attach(self.loop)
        self.number = sock.fileno()

    def second(self, datagrams: int) -> None:
        """Let a second pass in which so many datagrams came."""
        self.now_s += 1.0
        self.port.counters.received += datagrams
        self.port.tick(self.now_s)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A port that nobody has written to."""
    made = Stage()
    yield made
    made.port.detach(made.loop)


def test_few_datagrams_wake_the_loop_each(stage: Stage) -> None:
    """A small lesson's voice is read when it comes."""
    stage.second(BUSY_PER_S)
    assert stage.number in stage.loop.readers
    assert not stage.loop.later


def test_many_datagrams_are_read_by_the_clock(stage: Stage) -> None:
    """Where they come all the time the socket is read each POLL_S, and nothing wakes the loop in between."""
    stage.second(BUSY_PER_S + 1)
    assert stage.number not in stage.loop.readers
    (delay_s, poll), stage.loop.later = stage.loop.later[0], []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        before = stage.port.counters.received
        stranger.sendto(b"hello", stage.port.sock.getsockname())
        select.select([stage.port.sock], [], [], 5.0)
        poll()
    assert 0.0 < delay_s <= POLL_S
    assert stage.port.counters.received == before + 1
    assert len(stage.loop.later) == 1


def test_it_goes_back_to_waking_when_it_is_calm(stage: Stage) -> None:
    """Between the two rates it stays as it is."""
    stage.second(BUSY_PER_S + 1)
    stage.second(CALM_PER_S)
    assert stage.number not in stage.loop.readers
    stage.second(CALM_PER_S - 1)
    assert stage.number in stage.loop.readers
    assert stage.loop.cancelled == 1
