"""Connectivity checks are answered as a lite agent does, and nothing else is."""

from __future__ import annotations

import random
import struct

from aioice import stun
from aioice.stun import Class, Message, Method

from media.rtc.ice import credentials, looks_like_stun, parse_check, respond

PASSWORD = "w" * 24
WHERE = ("203.0.113.9", 40123)


def check(username: str = "ours:theirs", password: str = PASSWORD, **attributes: object) -> bytes:
    """Make a signed binding request."""
    message = Message(Method.BINDING, Class.REQUEST)
    message.attributes["USERNAME"] = username
    for name, value in {"PRIORITY": 1, "ICE-CONTROLLING": 7, **attributes}.items():
        if value is not False:
            message.attributes[name.replace("_", "-")] = value
    message.add_message_integrity(password.encode())
    return bytes(message)


def test_a_check_is_answered_with_the_address_it_came_from() -> None:
    """The answer carries XOR-MAPPED-ADDRESS and the request's transaction, signed with our password."""
    data = check()
    assert looks_like_stun(data)
    message = parse_check(data)
    assert message.ufrag == "ours"
    answered = respond(message, PASSWORD, WHERE)
    reply = stun.parse_message(answered.response)
    assert reply.message_class == Class.RESPONSE
    assert reply.transaction_id == message.transaction
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == WHERE
    assert reply.check_message_integrity(PASSWORD.encode())
    assert answered.accepted and not answered.nominated


def test_an_answer_over_ipv6_names_the_address_without_its_zone() -> None:
    """Both families are written as the library reads them."""
    message = parse_check(check())
    reply = stun.parse_message(respond(message, PASSWORD, ("fe80::1%eth0", 40123)).response)
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == ("fe80::1", 40123)
    assert "FINGERPRINT" in reply.attributes  # checked by the parser; Chromium drops answers without
    assert reply.check_message_integrity(PASSWORD.encode())


def test_the_peer_nominates() -> None:
    """USE-CANDIDATE marks the path that the peer has chosen."""
    message = parse_check(check(USE_CANDIDATE=None))
    assert respond(message, PASSWORD, WHERE).nominated


def test_a_wrong_password_gets_no_answer() -> None:
    """A request signed by somebody else, or by nobody, is passed over in silence."""
    message = parse_check(check(password="x" * 24))
    assert respond(message, PASSWORD, WHERE) is None
    bare = Message(Method.BINDING, Class.REQUEST)
    bare.attributes["USERNAME"] = "ours:theirs"
    assert respond(parse_check(bytes(bare)), PASSWORD, WHERE) is None


def test_two_controlled_ends_are_sorted_out() -> None:
    """A peer that claims to be controlled is told to control (487), and its path is not taken."""
    message = parse_check(check(ICE_CONTROLLING=False, ICE_CONTROLLED=7))
    answered = respond(message, PASSWORD, WHERE)
    assert not answered.accepted
    assert stun.parse_message(answered.response).attributes["ERROR-CODE"][0] == 487


def test_responses_and_other_methods_are_not_checks() -> None:
    """Only binding requests with a user name count."""
    assert parse_check(bytes(Message(Method.BINDING, Class.RESPONSE))) is None
    assert parse_check(bytes(Message(Method.ALLOCATE, Class.REQUEST))) is None
    assert parse_check(bytes(Message(Method.BINDING, Class.REQUEST))) is None


def test_damaged_checks_are_dropped() -> None:
    """No damage to a check raises or passes the integrity check with other content."""
    chance = random.Random(5)
    whole = check()
    refused = 0
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        data = bytes(data[: chance.randint(0, len(data))] if chance.random() < 0.3 else data)
        parsed = parse_check(data) if looks_like_stun(data) else None
        if parsed is None or respond(parsed, PASSWORD, WHERE) is None:
            refused += 1
        else:
            assert data[20:-8] == whole[20:-8]
    assert refused > 2900


def test_checks_are_read_as_the_library_reads_them() -> None:
    """Whatever attributes stand in it and wherever its fingerprint does, a check that one takes the other takes too."""
    chance = random.Random(11)
    for number in range(500):
        message = Message(Method.BINDING, Class.REQUEST)
        names = ["PRIORITY", "ICE-CONTROLLING", "ICE-CONTROLLED", "USE-CANDIDATE", "SOFTWARE", "USERNAME"]
        values = {"SOFTWARE": "x" * chance.randrange(9), "USERNAME": f"имя{number}:theirs", "USE-CANDIDATE": None}
        for name in chance.sample(names, chance.randint(0, len(names))):
            message.attributes[name] = values.get(name, 7)
        signed = chance.random() < 0.9
        if signed:
            message.add_message_integrity(PASSWORD.encode())
        elif chance.random() < 0.5:
            message.add_fingerprint()
        read = parse_check(bytes(message))
        assert (read is None) == ("USERNAME" not in message.attributes)
        if read is None:
            continue
        assert read.ufrag == f"имя{number}" and read.transaction == message.transaction_id
        assert read.nominates == ("USE-CANDIDATE" in message.attributes)
        assert read.controlled == ("ICE-CONTROLLED" in message.attributes)
        assert (respond(read, PASSWORD, WHERE) is not None) == signed


def test_a_broken_fingerprint_and_words_behind_the_signature_do_not_count() -> None:
    """A message whose fingerprint does not fit is none; what stands behind the signature nobody has signed."""
    message = Message(Method.BINDING, Class.REQUEST)
    message.attributes["USERNAME"] = "ours:theirs"
    message.add_message_integrity(PASSWORD.encode())
    sealed = bytes(message)  # the library adds a fingerprint of its own
    assert parse_check(sealed) is not None
    assert parse_check(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
    plain, added = sealed[:-8], struct.pack("!HH", 0x0025, 0)
    longer = plain[:2] + (len(plain) - 20 + len(added)).to_bytes(2) + plain[4:] + added
    answered = respond(parse_check(longer), PASSWORD, WHERE)
    assert answered.accepted and not answered.nominated


def test_credentials_are_long_and_different() -> None:
    """Two sessions never share a name; both parts have the lengths that RFC 8445 5.3 asks for."""
    pairs = {credentials() for _ in range(100)}
    assert len({ufrag for ufrag, _ in pairs}) == 100
    assert all(len(ufrag) >= 4 and len(password) >= 22 for ufrag, password in pairs)
