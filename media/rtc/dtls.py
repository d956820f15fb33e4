"""DTLS by aiortc, driven by the datagrams as they come: no task and no queue per session.

`RTCDtlsTransport` waits for datagrams in a task of its own; a thousand viewers would be a thousand tasks. This subclass
keeps its checks of identity, its keying and its states, and is called instead of waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pylibsrtp
from aiortc.rtcdtlstransport import (
    SRTP_AES128_CM_SHA1_80,
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from OpenSSL import SSL

logger = logging.getLogger(__name__)

MTU_BYTES = 1200
"""Datagrams of a handshake stay under what tunnels and satellites carry unfragmented."""
FIRST_FLIGHT_REPEAT_S = 0.25
"""A peer that is not ready yet must not cost OpenSSL's first second of waiting. Each repeat waits twice as long, up to
FIRST_FLIGHT_LONGEST_S: an answer takes a second over a satellite, and repeats would stand in its way."""
FIRST_FLIGHT_LONGEST_S = 1.0
FIRST_FLIGHT_REPEATS = 12


class Identity:
    """The certificate and TLS context that all sessions of the process share."""

    def __init__(self) -> None:
        self.certificate = RTCCertificate.generateCertificate()
        self.context = self.certificate._create_ssl_context(srtp_profiles=[SRTP_AES128_CM_SHA1_80])
        self.context.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET)
        self.context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        self.fingerprint = next(f.value for f in self.certificate.getFingerprints() if f.algorithm == "sha-256")


class _Path:
    """Stands in for aiortc's ICE transport, of which the subclass needs the role alone."""

    role = "controlled"


def split_records(flight: bytes) -> list[bytes]:
    """Cut what OpenSSL wrote into datagrams at record boundaries (RFC 6347 4.1, RFC 9147 4), each up to MTU_BYTES.

    A memory BIO glues the datagrams of a flight together.
    """
    datagrams: list[bytes] = []
    current, at = b"", 0
    while at < len(flight):
        end = min(at + _record_bytes(flight[at : at + 32]), len(flight))
        record = flight[at:end]
        if current and len(current) + len(record) > MTU_BYTES:
            datagrams.append(current)
            current = b""
        current += record
        at = end
    return [*datagrams, current] if current else datagrams


def _record_bytes(head: bytes) -> int:
    """Return the length of the record that begins with `head`; what cannot be read is taken to fill the datagram."""
    whole = 1 << 16
    if head[0] & 0xE0 != 0x20:
        return 13 + int.from_bytes(head[11:13]) if len(head) >= 13 else whole
    if not head[0] & 0x04 or head[0] & 0x10:
        return whole
    at = 1 + (2 if head[0] & 0x08 else 1)
    return at + 2 + int.from_bytes(head[at : at + 2])


class DtlsPeer(RTCDtlsTransport):
    """One DTLS association with its SRTP keys.

    `send` takes a datagram. `role` is "client" or "server"; `fingerprints` are (algorithm, value) from the offer.
    """

    def __init__(
        self,
        identity: Identity,
        role: str,
        fingerprints: Sequence[tuple[str, str]],
        send: Callable[[bytes], None],
    ) -> None:
        super().__init__(_Path(), [identity.certificate])
        self._set_role(role)
        self._srtp_profiles = [SRTP_AES128_CM_SHA1_80]
        self._remote = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(a, v) for a, v in fingerprints])
        self._send_datagram = send
        self._ssl = SSL.Connection(identity.context)
        self._ssl.set_ciphertext_mtu(MTU_BYTES)
        if role == "server":
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        self._first_flight: list[bytes] = []
        self._repeat_at_s = 0.0
        self._repeats = 0
        self._heard = False

    @property
    def connected(self) -> bool:
        """Whether keys are agreed and the peer is the one that the offer named."""
        return self._state is State.CONNECTED

    @property
    def over(self) -> bool:
        """Whether the association is closed or has failed."""
        return self._state in (State.CLOSED, State.FAILED)

    @property
    def sending(self) -> pylibsrtp.Session | None:
        """The SRTP session for what we send; None before the handshake is done."""
        return self._tx_srtp

    def begin(self, now_s: float) -> None:
        """Start the handshake once a path is known; a client sends its first flight."""
        if self._state is not State.NEW:
            return
        self._set_state(State.CONNECTING)
        self._handshake()
        self._repeat_at_s = now_s + FIRST_FLIGHT_REPEAT_S

    def receive(self, data: bytes) -> None:
        """Take one DTLS datagram. States tell what came of it; broken or unexpected records change nothing."""
        if self._state not in (State.CONNECTING, State.CONNECTED):
            return
        self._heard = True
        self._first_flight.clear()
        self._ssl.bio_write(data)
        if not self.encrypted:
            self._handshake()
            return
        try:
            self._ssl.recv(2048)
        except SSL.ZeroReturnError:
            self._set_state(State.CLOSED)
        except SSL.Error:
            logger.debug("no application data in a DTLS record")
        self._flush()

    def timer(self, now_s: float) -> None:
        """Repeat what was not answered in time; call every 100 ms or so."""
        if self._state not in (State.CONNECTING, State.CONNECTED):
            return
        if self._first_flight and now_s >= self._repeat_at_s and self._repeats < FIRST_FLIGHT_REPEATS:
            self._repeats += 1
            self._repeat_at_s = now_s + min(FIRST_FLIGHT_REPEAT_S * 2**self._repeats, FIRST_FLIGHT_LONGEST_S)
            for datagram in self._first_flight:
                self._send_datagram(datagram)
            return
        if self._heard and self._ssl.DTLSv1_get_timeout() == 0:
            try:
                self._ssl.DTLSv1_handle_timeout()
            except SSL.Error:
                self._set_state(State.FAILED)
            self._flush()

    def unprotect_rtp(self, data: bytes) -> bytes | None:
        """Return the plain RTP packet, or None for one that is forged, replayed or early."""
        return self._unprotect(data, rtcp=False)

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """Return the plain RTCP packet, or None for one that is forged, replayed or early."""
        return self._unprotect(data, rtcp=True)

    def _unprotect(self, data: bytes, *, rtcp: bool) -> bytes | None:
        if self._rx_srtp is None:
            return None
        try:
            return self._rx_srtp.unprotect_rtcp(data) if rtcp else self._rx_srtp.unprotect(data)
        except (pylibsrtp.Error, ValueError):
            return None

    def shut(self) -> None:
        """Say close_notify (RFC 6347 4.1, RFC 8842 5.5) and be closed."""
        if self._state in (State.CONNECTING, State.CONNECTED):
            try:
                self._ssl.shutdown()
            except SSL.Error:
                logger.debug("closed before the handshake was done")
            self._flush()
        if not self.over:
            self._set_state(State.CLOSED)

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            logger.info("DTLS handshake failed: %s", error)
            self._set_state(State.FAILED)
            self._flush()
            return
        self.encrypted = True
        self._flush()
        self._validate_peer_identity(self._remote)
        if self._state is not State.FAILED:
            self._setup_srtp()
        if self._state is not State.FAILED:
            self._set_state(State.CONNECTED)

    def _flush(self) -> None:
        try:
            flight = self._ssl.bio_read(1 << 16)
        except SSL.Error:
            return
        datagrams = split_records(flight)
        if self._role == "client" and not self._heard:
            self._first_flight = datagrams
        for datagram in datagrams:
            self._send_datagram(datagram)
