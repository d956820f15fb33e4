"""What OpenSSL writes in one piece leaves as datagrams that a tunnel can carry."""

from __future__ import annotations

from media.rtc.dtls import MTU_BYTES, split_records


def record(size: int, kind: int = 22) -> bytes:
    """Make a DTLS 1.2 record with this many bytes of content."""
    return bytes([kind, 254, 253]) + bytes(8) + size.to_bytes(2) + bytes([kind]) * size


def test_small_records_travel_together() -> None:
    """A flight that fits one datagram stays one."""
    flight = record(100) + record(300) + record(50)
    assert split_records(flight) == [flight]


def test_a_long_flight_is_cut_between_records() -> None:
    """No datagram is over the limit, none cuts a record, and nothing is lost or moved."""
    records = [record(500), record(600), record(400), record(1100), record(20)]
    datagrams = split_records(b"".join(records))
    assert b"".join(datagrams) == b"".join(records)
    assert len(datagrams) > 1 and all(len(d) <= MTU_BYTES for d in datagrams)
    assert datagrams[0] == records[0] + records[1]


def test_dtls_13_headers_are_understood() -> None:
    """The short headers of encrypted DTLS 1.3 records (RFC 9147 4) are records too."""
    short = bytes([0b00101100, 0, 1]) + (700).to_bytes(2) + bytes(700)
    assert split_records(record(600) + short) == [record(600), short]


def test_leftovers_are_sent_as_they_are() -> None:
    """Bytes that are no record do not loop or vanish."""
    assert split_records(b"") == []
    assert split_records(b"\x16\xfe") == [b"\x16\xfe"]
