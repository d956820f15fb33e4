"""Emulate one link: `python -m bench.linkemu --near NAME --far NAME --down WORDS --up WORDS`.

Makes two TUN devices and carries IPv4 packets between them: "down" is from near to far, "up" from far to near. Needs
the right to make devices (root, or a user namespace of one's own). Prints one JSON line when the devices are there and
then ten a second with the counters of both directions; takes JSON lines on standard input, each a change:
{"down": "rate=64", "up": "block=udp"}. Ends when standard input ends, and the devices with it.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import os
import random
import select
import struct
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.linkemu.link import Link, LinkSpec
from bench.linkemu.words import HELP, parse_fields, parse_link

TUNSETIFF = 0x400454CA
"""linux/if_tun.h, as are the two flags: packets without an Ethernet frame, and without the four bytes in front."""
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
MAX_PACKET_BYTES = 65536
REPORT_S = 0.1
PR_SET_TIMERSLACK = 29
PRIORITY = 10


def open_tun(name: str) -> int:
    """Make a TUN device and return its file descriptor; the device lives as long as that. Raises OSError."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


class Pipe:
    """One direction between two descriptors."""

    def __init__(self, source: int, target: int, link: Link) -> None:
        """Join them; nothing moves before `take_in` and `let_out`."""
        self.source = source
        self.target = target
        self.link = link
        self.not_ipv4 = 0
        self.unwritable = 0
        self._largest_s = 0.0

    def take_in(self, now_s: float) -> None:
        """Read everything that the kernel has for us."""
        while True:
            try:
                packet = os.read(self.source, MAX_PACKET_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                return  # the device is down: not yet up, or already in a namespace that is gone
            if len(packet) < 20 or packet[0] >> 4 != 4:
                self.not_ipv4 += 1
                continue
            self.link.arrive(now_s, packet, packet[9])
            self._largest_s = max(self._largest_s, self.link.queue_s)

    def let_out(self, now_s: float) -> None:
        """Write what is due."""
        for packet in self.link.deliver(now_s):
            try:
                os.write(self.target, packet)
            except OSError:
                self.unwritable += 1

    def report(self) -> dict[str, float]:
        """Return the counters, the queue as it is, and its peak since the last report."""
        queue_s, self._largest_s = self._largest_s, self.link.queue_s
        return {
            **asdict(self.link.counters),
            "rate_bps": self.link.spec.mean_bps,
            "queue_s": round(self.link.queue_s, 4),
            "queue_peak_s": round(max(queue_s, self.link.queue_s), 4),
            "not_ipv4": self.not_ipv4,
            "unwritable": self.unwritable,
        }


class Emulator:
    """Both directions in one loop; wakes when a packet comes or is due, else ten times a second."""

    def __init__(self, near: int, far: int, down: LinkSpec, up: LinkSpec, seed: int) -> None:
        """Each direction has its own chance, so that traffic in one does not change the losses of the other."""
        chances = [random.Random(f"{seed} {name}").random for name in ("down", "up")]
        self.pipes = {"down": Pipe(near, far, Link(down, chances[0])), "up": Pipe(far, near, Link(up, chances[1]))}
        self._started_s = time.monotonic()
        self._typed = b""

    def run(self) -> None:
        """Carry packets until standard input ends."""
        control = sys.stdin.fileno()
        os.set_blocking(control, False)
        readers = [control, *(pipe.source for pipe in self.pipes.values())]
        report_s = 0.0
        while True:
            now_s = self._now_s()
            moments = [pipe.link.next_s() for pipe in self.pipes.values()]
            wake_s = min(moment for moment in (*moments, report_s) if moment is not None)
            readable, _, _ = select.select(readers, [], [], max(0.0, wake_s - now_s))
            now_s = self._now_s()
            for pipe in self.pipes.values():
                if pipe.source in readable:
                    pipe.take_in(now_s)
                pipe.let_out(now_s)
            if control in readable and not self._obey(control, now_s):
                return
            if now_s >= report_s:
                report_s = now_s + REPORT_S
                self._say({"at": time.time(), **{name: pipe.report() for name, pipe in self.pipes.items()}})

    def _now_s(self) -> float:
        return time.monotonic() - self._started_s

    def _obey(self, control: int, now_s: float) -> bool:
        """Make the changes that were typed; False at the end of input."""
        typed = os.read(control, 65536)
        if not typed:
            return False
        *lines, self._typed = (self._typed + typed).split(b"\n")
        for line in lines:
            for name, words in json.loads(line).items():
                self.pipes[name].link.change(now_s, **parse_fields(words, _read))
        return True

    @staticmethod
    def _say(report: dict) -> None:
        print(json.dumps(report), flush=True)


def hurry() -> str:
    """Ask the kernel to wake this process on time: real-time class and no timer slack. Says what was had."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError:
        return "usual priority"
    return "real-time priority"


def _read(name: str) -> str:
    return Path(name).read_text("ascii")


def main() -> int:
    """Make the devices, say so, and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], epilog=HELP)
    parser.add_argument("--near", required=True, help="name of the device at the server's end")
    parser.add_argument("--far", required=True, help="name of the device at the user's end")
    parser.add_argument("--down", required=True, help="near to far")
    parser.add_argument("--up", required=True, help="far to near")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    try:
        down, up = parse_link(given.down, _read), parse_link(given.up, _read)
        near, far = open_tun(given.near), open_tun(given.far)
    except (OSError, ValueError) as error:
        print(f"no link: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"ready": [given.near, given.far], "priority": hurry()}), flush=True)
    try:
        Emulator(near, far, down, up, given.seed).run()
    except BrokenPipeError:
        return 0  # whoever read the reports is gone
    return 0


if __name__ == "__main__":
    sys.exit(main())
