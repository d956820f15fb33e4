"""What a packet to a viewer costs the media process, part by part, in one thread's processor time.

`python -m bench.egresscost`: a real room with a recorder, a host and a hundred viewers in this process, on real
sockets and real SRTP, in virtual time: however busy the machine is, the load is the same. Only the handshakes are left
out, and the event loop, whose sleeps are measured beside and multiplied: it wakes by the clock alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pylibsrtp
from aiortc.rtcdtlstransport import State

from bench.fanout_load import LOADS, VP8_DELTA, VP8_DESCRIPTOR, VP8_KEYFRAME
from bench.fanout_peer import consent_check
from bench.fanout_sdp import PICTURE_PT, VOICE_PT, Local, offer, read
from media import rtcp, twcc
from media.__main__ import YOUNG_OBJECTS
from media.rtc.dtls import DtlsPeer, Identity
from media.rtc.port import READ_S, MediaPort
from media.rtp import RtpPacket, serialize_rtp
from media.service import PORT_TICK_S, TICK_S, Service
from media.viewer import Who

IP, ROOM = "127.0.0.1", "bench"
FEEDBACK_S, REPORT_S, CONSENT_S = 1 / 3.8, 1.0, 2.4
KEYFRAME_EACH = 300
KEY = bytes(range(30))
SLEEPS = 500


class Clock:
    """Virtual time and the parts' processor time; a part within another counts for itself alone."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.parts: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._open: list[str] = []
        self._since_s = 0.0

    def read(self) -> float:
        """Return the virtual time."""
        return self.now_s

    def wrap(self, part: str, call: Callable) -> Callable:
        """Return `call` counted under `part`."""

        def counted(*args, **named):
            self._turn(part)
            try:
                return call(*args, **named)
            finally:
                self._turn(None)

        return counted

    def _turn(self, part: str | None) -> None:
        at_s = time.thread_time()
        if self._open:
            self.parts[self._open[-1]] += at_s - self._since_s
        if part is None:
            self._open.pop()
        else:
            self._open.append(part)
            self.calls[part] += 1
        self._since_s = time.thread_time()


