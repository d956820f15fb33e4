"""One remote end of the media port: its names, its path, its DTLS, its outgoing streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from media.rtc import ice
from media.rtc.crowd import SendStream
from media.rtc.dtls import DtlsPeer
from media.rtc.names import Name
from media.rtc.srtp import srtp_handle
from media.rtc.tcp import TcpLink

if TYPE_CHECKING:
    from media.rtc.port import MediaPort

Path = tuple | TcpLink
"""Where a peer is: the address that a datagram came from, or a TCP connection."""
LAST_FLIGHT_S = 20.0
"""How long after the handshake its last flight may have to be sent again (RFC 9147 5.8)."""


class Handler(Protocol):
    """What a session is told about its peer. `now_s` is the port's clock (monotonic seconds).

    `came_s` is when the kernel had the packet, by the same clock: packets are read a handful at a time.
    """

    def connected(self, now_s: float) -> None: ...
    def rtp(self, data: bytes, now_s: float, came_s: float) -> None: ...
    def rtcp(self, data: bytes, now_s: float) -> None: ...
    def closed(self, reason: str) -> None: ...


class _Nobody:
    """Hears nothing of a peer that is closed."""

    def connected(self, now_s: float) -> None:
        """Nothing comes of it."""

    def rtp(self, data: bytes, now_s: float, came_s: float) -> None:
        """Nothing comes of it."""

    def rtcp(self, data: bytes, now_s: float) -> None:
        """Nothing comes of it."""

    def closed(self, reason: str) -> None:
        """Nothing comes of it."""


NOBODY = _Nobody()


class Peer:
    """One remote end: its ICE credentials on our side, its path, its DTLS and its outgoing streams.

    The session sets `attentive` when the other end reports all the time, so that its silence says something; `away` is
    set while such a one is silent, and nothing is sent to it.
    """

    def __init__(self, port: MediaPort, handler: Handler, now_s: float) -> None:
        self.ufrag, self.password = ice.credentials()
        self.former: tuple[str, str] | None = None
        self.remote_ufrag = ""
        self.identity = port.identity
        self.handler = handler
        self.dtls: DtlsPeer | None = None
        self.paths: dict[Path, None] = {}
        self.selected: Path | None = None
        self.nominated: Path | None = None
        """The path that the other end has chosen by its present ICE names."""
        self.selected_heard_s = now_s
        self.heard_s = now_s
        self.closed = False
        self.attentive = False
        self.away = False
        self.link: TcpLink | None = None
        self._name = Name()
        self._port = port
        self._session: object = None
        self._connected_s: float | None = None
        self._streams: list[SendStream] = []

    def accept(self, role: str, fingerprints: tuple[tuple[str, str], ...], remote_ufrag: str) -> None:
        """Take the offer's DTLS (our role is "client" or "server", its certificates) and the other end's ICE name."""
        self.remote_ufrag = remote_ufrag
        self.dtls = DtlsPeer(self.identity, role, fingerprints, self._send)

    def restart(self, remote_ufrag: str) -> None:
        """Take new ICE names (RFC 8445 9); DTLS, SRTP and the present path go on until a check by the new ones comes.

        Asked again for the same restart, as by a client that has not heard the answer, nothing changes.
        """
        if remote_ufrag == self.remote_ufrag:
            return
        self.remote_ufrag = remote_ufrag
        self.settle()
        self.former = (self.ufrag, self.password)
        self.ufrag, self.password = ice.credentials()
        self.nominated = None
        self._port.know_name(self)

    @property
    def name_at(self) -> int:
        """Where the sockaddr of the selected path stands in memory, when that is an address."""
        return self._name.at

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._session is not None and not self.closed

    def settle(self) -> None:
        """Stop answering to the names from before an ICE restart: a check by the new ones has come."""
        if self.former is not None:
            self._port.forget_name(self.former[0])
            self.former = None

    def stream(self, ssrc: int, payload_type: int, urgent: bool = False) -> SendStream:
        """Make an outgoing stream, `urgent` for voice; it sends nothing before the peer is connected."""
        stream = SendStream(ssrc, payload_type, urgent, self._port.batch.table)
        self._streams.append(stream)
        self._point(stream)
        return stream

    @property
    def starved(self) -> bool:
        """Whether pictures are refused because the path is a TCP connection that is slower than they are."""
        return self.link is not None and self.link.starved

    def feed(self) -> None:
        """Take pictures again, beginning with a keyframe."""
        if self.link is not None:
            self.link.resume()

    def rest(self, away: bool) -> None:
        """Send nothing while the other end is away; go on where the tracks are when it is back."""
        self.away = away
        for stream in self._streams:
            self._point(stream)

    def send_rtcp(self, data: bytes) -> None:
        """Queue one RTCP packet, if there is anybody to take it."""
        if self.connected and self.selected is not None and not self.away:
            self._port.batch.rtcp(self._session, self._name.at, data, self.link)

    def close(self, reason: str) -> None:
        """End the session: close_notify, forget the addresses, tell the handler once.

        Then nothing here points back to the session: its memory is free at once, without the collector of cycles.
        """
        if self.closed:
            return
        self.closed = True
        if self.dtls is not None:
            self.dtls.shut()
        self._port.batch.flush()  # what waits there goes to an address in memory of ours
        self.select(None)
        self._port.forget(self)
        handler, self.handler = self.handler, NOBODY
        handler.closed(reason)
        for stream in self._streams:
            stream.close()
        self.dtls = None

    def select(self, path: Path | None) -> None:
        """Send to this path from now on; to nobody where it is None."""
        self.selected = path
        self.link = path if isinstance(path, TcpLink) else None
        if path is not None and self.link is None:
            self._name.write(self._port.sock.family, path)
        for stream in self._streams:
            self._point(stream)

    def dtls_changed(self, now_s: float) -> None:
        """Follow the DTLS state after a datagram or a timer."""
        if self.dtls is None:
            return
        if self.dtls.over:
            self.close("dtls")
        elif self.dtls.connected and self._session is None:
            self._session = srtp_handle(self.dtls.sending)
            self._connected_s = now_s
            for stream in self._streams:
                self._point(stream)
            self.handler.connected(now_s)

    def timer(self, now_s: float) -> None:
        """Run the handshake's timers; they rest once the last flight has had its time (RFC 9147 5.8)."""
        if self.dtls is None or (self._connected_s is not None and now_s - self._connected_s > LAST_FLIGHT_S):
            return
        self.dtls.timer(now_s)
        if self.dtls.over:
            self.close("dtls")

    def _point(self, stream: SendStream) -> None:
        reachable = self.connected and self.selected is not None and not self.away
        stream.point(self._session, self._name.at if reachable else None, self.link)

    def _send(self, datagram: bytes) -> None:
        if self.selected is not None:
            self._port.send(datagram, self.selected)
