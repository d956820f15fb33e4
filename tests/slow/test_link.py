"""The link emulator between real TUN devices in namespaces: what is asked for is what packets meet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TRIAL = """
import json, sys
from bench import linkspace
from bench.linkaccuracy import send
linkspace.enter("bench.linkspace", [])
with linkspace.Seat(1, sys.argv[1], sys.argv[2]) as seat:
    if len(sys.argv) > 7:
        seat.link.change(down=sys.argv[7])
    up = sys.argv[6] == "up"
    seen = send(seat, int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]), up=up, silence_s=1.0)
    seat.link.stop()
    print(json.dumps({"seen": seen, "last": seat.link.reports[-1]}))
"""

pytestmark = [pytest.mark.slow, pytest.mark.networks]


def trial(down: str, up: str, count: int, size: int, gap_s: float, way: str = "down", change: str = "") -> dict:
    """Send packets through an emulated link in a network of its own; return what came and the last counters."""
    words = [down, up, str(count), str(size), str(gap_s), way, *([change] if change else [])]
    # In a namespace from the start, so that `enter` finds itself inside.
    command = ["unshare", "--net", sys.executable, "-c", TRIAL, *words]
    environment = {**os.environ, "TROPA_BENCH_INSIDE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def numbers(found: dict) -> list[int]:
    return [number for number, *_rest in found["seen"]]


def test_a_wide_link_carries_everything_in_order() -> None:
    """300 packets each way of a fast link arrive whole and in order, and are counted by their IP size."""
    for way in ("down", "up"):
        found = trial("rate=10000,delay=20", "rate=10000,delay=20", 300, 400, 0.002, way)
        assert numbers(found) == list(range(300))
        assert found["last"][way]["delivered"] == 300
        assert found["last"][way]["delivered_bytes"] == 300 * 400


def test_a_full_queue_drops_the_rest() -> None:
    """A burst of 100 packets of 1000 bytes into 80 kbit/s with 1000 ms of queue: 11 pass, most are dropped."""
    found = trial("rate=80,queue=1000", "rate=80", 100, 1000, 0.0)
    counted = found["last"]["down"]
    # The burst takes a moment itself, in which a few more may leave the queue.
    assert 11 <= counted["delivered"] < 50
    assert counted["delivered"] + counted["dropped"] == 100
    assert len(found["seen"]) == counted["delivered"]
    assert 1.0 < counted["largest_queue_s"] <= 1.1


def test_packets_come_no_sooner_than_rate_and_delay_allow() -> None:
    """Through 200 kbit/s and 50 ms the n-th packet of 500 bytes lands 50 ms and n times 20 ms after the first start."""
    found = trial("rate=200,delay=50,queue=5000", "rate=200", 101, 500, 0.005)
    began_s = found["seen"][0][1]
    assert numbers(found) == list(range(101))
    assert all(came_s - began_s >= 0.05 + (number + 1) * 0.02 for number, _sent, came_s, _size in found["seen"])


def test_loss_comes_as_often_as_asked() -> None:
    """Of 2000 packets about 10 % are lost, every one counted, and none is lost on the way back."""
    found = trial("rate=100000,loss=10,burst=3", "rate=100000", 2000, 100, 0.0005)
    counted = found["last"]["down"]
    assert counted["dropped"] == 0
    assert len(found["seen"]) == 2000 - counted["lost"]
    assert 120 <= counted["lost"] <= 290
    assert found["last"]["up"]["lost"] == 0


def test_udp_is_blocked_from_a_moment_on() -> None:
    """After the change nothing of UDP comes out, and all of it is counted."""
    found = trial("rate=10000", "rate=10000", 50, 200, 0.001, change="block=udp")
    assert found["seen"] == []
    assert found["last"]["down"]["blocked"] == 50


def test_devices_end_with_the_emulator() -> None:
    """When its input ends, the emulator ends in order and its devices are gone; wrong words are told."""
    script = (
        f"{sys.executable} -m bench.linkemu --near n1 --far f1 --down rate=64 --up rate=64 </dev/null >/dev/null"
        " && ip -json link"
    )
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {device["ifname"] for device in json.loads(done.stdout)}.isdisjoint({"n1", "f1"})
    command = [sys.executable, "-m", "bench.linkemu", "--near", "n1", "--far", "f1", "--down", "x", "--up", "rate=1"]
    done = subprocess.run(["unshare", "--net", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'x'" in done.stderr
