"""The media port with real sockets on loopback and a clock of the test's own: names, paths, limits, costs."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from aioice import stun
from aioice.stun import Class, Message, Method

from media.rtc import ice
from media.rtc.addresses import open_tcp, open_udp
from media.rtc.framing import PICTURE_AGE_S, Deframer, frame
from media.rtc.peer import Peer
from media.rtc.port import AWAY_S, PATH_SILENT_S, READ_S, MediaPort
from media.rtc.tcp import MAX_UNKNOWN, UNKNOWN_S
from media.service import Service
from media.viewer import Who
from tests.slow.stack import free_port

pytestmark = pytest.mark.slow

OFFERS = Path(__file__).parent.parent / "media" / "offers"
PRINT = ("sha-256", ":".join(["AB"] * 32))
PATIENCE_S = 20


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Session:
    """Stands for a host or a viewer."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def connected(self, now_s: float) -> None:
        raise AssertionError("nobody shakes hands here")

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        raise AssertionError("no media without a handshake")

    def rtcp(self, data: bytes, now_s: float) -> None:
        raise AssertionError("no media without a handshake")

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def clock() -> Clock:
    """A clock of the test's own."""
    return Clock()


@pytest.fixture
async def port(clock: Clock) -> AsyncIterator[MediaPort]:
    """The port on loopback, read by the test's event loop."""
    number = free_port()
    made = MediaPort(open_udp("127.0.0.1", number), open_tcp("127.0.0.1", number), clock)
    made.attach(asyncio.get_running_loop())
    yield made
    made.detach(asyncio.get_running_loop())


def offered(port: MediaPort) -> Peer:
    """Make a session as an offer does."""
    peer = port.peer(Session())
    peer.accept("server", (PRINT,), "theirs")
    return peer


def check(ufrag: str, password: str, nominate: bool = False) -> bytes:
    """Make a signed binding request."""
    message = Message(Method.BINDING, Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:theirs"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return bytes(message)


class Caller:
    """A UDP socket of a client."""

    def __init__(self, port: MediaPort) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.setblocking(False)
        self.sock.connect(("127.0.0.1", port.number))
        self.address = self.sock.getsockname()

    async def ask(self, ufrag: str, password: str, nominate: bool = False) -> Message:
        """Send a check and return the answer."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, check(ufrag, password, nominate))
        async with asyncio.timeout(PATIENCE_S):
            # The first check also brings our first flight of DTLS, behind the answer.
            while not ice.looks_like_stun(data := await loop.sock_recv(self.sock, 2048)):
                pass
        return stun.parse_message(data)


async def dial(port: MediaPort) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect over TCP."""
    return await asyncio.open_connection("127.0.0.1", port.number)


async def ask_framed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> Message:
    """Send a nominating check over TCP and return the answer."""
    writer.write(frame(check(peer.ufrag, peer.password, nominate=True)))
    async with asyncio.timeout(PATIENCE_S):
        return stun.parse_message(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))


async def until(condition: Callable[[], bool]) -> None:
    """Ask every 10 ms until it holds."""
    for _ in range(PATIENCE_S * 100):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not within {PATIENCE_S} s")


async def hung_up(reader: asyncio.StreamReader) -> bool:
    """Wait for the server to close."""
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read() == b""
        except ConnectionResetError:
            return True


async def test_a_check_over_tcp_opens_a_path(port: MediaPort) -> None:
    """The connection that carried a good check is the session's path; when it ends the session waits for another."""
    peer = offered(port)
    reader, writer = await dial(port)
    answer = await ask_framed(reader, writer, peer)
    assert answer.message_class == Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == writer.get_extra_info("sockname")
    link = peer.link
    assert link is not None and peer.selected is link
    writer.close()
    await until(lambda: peer.selected is None)
    assert not peer.closed and not port.tcp.links
    again = await dial(port)
    await ask_framed(*again, peer)
    assert peer.link is not None and peer.link is not link
    peer.close("left")
    await hung_up(again[0])
    assert not port.tcp.links


@pytest.mark.parametrize(
    "greeting",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        frame(b"\x80" * 40),
        frame(check("nobody", "x" * 24)),
        frame(b"\x16\xfe\xfd" + bytes(60)),
    ],
)
async def test_strangers_are_shown_out(port: MediaPort, greeting: bytes) -> None:
    """Whoever begins with anything but a good check is disconnected and counted."""
    reader, writer = await dial(port)
    writer.write(greeting)
    assert await hung_up(reader)
    assert port.tcp.refused == 1 and not port.tcp.links
    writer.close()


