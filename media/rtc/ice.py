"""Answer ICE connectivity checks as a lite agent (RFC 8445 2.5, 7.3); no socket, no clock.

A lite agent only answers. Who is asked stands in USERNAME before the colon (RFC 8445 7.2.2), which is how one socket
serves every session.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import zlib
from dataclasses import dataclass

from aioice import stun

STUN_COOKIE = b"\x21\x12\xa4\x42"
ICE_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ROLE_CONFLICT = (487, "Role Conflict")
BINDING_SUCCESS, XOR_MAPPED_ADDRESS, MESSAGE_INTEGRITY, INTEGRITY_BYTES = 0x0101, 0x0020, 0x0008, 24
FINGERPRINT, FINGERPRINT_BYTES, FINGERPRINT_MASK = 0x8028, 8, 0x5354554E


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
    if "ICE-CONTROLLED" in message.attributes:
        reply = stun.Message(stun.Method.BINDING, stun.Class.ERROR, message.transaction_id)
        reply.attributes["ERROR-CODE"] = ROLE_CONFLICT
        reply.add_message_integrity(key)
        return Check(bytes(reply), accepted=False, nominated=False)
    return Check(_success(message.transaction_id, key, address), True, "USE-CANDIDATE" in message.attributes)


def _success(transaction: bytes, key: bytes, address: tuple[str, int]) -> bytes:
    """Write a binding success response: XOR-MAPPED-ADDRESS, MESSAGE-INTEGRITY, FINGERPRINT (RFC 8489 14.2, 14.5, 14.7).

    Without a fingerprint (RFC 8445 7.1.1) Chromium takes it for no STUN.

    By hand, as every viewer renews its consent all the time: a tenth of what the library takes.
    """
    host = address[0].partition("%")[0]
    family, length = (socket.AF_INET6, 20) if ":" in host else (socket.AF_INET, 8)
    mask = STUN_COOKIE + transaction
    place = bytes(a ^ b for a, b in zip(socket.inet_pton(family, host), mask, strict=False))
    port = address[1] ^ int.from_bytes(STUN_COOKIE[:2])
    mapped = struct.pack("!HHBBH", XOR_MAPPED_ADDRESS, length, 0, 2 if length == 20 else 1, port) + place
    signed = struct.pack("!HH", BINDING_SUCCESS, len(mapped) + INTEGRITY_BYTES) + mask + mapped
    integrity = struct.pack("!HH", MESSAGE_INTEGRITY, INTEGRITY_BYTES - 4) + hmac.digest(key, signed, "sha1")
    whole = signed[:2] + (len(mapped) + INTEGRITY_BYTES + FINGERPRINT_BYTES).to_bytes(2) + signed[4:] + integrity
    return whole + struct.pack("!HHI", FINGERPRINT, FINGERPRINT_BYTES - 4, zlib.crc32(whole) ^ FINGERPRINT_MASK)
