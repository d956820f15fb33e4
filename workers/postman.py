"""Hand one letter to the mail server that SMTP_URL names."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from config import SettingError
from store.models import OutboxMail

TIMEOUT_S = 30
PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters go; `secure` means TLS from the first byte (RFC 8314 3.3)."""

    host: str
    port: int
    user: str
    password: str
    secure: bool


def parse_url(url: str) -> MailServer:
    """Read smtp://user:password@host:port or smtps://…; raises SettingError naming the setting and what is expected."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        raise SettingError("SMTP_URL cannot be used; expected smtp://user:password@host:port or smtps://…")
    return MailServer(
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        secure=parts.scheme == "smtps",
    )


def letter(mail: OutboxMail, sender: str) -> EmailMessage:
    """Write a letter down; the same row always gets the same Message-ID, so that readers can drop a repeated one."""
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = sender
    message["To"] = mail.to_address
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.created_at)
    domain = sender.rpartition("@")[2].strip("> ") or "localhost"
    message["Message-ID"] = message_id(mail.id, int(mail.created_at.timestamp()), domain)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5: no holiday answers, please
    message.set_content(mail.body)
    return message


def message_id(number: int, created_s: int, domain: str) -> str:
    """Build the Message-ID of an outbox row."""
    return f"<outbox-{number}-{created_s}@{domain}>"


class Postman:
    """One connection to a mail server, opened when it is entered and closed when it is left."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        """Connect, turn to TLS where the server offers it, and log in where a user is set."""
        server = self._server
        context = ssl.create_default_context()
        if server.secure:
            self._smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
        else:
            self._smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
        try:
            self._smtp.ehlo()
            if not server.secure and self._smtp.has_extn("starttls"):
                self._smtp.starttls(context=context)
                self._smtp.ehlo()
            if server.user:
                self._smtp.login(server.user, server.password)
        except (smtplib.SMTPException, OSError):
            self._smtp.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye; a server that does not answer any more is left as it is."""
        try:
            self._smtp.quit()
        except (smtplib.SMTPException, OSError):
            self._smtp.close()

    def send(self, message: EmailMessage) -> None:
        """Hand the letter over; raises smtplib.SMTPException or OSError when the server did not take it."""
        self._smtp.send_message(message)