async def test_silent_connections_are_closed_in_time(port: MediaPort, clock: Clock) -> None:
    """A connection that has not said who it is goes after five seconds; one that has stays."""
    peer = offered(port)
    known = await dial(port)
    await ask_framed(*known, peer)
    reader, writer = await dial(port)
    await until(lambda: len(port.tcp.links) == 2)
    clock.now_s += UNKNOWN_S + 0.1
    port.tick(clock.now_s)
    assert await hung_up(reader)
    assert len(port.tcp.links) == 1 and peer.link in port.tcp.links
    writer.close()
    known[1].close()


async def test_many_strangers_crowd_out_one_another_alone(port: MediaPort) -> None:
    """Unknown connections are bounded, the oldest goes first, and a session's own connection is none of them."""
    peer = offered(port)
    known = await dial(port)
    await ask_framed(*known, peer)
    strangers = [await dial(port) for _ in range(MAX_UNKNOWN + 20)]
    assert all([await hung_up(reader) for reader, _ in strangers[:20]])
    assert len(port.tcp.links) == MAX_UNKNOWN + 1
    await ask_framed(*known, peer)
    for _reader, writer in [known, *strangers]:
        writer.close()


async def test_a_slow_connection_loses_pictures_and_keeps_voice(port: MediaPort, clock: Clock) -> None:
    """To a client that does not read, pictures stop after half a second of waiting; all voice comes out in the end."""
    peer = offered(port)
    with socket.create_connection(("127.0.0.1", port.number)) as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, frame(check(peer.ufrag, peer.password)))
        await until(lambda: peer.link is not None)
        link = peer.link
        voice = 0
        for _ in range(20000):
            link.take(b"\x80" + bytes(1000), urgent=False)
            link.flush()
            if link.starved:
                break
            clock.now_s += 0.01
            if clock.now_s > 1000.0 + PICTURE_AGE_S * 2 * (voice + 1):
                voice += 1
                link.take(b"\x81" + voice.to_bytes(4) + bytes(20), urgent=True)
        assert link.starved and peer.starved and port.tcp.dropped >= PICTURE_AGE_S / 0.01 - 1
        link.take(b"\x81" + bytes(4), urgent=True)
        link.take(b"\x80 refused", urgent=False)
        deframer, packets = Deframer(), []
        async with asyncio.timeout(PATIENCE_S):
            while b"\x81" + bytes(4) not in packets:
                packets += deframer.feed(await loop.sock_recv(client, 65536))
        heard = [int.from_bytes(p[1:5]) for p in packets if p.startswith(b"\x81")]
        assert heard == [*range(heard[0], voice + 1), 0]
        assert b"\x80 refused" not in packets
        peer.feed()
        link.take(b"\x80 keyframe", urgent=False)
        link.flush()
        async with asyncio.timeout(PATIENCE_S):
            assert deframer.feed(await loop.sock_recv(client, 65536)) == [b"\x80 keyframe"]


async def test_a_nat_that_gives_another_address_keeps_the_session(port: MediaPort, clock: Clock) -> None:
    """A peer that nominates from a new address moves at once; one that only checks, when its old path is silent."""
    peer = offered(port)
    home, other = Caller(port), Caller(port)
    await home.ask(peer.ufrag, peer.password, nominate=True)
    assert peer.selected == home.address
    await other.ask(peer.ufrag, peer.password)
    assert peer.selected == home.address
    clock.now_s += PATH_SILENT_S + 0.1
    await other.ask(peer.ufrag, peer.password)
    assert peer.selected == other.address
    await home.ask(peer.ufrag, peer.password, nominate=True)
    assert peer.selected == home.address and not peer.closed


async def test_an_ice_restart_changes_names_and_nothing_else(port: MediaPort) -> None:
    """Old names are answered until a check by the new ones comes; asked twice for the same restart, names stay."""
    peer = offered(port)
    caller, fresh = Caller(port), Caller(port)
    old = (peer.ufrag, peer.password)
    await caller.ask(*old, nominate=True)
    dtls = peer.dtls
    peer.restart("theirs2")
    new = (peer.ufrag, peer.password)
    assert new != old
    peer.restart("theirs2")
    assert (peer.ufrag, peer.password) == new
    assert (await caller.ask(*old, nominate=True)).message_class == Class.RESPONSE
    await fresh.ask(*new, nominate=True)
    assert peer.selected == fresh.address and peer.dtls is dtls
    await asyncio.get_running_loop().sock_sendall(caller.sock, check(*old))
    await fresh.ask(*new)
    assert port.counters.dropped["ufrag"] == 1 and port.sessions == 1


