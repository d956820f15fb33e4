"""Leases are named after processes, so that a dead worker's lease need not be waited for."""

import multiprocessing

import redis

from workers import alive


def test_this_process_is_alive_and_foreign_ones_count_as_alive():
    """Of another machine's or namespace's processes nothing is known, so their leases stand."""
    mine = alive.lease_owner()
    assert len(mine) <= 80
    assert not alive.is_dead(mine)
    assert not alive.is_dead("000000000000:1:1")
    assert not alive.is_dead("")
    assert not alive.is_dead("nonsense")


def test_a_process_that_ended_is_dead_and_so_is_one_whose_number_was_given_to_another():
    """A number without its process, or with one that started at another time, is a dead owner."""
    realm, pid, started = alive.lease_owner().split(":")
    assert alive.is_dead(f"{realm}:{pid}:{int(started) - 1}")
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    number = child.pid
    child.join()
    assert alive.is_dead(f"{realm}:{number}:{started}")


class Rooms:
    """A Redis that knows these keys, or none at all because it is away."""

    def __init__(self, *keys: bytes, away: bool = False) -> None:
        self.keys, self.away = keys, away

    def scan_iter(self, match: str, count: int):
        """Give the keys that begin as asked."""
        if self.away:
            raise redis.ConnectionError
        return iter([key for key in self.keys if key.decode().startswith(match.removesuffix("*"))])


def test_encoders_make_room_for_a_lesson_wherever_it_is_and_while_nobody_knows(monkeypatch):
    """A room of any media process counts, a worker's own heartbeat does not, and without Redis one is assumed."""

    def live(rooms: Rooms) -> bool:
        monkeypatch.setattr(alive, "quick_redis", lambda url: rooms)
        return alive.is_lesson_live("redis://127.0.0.1:1/0")

    assert live(Rooms(b"tropa:worker:pc", b"tropa:room:abc"))
    assert not live(Rooms(b"tropa:worker:pc"))
    assert live(Rooms(away=True))
