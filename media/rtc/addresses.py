"""Where the media port listens and what it offers: sockets by family, addresses of this machine."""

from __future__ import annotations

import ipaddress
import socket

import psutil

from media.rtc.tcp import LISTEN_BACKLOG

SOCKET_BUFFER_BYTES = 8 * 1024 * 1024


def open_udp(host: str, number: int) -> socket.socket:
    """Bind the UDP port; a host with a colon is IPv6 and takes IPv4 too. Raises OSError."""
    sock = _socket(host, socket.SOCK_DGRAM)
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        sock.bind((host, number))
    except OSError:
        sock.close()
        raise
    return sock


def open_tcp(host: str, number: int) -> socket.socket:
    """Listen on the same number over TCP. Raises OSError."""
    sock = _socket(host, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, number))
        sock.listen(LISTEN_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _socket(host: str, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return sock


def listen_host(host: str) -> str:
    """Return the address for the media port of a service that listens on `host`.

    A service for this PC alone (the demo) still needs more than loopback for media: Firefox pairs a loopback candidate
    with loopback alone, which it never gathers. Only who was let in over the loopback page knows an ufrag to use.
    """
    return {"127.0.0.1": "0.0.0.0", "localhost": "0.0.0.0", "::1": "::"}.get(host, host)


def candidate_addresses(host: str, public_ip: str) -> tuple[str, ...]:
    """List the addresses to offer: those set, or the one listened on, or all of the machine that are not link-local."""
    if public_ip:
        return tuple(part.strip() for part in public_ip.split(",") if part.strip())
    if host not in ("0.0.0.0", "::", ""):
        return (host,)
    found = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6) or (
                entry.family == socket.AF_INET6 and host != "::"
            ):
                continue
            address = ipaddress.ip_address(entry.address.partition("%")[0])
            if not address.is_link_local:
                found.append(address)
    # Loopback last: it is right only for the machine itself, where it serves a lesson without any network.
    found.sort(key=lambda a: (a.is_loopback, a.version, int(a)))
    return tuple(dict.fromkeys(str(a) for a in found))