class Keyed(DtlsPeer):
    """An association whose keys are there without a handshake."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(identity, "client", (), lambda _datagram: None)
        self._state = State.CONNECTED
        self._tx_srtp, self._rx_srtp = _session(outbound=True), _session(outbound=False)


def _session(outbound: bool) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if outbound else pylibsrtp.Policy.SSRC_ANY_INBOUND
    profile = pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80
    return pylibsrtp.Session(pylibsrtp.Policy(key=KEY, ssrc_type=kind, srtp_profile=profile))


class End:
    """The other end of one session: a socket, and what has come to it since the last feedback."""

    def __init__(self, number: int, server: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setblocking(False)
        self.socket.bind((IP, 0))
        self.socket.connect(server)
        self.local = Local(self.socket.getsockname(), f"end{number:05}", "p" * 24, "AA:" * 31 + "AA")
        self.srtp = _session(outbound=True)
        self.ssrc = number + 1
        self.packets = 0
        self.highest: dict[int, int] = {}
        self.arrivals: list[tuple[int, float]] = []
        self.next: int | None = None
        self.told = 0
        self.due = [0.0, 0.0, 0.0]
        self.server = None

    def check(self) -> bytes:
        """Return a consent check."""
        return consent_check(self.server, self.local)

    def drain(self, now_s: float) -> None:
        """Count what has come."""
        while True:
            try:
                data = self.socket.recv(2048)
            except BlockingIOError:
                return
            if data[0] < 128 or 192 <= data[1] <= 223:
                continue
            self.packets += 1
            self.highest[int.from_bytes(data[8:12])] = int.from_bytes(data[2:4])
            if data[0] & 0x10 and data[16] & 0x0F == 1:
                # A picture stands in the receiver's link for a moment longer: deltas are not all alike.
                self.arrivals.append((int.from_bytes(data[17:19]), now_s + 0.02 + len(data) * 1e-6 + self._jitter()))

    def _jitter(self) -> float:
        self.told = (self.told * 1103515245 + 12345) & 0x7FFFFFFF
        return self.told / 0x7FFFFFFF * 0.003

    def feedback(self) -> bytes | None:
        """Return transport-cc feedback about what has come, None where nothing has."""
        if not self.arrivals:
            return None
        first = self.arrivals[0][0] if self.next is None else self.next
        at = {(number - first) & 0xFFFF: arrival_s for number, arrival_s in self.arrivals}
        self.arrivals = []
        count = max(at) + 1
        self.next = (first + count) & 0xFFFF
        told = [at.get(offset) for offset in range(count)]
        return self.srtp.protect_rtcp(twcc.serialize(self.ssrc, 1, first, 0, told))

    def report(self) -> bytes:
        """Return a receiver report."""
        blocks = tuple(rtcp.ReportBlock(ssrc, 0, 0, number, 0, 0, 0) for ssrc, number in self.highest.items())
        return self.srtp.protect_rtcp(rtcp.serialize(rtcp.ReceiverReport(self.ssrc, blocks)))


INPUTS = ((FEEDBACK_S, End.feedback), (REPORT_S, End.report), (CONSENT_S, End.check))


def _ignore(*_args: object) -> object:
    """Stand in for the event loop: the stage gives the time."""
    return SimpleNamespace(cancel=lambda: None)


class Stage:
    """One room in virtual time."""

    def __init__(self, viewers: int, folder: Path) -> None:
        self.clock = clock = Clock()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        sock.setblocking(False)
        sock.bind((IP, 0))
        door = socket.socket()
        door.bind((IP, 0))
        self.port = port = MediaPort(sock, door, clock.read)
        self.service = Service(port, (IP,), folder, viewers, 60.0, 4.0, lambda *_told: None)
        port.batch.fan_out = clock.wrap("fan out: headers, encryption", port.batch.fan_out)
        port.batch.flush = clock.wrap("sendmmsg", port.batch.flush)
        port.attach(SimpleNamespace(add_reader=_ignore, remove_reader=_ignore, call_later=_ignore))
        port._take = self._sorted(port._take)
        self._port_s = self._tick_s = 0.0
        self.identity = Identity()
        self.load = LOADS[0]
        self.sent = [0, 0]
        self.host = End(0, sock.getsockname())
        created = self.service.host(ROOM, offer(self.host.local, "sendonly", (1, 2), ("VP8",)))
        self.room = self.service.rooms[ROOM]
        ladder = self.room.ladder
        ladder._decide = clock.wrap("rungs", ladder._decide)
        self._connect(self.host, created)
        self.ends = [End(number + 1, sock.getsockname()) for number in range(viewers)]
        for end in self.ends:
            who = Who(f"guest:{end.ssrc}", f"Guest {end.ssrc}", "Lyanino")
            text = offer(end.local, "recvonly", codecs=("VP8", "AV1"))
            self._connect(end, self.service.viewer(ROOM, text, who))
        for index, end in enumerate(self.ends):
            now_s, share = clock.now_s, index / viewers
            end.due = [now_s + each * (1 + share) for each in (FEEDBACK_S, REPORT_S, CONSENT_S)]
        self.begin_s = clock.now_s

    def _connect(self, end: End, created) -> None:
        end.server = read(created.answer, IP)
        peer = self.room.resource(created.resource).peer
        peer.dtls = Keyed(self.identity)
        end.socket.send(end.check())
        self.port._read()
        peer.dtls_changed(self.clock.now_s)

    def run(self, seconds: float) -> None:
        """Let virtual time pass, pass of the pacer by pass."""
        clock, end_s = self.clock, self.clock.now_s + seconds
        read = clock.wrap("reading the socket", self.port._read)
        room_tick = clock.wrap("room's tick", self.room.tick)
        port_tick = clock.wrap("port's tick", self.port.tick)
        while clock.now_s < end_s:
            clock.now_s += READ_S
            self._say(read)
            if clock.now_s - self._tick_s >= TICK_S - 1e-9:
                self._tick_s = clock.now_s
                room_tick(clock.now_s)
                if clock.now_s - self._port_s >= PORT_TICK_S:
                    self._port_s = clock.now_s
                    port_tick(clock.now_s)
                self.port.batch.flush()
                self._drain()

    def _say(self, read: Callable[[], None]) -> None:
        """Let host and viewers send what is due, and the port read it."""
        self._host_packets()
        self._viewers_datagrams()
        read()
        self._drain()

    def _viewers_datagrams(self) -> None:
        for end in self.ends:
            for index, (each_s, make) in enumerate(INPUTS):
                if end.due[index] <= self.clock.now_s:
                    end.due[index] += each_s
                    data = make(end)
                    if data is not None:
                        end.socket.send(data)

    def _sorted(self, take: Callable) -> Callable:
        """Return the port's way to take a datagram, counted by the datagram's kind."""
        kinds = {205: "feedback", 201: "receiver reports"}
        parts = {name: self.clock.wrap(name, take) for name in (*kinds.values(), "consent", "host's packets, recorder")}

        def sort(data: bytes, path: tuple, now_s: float, came_s: float) -> None:
            other = "consent" if data[0] < 4 else "host's packets, recorder"
            parts[kinds.get(data[1], other) if data[0] >= 128 else other](data, path, now_s, came_s)

        return sort

    def _drain(self) -> None:
        for end in self.ends:
            end.drain(self.clock.now_s)

    def _host_packets(self) -> None:
        load, since_s = self.load, self.clock.now_s - self.begin_s
        while self.sent[0] * load.voice_ms / 1000 <= since_s:
            number = self.sent[0]
            self.sent[0] += 1
            payload = b"\x78" * load.voice_bytes
            self._put(RtpPacket(VOICE_PT, number + 1000, number * load.voice_ms * 48, 1, payload, number == 0))
        while self.sent[1] / load.pictures_per_s <= since_s:
            number = self.sent[1]
            self.sent[1] += 1
            head = VP8_DESCRIPTOR + (VP8_DELTA if number % KEYFRAME_EACH else VP8_KEYFRAME)
            payload = head + bytes(load.picture_bytes - len(head))
            timestamp = number * 90_000 // load.pictures_per_s
            self._put(RtpPacket(PICTURE_PT, number + 1000, timestamp, 2, payload, True))

    def _put(self, packet: RtpPacket) -> None:
        self.host.socket.send(self.host.srtp.protect(serialize_rtp(packet)))

    @property
    def packets(self) -> int:
        """RTP packets that have come to all viewers."""
        return sum(end.packets for end in self.ends)


async def sleep_cost_s() -> float:
    """Return what the event loop takes for one sleep, in seconds."""
    begun_s = time.thread_time()
    for _ in range(SLEEPS):
        await asyncio.sleep(0.001)
    return (time.thread_time() - begun_s) / SLEEPS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--settle", type=float, default=15.0)
    args = parser.parse_args()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(args.viewers, Path(folder))
        stage.run(args.settle)
        stage.clock.parts.clear()
        stage.clock.calls.clear()
        before = stage.packets
        stage.run(args.seconds)
        packets = stage.packets - before
        rungs = Counter(viewer.rung.name for viewer in stage.room.viewers.values())
        print(f"{packets / args.seconds / args.viewers:.1f} packets a second and viewer; rungs {dict(rungs)}")
        sleep_s = asyncio.run(sleep_cost_s())
        parts, calls = stage.clock.parts, stage.clock.calls
        calls["event loop"] = calls["reading the socket"] + calls["room's tick"]
        parts["event loop"] = calls["event loop"] * sleep_s
        for part, spent_s in sorted(parts.items(), key=lambda item: -item[1]):
            each = spent_s * 1e6 / max(1, calls[part])
            print(f"{part:32} {spent_s * 1e6 / packets:7.2f} us a packet {calls[part]:8} times {each:8.1f} us")
        print(f"{'all':32} {sum(parts.values()) * 1e6 / packets:7.2f}")
        asyncio.run(stage.service.stop(3.0))


if __name__ == "__main__":
    main()
