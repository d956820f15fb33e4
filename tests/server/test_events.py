"""The events of a session: what watchers are sent, when, and by how little work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from config import Settings
from rules.lifecycle import SessionState
from server.events import Denied, Events, Grant
from server.livefeed import MAX_KINDS, LiveFeed, Mailbox
from tests.server.fakemedia import FakeMedia

LIVE = {"session": "s1", "state": "live", "since": 5.0, "viewers": 1, "viewer_list": [{"name": "secret"}]}


class World:
    """A feed over a fake media process and a database of one dict."""

    def __init__(self, settings: Settings) -> None:
        self.media = FakeMedia(settings)
        self.states: dict[str, SessionState] = {"s1": SessionState.BOOKED}
        self.reported: list[dict] = []
        self.ended: list[str] = []
        self.feed = LiveFeed(self.media.liveplane, "", self.states.get, self.report, self.end)

    def report(self, rooms: dict, complete: bool) -> None:
        self.reported.append(rooms)

    def end(self, session: str) -> None:
        self.ended.append(session)
        self.states[session] = SessionState.ENDED

    async def say(self, session: str, event: object) -> None:
        """Let the feed hear an event as if it came from Redis."""
        await self.feed._hear(session, event if isinstance(event, str) else json.dumps(event))


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    """A feed that is not running: the tests say what it hears."""
    made = World(settings)
    yield made
    made.media.liveplane.close()


async def states(mailbox: Mailbox) -> list[str]:
    """Take what waits and return the states in it."""
    return [body["state"] for _name, body in await asyncio.wait_for(mailbox.take(), 5)]


async def test_a_watcher_learns_the_state_at_once(world: World) -> None:
    """Whoever joins finds the present state in the mailbox, without waiting for a change."""
    mailbox = await world.feed.join("s1", host=False)
    assert await states(mailbox) == ["waiting"]


async def test_events_reach_everybody_who_watches_that_session(world: World) -> None:
    """All watchers of a session are told, and nobody else; names of viewers stay out."""
    boxes = [await world.feed.join("s1", host=False) for _ in range(50)]
    other = await world.feed.join("s2", host=False)
    for box in [*boxes, other]:
        await states(box)
    await world.say("s1", {"type": "state", "room": LIVE})
    for box in boxes:
        [(name, body)] = await asyncio.wait_for(box.take(), 5)
        assert (name, body["state"], body["viewers"]) == ("room", "live", 1)
        assert "secret" not in json.dumps(body)
    await world.say("s2", {"type": "state", "room": LIVE | {"session": "s2"}})
    assert await states(other) == ["live"]
    assert len(world.reported) == 2


async def test_the_newest_state_wins(world: World) -> None:
    """A slow watcher gets the last state and not the ones it missed."""
    mailbox = await world.feed.join("s1", host=False)
    for viewers in range(100):
        await world.say("s1", {"type": "state", "room": LIVE | {"viewers": viewers}})
    await world.say("s1", {"type": "state", "room": LIVE | {"state": "host_lost"}})
    assert await states(mailbox) == ["host_lost"]


async def test_renditions_are_kept_by_kind_and_bounded() -> None:
    """The newest event of each kind waits; beyond the bound the oldest kind is dropped."""
    mailbox = Mailbox(host=False)
    for percent in range(3):
        mailbox.put("rendition:r:voice", "rendition", {"percent": percent})
    for number in range(MAX_KINDS + 5):
        mailbox.put(f"rendition:r:{number}", "rendition", {"percent": number})
    events = await asyncio.wait_for(mailbox.take(), 5)
    assert len(events) == MAX_KINDS
    assert events[-1] == ("rendition", {"percent": MAX_KINDS + 4})


async def test_the_end_reaches_database_and_watchers(world: World) -> None:
    """An "ended" event is written down and told."""
    mailbox = await world.feed.join("s1", host=False)
    await world.say("s1", {"type": "state", "room": LIVE})
    await states(mailbox)
    await world.say("s1", {"type": "ended"})
    assert await states(mailbox) == ["ended"]
    assert world.ended == ["s1"]


@pytest.mark.parametrize("text", ["", "not json", "[]", "7", '{"type": "state"}', '{"type": "state", "room": 3}', "{}"])
async def test_nonsense_on_the_channel_changes_nothing(world: World, text: str) -> None:
    """What is not understood is dropped, and the feed goes on."""
    mailbox = await world.feed.join("s1", host=False)
    await states(mailbox)
    await world.say("s1", text)
    await world.say("s1", {"type": "state", "room": LIVE})
    assert await states(mailbox) == ["live"]


async def test_without_redis_the_poll_tells(world: World) -> None:
    """The media process is asked by itself: going live, its death and its return are seen without any event."""
    mailbox = await world.feed.join("s1", host=False)
    assert await states(mailbox) == ["waiting"]
    world.feed.start()
    try:
        world.media.go_live("s1")
        world.feed._poll_now.set()
        assert await states(mailbox) == ["live"]
        world.media.down = True
        world.feed._poll_now.set()
        assert await states(mailbox) == ["away"]
        world.media.down = False
        world.feed._poll_now.set()
        assert await states(mailbox) == ["live"]
        world.states["s1"] = SessionState.ENDED
        world.media.rooms.clear()
        world.feed._poll_now.set()
        assert await states(mailbox) == ["ended"]
    finally:
        await world.feed.stop()


class Connection:
    """One HTTP exchange with the ASGI application."""

    def __init__(self, app: Events, path: str, method: str = "GET") -> None:
        self.sent: asyncio.Queue[dict] = asyncio.Queue()
        self.gone = asyncio.Event()
        scope = {"type": "http", "path": path, "method": method, "headers": []}
        self.task = asyncio.create_task(app(scope, self.receive, self.sent.put))

    async def receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> dict:
        return await asyncio.wait_for(self.sent.get(), 5)

    async def leave(self) -> None:
        self.gone.set()
        await asyncio.wait_for(self.task, 5)


async def test_the_stream_is_server_sent_events(world: World) -> None:
    """The answer streams text/event-stream; a watcher who leaves frees the mailbox."""
    app = Events(world.feed, lambda session, headers: Grant(host=True))
    connection = Connection(app, "/events/s1")
    start = await connection.next()
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"].startswith(b"text/event-stream")
    text = (await connection.next())["body"].decode()
    assert text.startswith("event: room\ndata: {")
    assert text.endswith("\n\n")
    body = json.loads(text.split("data: ")[1])
    assert body["state"] == "waiting"
    assert body["recording"] is None
    await connection.leave()
    assert not world.feed._mailboxes


async def test_four_hundred_watchers_share_one_feed(world: World) -> None:
    """400 watchers are 400 coroutines: one event reaches all of them, and nothing is left when they go."""
    app = Events(world.feed, lambda session, headers: Grant(host=False))
    everybody = [Connection(app, "/events/s1") for _ in range(400)]
    for connection in everybody:
        await connection.next()
    await world.say("s1", {"type": "state", "room": LIVE})
    for connection in everybody:
        while "live" not in (await connection.next())["body"].decode():
            pass
    await asyncio.gather(*(connection.leave() for connection in everybody))
    assert not world.feed._mailboxes


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/events/s1", "POST", 405), ("/events/", "GET", 404), ("/events/a/b", "GET", 404), ("/events/%00", "GET", 404)],
)
async def test_other_requests_are_refused(world: World, path: str, method: str, status: int) -> None:
    """Only GET of a session's events is answered."""
    connection = Connection(Events(world.feed, lambda session, headers: Grant(host=False)), path, method)
    assert (await connection.next())["status"] == status
    await asyncio.wait_for(connection.task, 5)


async def test_a_denial_is_passed_on(world: World) -> None:
    """Whoever may not follow gets the whole answer that says why."""
    denied = Denied(403, [(b"content-type", b"application/problem+json"), (b"content-length", b"99")], b"{}")
    connection = Connection(Events(world.feed, lambda session, headers: denied), "/events/s1")
    start = await connection.next()
    assert start["status"] == 403
    assert dict(start["headers"])[b"content-length"] == b"2"
    assert (await connection.next())["body"] == b"{}"
    await asyncio.wait_for(connection.task, 5)
