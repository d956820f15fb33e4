"""What tests of the live room share: a booked lesson with its people, and questions to a page that plays it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from rules import tickets
from rules.lifecycle import SessionKind
from rules.rights import Role
from rules.tickets import Action, Ticket
from store import booking, database, guests, logins, people
from tests.slow.stack import Stack, wait_until


class Page(Protocol):
    """A page of either browser."""

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; promises are awaited."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A lesson that may go live now; `host_cookie` logs its host in, `links` are personal links of two teachers."""

    session_id: str
    host_cookie: str
    links: tuple[str, str]


def book_lesson(stack: Stack, title: str = "Дроби вокруг нас") -> Stage:
    """Make a school, its host, a lesson that starts now, and two guests, straight in the running service's database."""
    now = database.utc_now()
    app = database.bare_app(stack.settings)
    with app.app_context():
        school = people.create_school(f"Школа {database.new_id()}", "Asia/Krasnoyarsk", now).id
        email = f"{database.new_id()}@tropa.example"
        host = people.create_person(email, "Мария Ивановна", "пароль для проверки", [(Role.HOST, school)], now).id
        starts_at = now - timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
        draft = booking.Draft(SessionKind.OPEN_LESSON, title, "Математика", school, host, starts_at, 45)
        booked = booking.book(draft, host, now, channels=stack.settings.channels)
        assert isinstance(booked, booking.Booked), booked
        cookie = logins.start_login(host, "tests", now, 1)[1]
        later = now + timedelta(hours=6)
        names = ("Анна Петровна", "Олег Сергеевич")
        ids = [guests.add_guest(booked.session_id, school, name, host, now, later).id for name in names]
    links = (_personal_link(stack, booked.session_id, ids[0]), _personal_link(stack, booked.session_id, ids[1]))
    return Stage(booked.session_id, cookie, links)


def _personal_link(stack: Stack, session_id: str, guest_id: str) -> str:
    expires_s = int(database.utc_now().timestamp()) + 6 * 3600
    ticket = Ticket(Action.JOIN, session_id, f"guest:{guest_id}", "Гость", "", expires_s)
    return f"{stack.base_url}/join/{tickets.make(ticket, tickets.derive(stack.settings.secret_key, 'tickets'))}"


# Keeps the page's connections where a test can ask them for counters; to be run before the page's own scripts.
RECORD_CONNECTIONS = """(() => {
  window.tropaConnections = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...given) { super(...given); window.tropaConnections.push(this); }
  };
})()"""

# Frames decoded, position, a checksum of the pixels, and the sound's energy so far, all as a viewer has them.
PROBE = """(async () => {
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [64, 36];
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0, 64, 36);
  const pixels = context.getImageData(0, 0, 64, 36).data;
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 1) sum = (sum * 31 + pixels[i]) % 1000003;
  let [energy, frames] = [0, 0];
  const connection = window.tropaConnections.at(-1);
  const open = connection && connection.signalingState !== "closed";
  // In Firefox the counters of a connection that closes meanwhile never come.
  const late = new Promise((resolve) => setTimeout(() => resolve(new Map()), 1000));
  const report = open ? await Promise.race([connection.getStats(), late]) : new Map();
  for (const entry of report.values()) {
    if (entry.type !== "inbound-rtp") continue;
    energy += entry.totalAudioEnergy || 0;
    frames += entry.framesDecoded || 0;
  }
  return {stream: video.srcObject && video.srcObject.id, frames, energy,
          time: video.currentTime, width: video.videoWidth, sum};
})()"""


def wait_playing(page: Page, timeout_s: float, *, other_than: str | None = None) -> dict[str, Any]:
    """Wait until the picture moves and sound comes, and return the last look; `other_than` is a stream that is over."""
    seen: list[dict[str, Any]] = []

    def plays() -> dict[str, Any] | None:
        now = page.evaluate(PROBE)
        if not now["stream"] or now["stream"] == other_than:
            return None
        if seen and seen[0]["stream"] != now["stream"]:
            seen.clear()
        seen.append(now)
        first = seen[0]
        moves = now["frames"] - first["frames"] >= 10 and now["time"] > first["time"]
        changes = len({look["sum"] for look in seen}) > 3
        sounds = now["energy"] > first["energy"]
        return now if moves and changes and sounds else None

    try:
        return wait_until(plays, timeout_s, "the picture moves and sound comes")
    except TimeoutError as error:
        state = page.evaluate("document.getElementById('state').textContent")
        raise TimeoutError(f"{error}; the page says {state!r}; last looks: {seen[:1]} … {seen[-2:]}") from None
