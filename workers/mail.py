"""Send the letters of the outbox whose time has come: at least once, with growing pauses while the server refuses."""

from __future__ import annotations

import logging
import smtplib

from config import Settings
from store import outbox
from store.database import utc_now
from store.models import OutboxMail
from workers import postman

log = logging.getLogger(__name__)


def send_due(settings: Settings) -> int:
    """Send what is due and return how many letters went out; without SMTP_URL they wait."""
    if not settings.smtp_url:
        return 0
    waiting = [row.id for row in outbox.due(utc_now())]
    if not waiting:
        return 0
    try:
        with postman.Postman(postman.parse_url(settings.smtp_url)) as courier:
            return sum(_send(courier, mail_id, settings.mail_from) for mail_id in waiting)
    except (smtplib.SMTPException, OSError) as trouble:
        # The server is away or refuses everybody: no letter is to blame, and all of them stay due.
        log.warning("the mail server cannot be used; %d letters wait: %s", len(waiting), trouble)
        return 0


def _send(courier: postman.Postman, mail_id: int, sender: str) -> bool:
    """Send one letter, which nobody else may send meanwhile; a connection that broke goes on to the caller."""
    mail = outbox.claim(mail_id, utc_now())
    if mail is None:
        return False
    try:
        courier.send(postman.letter(mail, sender))
    except smtplib.SMTPServerDisconnected as trouble:
        _note_failure(mail, trouble)
        raise
    except (smtplib.SMTPException, ValueError) as trouble:
        _note_failure(mail, trouble)
        return False
    outbox.mark_sent(mail_id, utc_now())
    return True


def _note_failure(mail: OutboxMail, trouble: Exception) -> None:
    again_at = outbox.mark_failed(mail.id, utc_now(), f"{type(trouble).__name__}: {trouble}")
    log.warning("letter %d was not sent (%s); next try: %s", mail.id, trouble, again_at or "none, it is given up")
