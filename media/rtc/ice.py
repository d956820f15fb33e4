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
BINDING_REQUEST, USERNAME, USE_CANDIDATE, ICE_CONTROLLED = b"\x00\x01", 0x0006, 0x0025, 0x8029
_ATTRIBUTE = struct.Struct("!HH")


@dataclass(frozen=True, slots=True)
class Request:
    """A connectivity check as it was read: who is asked, what the peer claims, what is signed and its signature."""

    transaction: bytes
    ufrag: str
    nominates: bool
    controlled: bool
    signed: bytes
    integrity: bytes


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


def parse_check(data: bytes) -> Request | None:
    """Read a binding request with a user name; None for every other message, broken ones included.

    By hand, as every viewer renews its consent all the time: a fifth of what the library takes.
    """
    end = len(data)
    if end < 20 or data[:2] != BINDING_REQUEST or int.from_bytes(data[2:4]) != end - 20 or end & 3:
        return None
    username, integrity, signed = None, b"", b""
    nominates = controlled = False
    at = 20
    while at < end:
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        value = at + 4
        following = value + (size + 3 & ~3)
        if following > end:
            return None
        if kind == FINGERPRINT:
            if size != 4 or following != end or int.from_bytes(data[value:]) != _fingerprint(data[:at]):
                return None
        elif integrity:
            pass  # nobody has signed what follows the signature (RFC 8489 14.5)
        elif kind == USERNAME:
            username = data[value : value + size]
        elif kind == MESSAGE_INTEGRITY:
            if size != INTEGRITY_BYTES - 4:
                return None
            integrity = data[value:following]
            # Signed is what stands before, with the length that the message would have if it ended here.
            signed = data[:2] + (following - 20).to_bytes(2) + data[4:at]
        else:
            nominates = nominates or kind == USE_CANDIDATE
            controlled = controlled or kind == ICE_CONTROLLED
        at = following
    try:
        ufrag = None if username is None else username.decode().partition(":")[0]
    except UnicodeDecodeError:
        return None
    return None if ufrag is None else Request(data[8:20], ufrag, nominates, controlled, signed, integrity)


def _fingerprint(before: bytes) -> int:
    """Return the fingerprint of a message that stands before it, whose length counts it already (RFC 8489 14.7)."""
    return zlib.crc32(before) ^ FINGERPRINT_MASK


def respond(request: Request, password: str, address: tuple[str, int]) -> Check | None:
    """Answer a check from `address`, or None when it is not signed with our password.

    A peer that also claims to be controlled gets 487 and changes sides (RFC 8445 7.3.1.1): a lite agent never controls.
    """
    key = password.encode()
    if not hmac.compare_digest(hmac.digest(key, request.signed, "sha1"), request.integrity):
        return None
    if request.controlled:
        reply = stun.Message(stun.Method.BINDING, stun.Class.ERROR, request.transaction)
        reply.attributes["ERROR-CODE"] = ROLE_CONFLICT
        reply.add_message_integrity(key)
        return Check(bytes(reply), accepted=False, nominated=False)
    return Check(_success(request.transaction, key, address), True, request.nominates)


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
    return whole + struct.pack("!HHI", FINGERPRINT, FINGERPRINT_BYTES - 4, _fingerprint(whole))
