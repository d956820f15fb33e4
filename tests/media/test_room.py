"""Who ends a lesson: the room's host by saying goodbye, and nobody who merely waits beside."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import pytest

from media.answer import VoiceRequest
from media.host import Host
from media.room import Room
from media.sdp import parse_offer

OFFER = (Path(__file__).parent / "offers/chromium-whip.sdp").read_text("utf-8")


class FakePeer:
    """A connection without a network: what the room asks of it."""

    def __init__(self, handler) -> None:
        self.ufrag, self.password = "u" * 4, "p" * 22
        self.identity = SimpleNamespace(fingerprint="AA:" * 31 + "AA")
        self.connected = False
        self._handler = handler

    def accept(self, role: str, fingerprints: tuple, remote_ufrag: str) -> None:
        """Take the offer."""

    def close(self, reason: str) -> None:
        """End at once."""
        self._handler.closed(reason)


class Town:
    """A room without a network, its service, and the hosts that were answered."""

    def __init__(self) -> None:
        port = SimpleNamespace(clock=lambda: 100.0, number=8443, peer=FakePeer, batch=None)
        self.ended: list[Room] = []
        self.room = Room("lesson", port, lambda *_args: None, self, 600.0, lambda now_s: now_s)

    def room_changed(self, room: Room) -> None:
        """Take note of nothing."""

    def room_ended(self, room: Room, sealed: Future | None) -> None:
        """Take note of the end."""
        self.ended.append(room)

    def host(self, connected: bool) -> Host:
        """Answer a host, and let it connect."""
        made, _answer = self.room.offer_host(parse_offer(OFFER), ("127.0.0.1",), VoiceRequest())
        if connected:
            self.room.host_connected(made, 100.0)
        return made


@pytest.fixture
def town() -> Town:
    """A room that nobody has entered."""
    return Town()


def test_the_rooms_host_ends_the_lesson(town: Town) -> None:
    """The goodbye of the host who is connected is the end."""
    assert town.room.leave(town.host(connected=True)) == "host"
    assert town.ended == [town.room]


def test_a_host_who_waits_beside_the_live_one_ends_nothing(town: Town) -> None:
    """A second page that gives up before it is connected leaves the lesson to the first."""
    present, waiting = town.host(connected=True), town.host(connected=False)
    assert town.room.leave(waiting) == "spare"
    assert town.ended == []
    assert town.room.resource(waiting.resource) is None
    assert town.room.leave(present) == "host"


def test_of_two_who_wait_the_first_ends_nothing(town: Town) -> None:
    """While nobody is connected, only the one who is left takes the room with it."""
    first, second = town.host(connected=False), town.host(connected=False)
    assert town.room.leave(first) == "spare"
    assert town.ended == []
    assert town.room.leave(second) == "host"
    assert town.ended == [town.room]


def test_a_replaced_host_is_unknown(town: Town) -> None:
    """Whoever was taken over from has nothing left to say goodbye to."""
    former = town.host(connected=True)
    town.host(connected=True)
    assert town.room.resource(former.resource) is None
