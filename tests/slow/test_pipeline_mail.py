"""Letters from the outbox reach a mail server over a real socket, also when it is away at first or refuses one."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from config import Settings
from store import outbox
from store.database import bare_app, upgrade, utc_now, write
from store.models import OutboxMail, db
from workers import mail, upkeep

pytestmark = pytest.mark.slow


class Session(socketserver.StreamRequestHandler):
    """One SMTP session (RFC 5321), as much of it as a client needs; refuses every address that begins with "nobody"."""

    def handle(self) -> None:
        """Answer line by line and keep each letter in the server's list."""
        self._say("220 mail.test")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word in (b"EHLO", b"HELO"):
                self._say("250 mail.test")
            elif word == b"RCPT" and b"<nobody" in line:
                self._say("550 no such user")
            elif word == b"DATA":
                self._say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line)
                self.server.letters.append(message_from_bytes(b"".join(lines), policy=policy.default))
                self._say("250 taken")
            elif word == b"QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@pytest.fixture
def server() -> Iterator[socketserver.ThreadingTCPServer]:
    """A mail server on a free loopback port; what it took is in `letters`."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as made:
        made.daemon_threads = True
        made.letters = []
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def settings_for(folder: Path, smtp_url: str) -> Settings:
    """Settings on an own data folder."""
    return Settings.from_env({"TROPA_DATA": str(folder), "SMTP_URL": smtp_url, "TROPA_MAIL_FROM": "Tropa <t@imc.test>"})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[None]:
    """An upgraded database, its context pushed."""
    app = bare_app(settings_for(tmp_path, ""))
    upgrade(app)
    with app.app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def test_due_letters_arrive_once_and_a_refused_one_waits_longer(tmp_path, server, database):
    """Two of three arrive as they were written, one is refused by the server, and nothing is sent again."""
    for address in ("anna@school.test", "nobody@school.test", "boris@school.test"):
        outbox.enqueue(address, "Приглашение на урок", "Здравствуйте!\nЖдём вас.\n", utc_now())
    settings = settings_for(tmp_path, f"smtp://127.0.0.1:{server.server_address[1]}")
    assert mail.send_due(settings) == 2
    assert mail.send_due(settings) == 0
    assert [letter["To"] for letter in server.letters] == ["anna@school.test", "boris@school.test"]
    assert server.letters[0]["Subject"] == "Приглашение на урок"
    assert server.letters[0]["From"] == "Tropa <t@imc.test>"
    assert server.letters[0].get_content().split() == ["Здравствуйте!", "Ждём", "вас."]
    refused = db.session.query(OutboxMail).filter_by(to_address="nobody@school.test").one()
    assert (refused.sent_at, refused.attempts) == (None, 1)
    assert "550" in refused.error
    assert refused.next_try_at > utc_now()


def test_letters_wait_without_a_server_and_blame_nobody_when_it_is_away(tmp_path, server, database):
    """Without SMTP_URL, and while the server cannot be reached, letters stay due without an attempt counted."""
    outbox.enqueue("anna@school.test", "Приглашение", "Здравствуйте!", utc_now())
    assert mail.send_due(settings_for(tmp_path, "")) == 0
    assert mail.send_due(settings_for(tmp_path, "smtp://127.0.0.1:1")) == 0
    assert db.session.query(OutboxMail).one().attempts == 0
    assert mail.send_due(settings_for(tmp_path, f"smtp://127.0.0.1:{server.server_address[1]}")) == 1


def test_clean_up_forgets_old_letters_and_keeps_unsent_ones(tmp_path, database):
    """A letter sent long ago is deleted, one that could never be sent stays."""
    long_ago = datetime.now(UTC) - timedelta(days=365)
    outbox.enqueue("anna@school.test", "Приглашение", "Здравствуйте!", long_ago)
    outbox.enqueue("boris@school.test", "Приглашение", "Здравствуйте!", long_ago)
    with write() as session:
        session.query(OutboxMail).filter_by(to_address="anna@school.test").one().sent_at = long_ago
    (tmp_path / "files").mkdir()
    upkeep.clean(settings_for(tmp_path, ""))
    assert [row.to_address for row in db.session.query(OutboxMail)] == ["boris@school.test"]
