"""Whole nights on a made clock: nothing outside the window, nothing beyond the month, and everything arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mirror import action, shapes
from mirror.action import Do
from mirror.folder import Folder
from mirror.night import Night
from mirror.origin import Answer, OriginError, Refused
from mirror.runs import Run
from mirror.state import State
from tests.mirror import sample

BODY = sample.body()
DOCUMENT = sample.document(BODY)
# Half past nine in the evening in Krasnoyarsk.
EVENING = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
NIGHT = {"from": "22:00", "to": "06:00"}


class Server:
    """What a mirror asks, answered from memory; notes when it was asked."""

    def __init__(self, subscription: dict, body: bytes = BODY) -> None:
        self.subscription, self.body = subscription, body
        self.asked: list[tuple[datetime, str]] = []
        self.reports: list[dict] = []
        self.given = 0
        self.cut_after: int | None = None
        self.clock: Clock

    def attach(self, night: Night, clock: Clock) -> None:
        """Stand in for the origin of a mirror."""
        self.clock, self.count = clock, night._count
        night.origin = self

    def close(self) -> None:
        """Nothing to close."""

    def get_json(self, path: str, etag: str = "") -> Answer:
        """Answer with the subscription or the manifest."""
        self._note(path)
        document = DOCUMENT if path.endswith("manifest") else self.subscription
        return Answer(200, document, '"1"', self.clock.real)

    def post_json(self, path: str, document: dict) -> Answer:
        """Keep a report."""
        self._note(path)
        self.reports.append(document)
        return Answer(200, {"kept": [one["file"] for one in document["receipts"]], "unknown": []}, "", None)

    def read_file(self, path: str, sha256: str, size: int, run: Run, most: Callable[[], int]) -> Iterator[bytes]:
        """Give bytes; the clock goes on by what they take at 256 kbit/s."""
        at = run.start
        while at < run.stop:
            wanted = min(most(), run.stop - at)
            if self.cut_after is not None and self.given >= self.cut_after:
                self.cut_after = None
                raise OriginError("the link broke off")
            self._note(path)
            self.count(wanted)
            self.clock.go(wanted * 8 / 256_000)
            self.given += wanted
            yield self.body[at : at + wanted]
            at += wanted

    def _note(self, path: str) -> None:
        self.asked.append((self.clock.real, path))
        self.count(300)


class Clock:
    """A clock that goes when it is told to; `error` is by how much the computer's own is wrong."""

    def __init__(self, real: datetime, error: timedelta = timedelta()) -> None:
        self.real, self.error, self.monotonic_s = real, error, 0.0

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.real += timedelta(seconds=seconds)
        self.monotonic_s += seconds


def night(folder: Folder, server: Server, clock: Clock) -> Night:
    """Make a mirror that has joined."""
    state = State.load(folder)
    if state.subscription is None:
        state.subscribe(folder, shapes.subscription(server.subscription), server.subscription, "")
        state.save(folder)
    made = Night(
        folder,
        "http://tropa.test",
        "secret",
        local_now=lambda: clock.real + clock.error,
        monotonic=lambda: clock.monotonic_s,
        wait=clock.go,
    )
    server.attach(made, clock)
    return made


