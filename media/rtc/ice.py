"""Answer ICE connectivity checks as a lite agent (RFC 8445 2.5, 7.3); no socket, no clock.

A lite agent only answers. Who is asked stands in USERNAME before the colon (RFC 8445 7.2.2), which is how one socket
serves every session.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass

from aioice import stun

STUN_COOKIE = b"\x21\x12\xa4\x42"
ICE_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ROLE_CONFLICT = (487, "Role Conflict")


@dataclass(frozen=True, slots=True)
class Check:
    """An authenticated check: what to send back, and whether the peer has chosen this path."""

    response: bytes
    accepted: bool
    nominated: bool


def credentials() -> tuple[str, str]:
    """Make a ufrag (48 bits) and a password (142 bits): more than RFC 8445 5.3 asks for."""
    pick = secrets.choice
    return "".join(pick(ICE_CHARACTERS) for _ in range(8)), "".join(pick(ICE_CHARACTERS) for _ in range(24))


def looks_like_stun(data: bytes) -> bool:
    """Return whether a datagram can be STUN: first two bits zero, magic cookie (RFC 8489 5, RFC 7983)."""
    return len(data) >= 20 and data[0] < 4 and data[4:8] == STUN_COOKIE


def parse_check(data: bytes) -> tuple[stun.Message, str] | None:
    """Return a binding request and our ufrag in it; None for every other message, broken ones included."""
    try:
        message = stun.parse_message(data)
    except (ValueError, IndexError, KeyError, OverflowError, struct.error):
        return None
    if message.message_method != stun.Method.BINDING or message.message_class != stun.Class.REQUEST:
        return None
    username = message.attributes.get("USERNAME")
    if not isinstance(username, str):
        return None
    return message, username.partition(":")[0]


def respond(message: stun.Message, password: str, address: tuple[str, int]) -> Check | None:
    """Answer a check from `address`, or None when it is not signed with our password.

    A peer that also claims to be controlled gets 487 and changes sides (RFC 8445 7.3.1.1): a lite agent never controls.
    """
    key = password.encode()
    if not message.check_message_integrity(key):
        return None
    conflict = "ICE-CONTROLLED" in message.attributes
    reply = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.ERROR if conflict else stun.Class.RESPONSE,
        transaction_id=message.transaction_id,
    )
    if conflict:
        reply.attributes["ERROR-CODE"] = ROLE_CONFLICT
    else:
        reply.attributes["XOR-MAPPED-ADDRESS"] = (address[0].partition("%")[0], address[1])
    reply.add_message_integrity(key)
    return Check(bytes(reply), not conflict, not conflict and "USE-CANDIDATE" in message.attributes)