async def test_a_thousand_sessions_cost_no_socket_and_no_task(port: MediaPort, tmp_path: Path) -> None:
    """A thousand viewers of one lesson live on the sockets and tasks that one viewer needs; all can go again."""
    service = Service(port, ("127.0.0.1",), tmp_path, 2000, 600, 8, lambda _session, _event: None)

    def text(name: str) -> str:
        return (OFFERS / f"{name}.sdp").read_bytes().decode()

    service.host("lesson", text("chromium-whip"))
    caller = Caller(port)
    process = psutil.Process()
    # What earlier tests left for the collector would otherwise be closed between the two counts.
    gc.collect()
    before = (process.num_fds(), len(asyncio.all_tasks()))
    room = service.rooms["lesson"]
    for index in range(1000):
        created = service.viewer("lesson", text("chromium-whep"), Who(f"guest:{index}", "Anna", "Lyanino"))
        peer = room.viewers[created.resource].peer
        assert (await caller.ask(peer.ufrag, peer.password, nominate=True)).message_class == Class.RESPONSE
    assert port.sessions == 1001
    # Fewer descriptors than before are what an earlier test had left.
    assert process.num_fds() <= before[0] and len(asyncio.all_tasks()) == before[1]
    service.end("lesson")
    gc.collect()
    assert port.sessions == 0
    # Fewer descriptors than before are what an earlier test had left.
    assert process.num_fds() <= before[0] and len(asyncio.all_tasks()) == before[1]


class Turns:
    """An event loop that turns when the test says so: what it would call for a readable socket, and later."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.later: Callable[[], None] | None = None

    def add_reader(self, fd: int, call: Callable[[], None]) -> None:
        """Note whom to call."""
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        """Call nobody any more."""
        self.readers.pop(fd, None)

    def call_later(self, seconds: float, call: Callable[[], None]) -> SimpleNamespace:
        """Note what to call at the next turn of the clock."""
        assert seconds == READ_S
        self.later = call
        return SimpleNamespace(cancel=lambda: None)


def test_many_datagrams_are_read_by_the_clock_and_a_lone_one_when_it_comes(clock: Clock) -> None:
    """A handful at once turns the clock on, fewer turn it off, and nothing is left unread in either state."""
    number, loop = free_port(), Turns()
    port = MediaPort(open_udp("127.0.0.1", number), open_tcp("127.0.0.1", number), clock)
    port.attach(loop)
    caller, fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), port.sock.fileno()
    read = []
    for burst in (1, 5, 4, 1, 1, 6, 0):
        for _ in range(burst):
            caller.sendto(bytes(20), ("127.0.0.1", number))
        call, loop.later = loop.later or loop.readers[fd], None
        call()
        read.append((port.counters.received, fd in loop.readers, loop.later is not None))
    assert read == [
        (1, True, False),
        (6, False, True),
        (10, False, True),
        (11, True, False),
        (12, True, False),
        (18, False, True),
        (18, True, False),
    ]
    caller.close()
    port.detach(loop)


async def test_who_reports_and_falls_silent_gets_nothing_until_heard_again(port: MediaPort, clock: Clock) -> None:
    """The session stays; its streams rest after AWAY_S and go on with the next check. Who never reports is not cut."""
    callers, peers = [Caller(port), Caller(port)], [offered(port), offered(port)]
    streams = [peer.stream(7, 111) for peer in peers]
    for caller, peer in zip(callers, peers, strict=True):
        await caller.ask(peer.ufrag, peer.password, nominate=True)
        peer._session = object()  # as after a handshake
        peer.select(peer.selected)
    peers[0].attentive = True
    clock.now_s += AWAY_S - 0.1
    port.tick(clock.now_s)
    assert [stream.name is None for stream in streams] == [False, False] and port.away == 0
    clock.now_s += 0.2
    port.tick(clock.now_s)
    assert [stream.name is None for stream in streams] == [True, False]
    assert port.away == 1 and port.sessions == 2
    await callers[0].ask(peers[0].ufrag, peers[0].password)
    assert streams[0].name is not None and port.away == 0


async def test_a_closed_session_is_free_at_once(port: MediaPort) -> None:
    """Nothing points back from a closed peer, so that its session goes without the collector of cycles."""
    peer = offered(port)
    session = weakref.ref(peer.handler)
    gc.collect()
    gc.disable()
    try:
        peer.close("left")
        assert session() is None
    finally:
        gc.enable()


async def test_a_connection_nominated_beside_a_living_udp_path_waits(port: MediaPort, clock: Clock) -> None:
    """Firefox nominates all that works, TCP last: UDP stays until it is silent, or until an ICE restart chooses TCP."""
    peer = offered(port)
    udp = Caller(port)
    await udp.ask(peer.ufrag, peer.password, nominate=True)
    reader, writer = await dial(port)
    await ask_framed(reader, writer, peer)
    assert peer.selected == udp.address and peer.link is None
    clock.now_s += PATH_SILENT_S + 0.1
    await ask_framed(reader, writer, peer)
    assert peer.link is not None
    await udp.ask(peer.ufrag, peer.password, nominate=True)
    assert peer.selected == udp.address
    peer.restart("another")
    await ask_framed(reader, writer, peer)
    assert peer.link is not None
    writer.close()