def live(made: Night, clock: Clock, hours: float) -> list[Do]:
    """Let a mirror work for so long; returns what it did, without repetitions."""
    end, done = clock.real + timedelta(hours=hours), []
    while clock.real < end:
        step = made.step()
        if not done or done[-1] is not step.do:
            done.append(step.do)
        clock.go(step.wait_s or 0.01)
    return done


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty mirror on a disk with room, where nothing waits for the disk."""
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 10**12)
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    return sample.folder(tmp_path / "m")


def test_a_night_brings_the_lesson_and_tells_of_it(folder: Folder) -> None:
    """Nothing before ten in the evening, then list, manifest, file, receipt; nothing after six."""
    server = Server(sample.subscription(DOCUMENT, window=NIGHT))
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    assert live(made, clock, 12)[:4] == [Do.SLEEP, Do.REFRESH, Do.FETCH, Do.REPORT]
    assert folder.has(shapes.manifest(DOCUMENT).offer)
    first, last = server.asked[0][0], server.asked[-1][0]
    assert first >= EVENING + timedelta(minutes=30) and last < EVENING + timedelta(hours=8, minutes=30)
    assert server.given == len(BODY)
    assert [one["file"] for one in server.reports[0]["receipts"]] == ["file1"]


def test_a_window_that_closes_stops_the_file_and_the_next_night_goes_on(folder: Folder) -> None:
    """From the very byte: over all nights no byte comes twice."""
    server = Server(sample.subscription(DOCUMENT, window={"from": "22:00", "to": "22:01"}, rate_kbps=32))
    clock = Clock(EVENING)
    live(night(folder, server, clock), clock, 0.6)
    assert 0 < server.given < len(BODY)
    made = night(folder, server, clock)
    for _night in range(6):
        clock.go((EVENING + timedelta(minutes=28) - clock.real).total_seconds() % 86_400)
        live(made, clock, 0.1)
    assert server.given == len(BODY) and folder.has(shapes.manifest(DOCUMENT).offer)
    assert all(at.astimezone(UTC).strftime("%H:%M") == "15:00" for at, _path in server.asked)


def test_cuts_are_waited_off(folder: Folder) -> None:
    """A link that breaks is tried again after a pause; what came is kept."""
    server = Server(sample.subscription(DOCUMENT))
    server.cut_after = 200_000
    clock = Clock(EVENING)
    assert Do.PAUSE in live(night(folder, server, clock), clock, 0.2)
    assert server.given == len(BODY)


def test_the_month_is_never_overdrawn(folder: Folder) -> None:
    """It stops before, says so, and goes on with the next month; the count outlives the process."""
    big = sample.body(1_500_000)
    document = sample.document(big)
    server = Server(sample.subscription(document, monthly_mb=1), big)
    server.get_json = _with(server, document)
    clock = Clock(EVENING)
    assert live(night(folder, server, clock), clock, 2)[-1] is Do.MONTH
    assert server.given < 1_000_000
    given, made = server.given, night(folder, server, clock)
    assert made.state.usage.wire_bytes >= given
    assert Do.FETCH not in live(made, clock, 2)
    clock.go(6.5 * 86_400)
    live(made, clock, 1)
    assert server.given == len(big)


def _with(server: Server, document: dict):
    """Answer with another manifest."""

    def get_json(path: str, etag: str = "") -> Answer:
        server._note(path)
        return Answer(200, document if path.endswith("manifest") else server.subscription, "", server.clock.real)

    return get_json


def test_a_clock_without_a_battery(folder: Folder) -> None:
    """After the first answer the night is the origin's night, whatever this computer's clock says."""
    server = Server(sample.subscription(DOCUMENT, window=NIGHT))
    # It is evening, and the computer believes that it is three at night in 2009.
    clock = Clock(EVENING, datetime(2009, 1, 1, 20, 0, tzinfo=UTC) - EVENING)
    made = night(folder, server, clock)
    made.state.clock = made.state.clock.told(clock.real + clock.error, clock.real)
    live(made, clock, 12)
    assert server.asked[0][0] >= EVENING + timedelta(minutes=30)
    assert made.state.usage.month == "2026-11"


def test_a_full_disk_is_told_and_waited_off(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched that has no place, the origin hears of it, and it goes on by itself when there is room."""
    server = Server(sample.subscription(DOCUMENT))
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    monkeypatch.setattr(Folder, "free_bytes", lambda self: action.SPARE_BYTES)
    assert live(made, clock, 1)[-1] is Do.DISK
    assert server.given == 0 and "disk is full" in server.reports[-1]["said"]
    monkeypatch.setattr(Folder, "free_bytes", lambda self: 10**12)
    live(made, clock, 1)
    assert folder.has(shapes.manifest(DOCUMENT).offer) and server.reports[-1]["said"] == ""


def test_a_manifest_of_another_file_is_not_taken(folder: Folder) -> None:
    """The list and the manifest have to name the same digest; nothing is fetched by one that does not."""
    server = Server(sample.subscription(sample.document(sample.body(seed=4))))
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    live(made, clock, 0.1)
    assert server.given == 0 and "cannot be true" in made.state.trouble


def test_a_piece_that_is_damaged_every_time_is_given_up_for_a_while(folder: Folder) -> None:
    """A file that does not fit its manifest costs a few chunks an hour, not the month."""
    broken = bytes([BODY[0] ^ 1]) + BODY[1:]
    server = Server(sample.subscription(DOCUMENT), broken)
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    live(made, clock, 0.9)
    assert "damaged every time" in made.state.trouble or made.state.do == Do.REST
    assert server.given == len(BODY) + 4 * 131072
    assert not folder.has(shapes.manifest(DOCUMENT).offer)


def test_a_refusal_does_not_stop_the_rest(folder: Folder) -> None:
    """Trouble is told, and the mirror goes on asking at growing distances."""
    server = Server(sample.subscription(DOCUMENT))
    clock = Clock(EVENING)
    made = night(folder, server, clock)

    def refuse(path: str, etag: str = "") -> Answer:
        server._note(path)
        raise Refused(401, "the server does not know this token")

    server.get_json = refuse
    live(made, clock, 2)
    assert 8 < len(server.asked) < 30


def test_a_file_that_was_made_anew_is_asked_for_anew(folder: Folder) -> None:
    """The list is asked for at once, not after half an hour, and the new file comes in its place."""
    server = Server(sample.subscription(sample.document(BODY, sha256="1" * 64)))
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    server.get_json = _with(server, sample.document(BODY, sha256="1" * 64))

    def changed(*_arguments) -> Iterator[bytes]:
        server.subscription = sample.subscription(DOCUMENT)
        del server.read_file, server.get_json
        raise Refused(412, "the file has changed on the server")
        yield b""

    server.read_file = changed
    live(made, clock, 0.2)
    assert folder.has(shapes.manifest(DOCUMENT).offer)
    assert list(folder.partial.iterdir()) == []


def test_an_import_gets_its_turn(folder: Folder) -> None:
    """While one waits nothing is fetched; afterwards the work goes on."""
    server = Server(sample.subscription(DOCUMENT))
    clock = Clock(EVENING)
    made = night(folder, server, clock)
    folder.import_wanted.touch()
    assert live(made, clock, 0.01) == [Do.PAUSE] and server.asked == []
    folder.import_wanted.unlink()
    live(made, clock, 0.2)
    assert folder.has(shapes.manifest(DOCUMENT).offer)
