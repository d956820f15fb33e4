"""Make and check tickets: signed texts that let their bearer do one thing in one session until a moment.

    t1.<base64url JSON>.<base64url HMAC-SHA256 of everything before the last dot>

JSON: {"a": action, "s": session, "k": "person:<id>" or "guest:<id>", "n": name, "c": school or "", "e": Unix seconds}.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

VERSION = "t1"
# A name of 200 characters takes 1,200 bytes of JSON at worst (each one escaped), 400 in Cyrillic; base64 adds a third.
MAX_CHARS = 2048
MAX_NAME_CHARS = 200
KEY_BYTES = 32


class Action(StrEnum):
    """What a ticket lets its bearer do."""

    HOST = "host"
    WATCH = "watch"
    JOIN = "join"


class TicketFault(StrEnum):
    """Why a ticket is refused."""

    MALFORMED = "malformed"
    FORGED = "forged"
    EXPIRED = "expired"
    WRONG_SESSION = "wrong_session"
    WRONG_ACTION = "wrong_action"


class TicketError(ValueError):
    """A ticket that is refused; `fault` says why."""

    def __init__(self, fault: TicketFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says. `bearer` is "person:<id>" or "guest:<id>"; `school` is the bearer's school, "" if none."""

    action: Action
    session_id: str
    bearer: str
    name: str
    school: str
    expires_s: int


def derive(secret: str, purpose: str) -> bytes:
    """Derive a 32-byte key for one purpose from the installation's secret.

    One block of HKDF-Expand (RFC 5869 2.3) with `purpose` as info; the secret already is uniformly random.
    """
    return hmac.new(secret.encode(), b"tropa:" + purpose.encode() + b"\x01", hashlib.sha256).digest()


def make(ticket: Ticket, key: bytes) -> str:
    """Sign a ticket with a key of `derive(secret, "tickets")`. A name over 200 characters is cut."""
    if len(key) < KEY_BYTES:
        raise ValueError("a ticket key has at least 32 bytes")
    payload = {
        "a": ticket.action.value,
        "s": ticket.session_id,
        "k": ticket.bearer,
        "n": ticket.name[:MAX_NAME_CHARS],
        "c": ticket.school,
        "e": ticket.expires_s,
    }
    body = f"{VERSION}.{_encode(json.dumps(payload, ensure_ascii=False, separators=(',', ':')).encode())}"
    return f"{body}.{_encode(_mac(body, key))}"


def check(
    text: str,
    key: bytes,
    now_s: float,
    *,
    actions: Collection[Action],
    session_id: str | None = None,
) -> Ticket:
    """Return what a ticket says when it is genuine, in time, for one of `actions` and for this session.

    `session_id` None accepts any session (a join link is how its bearer learns the session). Raises TicketError; the
    signature is compared in constant time and before anything in the ticket is believed.
    """
    if len(text) > MAX_CHARS or not text.isascii():
        raise TicketError(TicketFault.MALFORMED)
    body, _, signature = text.rpartition(".")
    version, _, payload = body.partition(".")
    if version != VERSION or not payload:
        raise TicketError(TicketFault.MALFORMED)
    given = _decode(signature)
    if not hmac.compare_digest(given, _mac(body, key)):
        raise TicketError(TicketFault.FORGED)
    ticket = _parse(_decode(payload))
    if now_s >= ticket.expires_s:
        raise TicketError(TicketFault.EXPIRED)
    if session_id is not None and ticket.session_id != session_id:
        raise TicketError(TicketFault.WRONG_SESSION)
    if ticket.action not in actions:
        raise TicketError(TicketFault.WRONG_ACTION)
    return ticket


def _mac(body: str, key: bytes) -> bytes:
    return hmac.new(key, body.encode("ascii"), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TicketError(TicketFault.MALFORMED) from None
    if _encode(raw) != text:  # unused bits set: another spelling of the same bytes
        raise TicketError(TicketFault.MALFORMED)
    return raw


def _parse(raw: bytes) -> Ticket:
    try:
        fields = json.loads(raw)
        ticket = Ticket(Action(fields["a"]), fields["s"], fields["k"], fields["n"], fields["c"], fields["e"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TicketError(TicketFault.MALFORMED) from None
    texts = (ticket.session_id, ticket.bearer, ticket.name, ticket.school)
    if not all(isinstance(text, str) for text in texts) or type(ticket.expires_s) is not int:
        raise TicketError(TicketFault.MALFORMED)
    return ticket
