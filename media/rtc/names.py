"""Where peers are, as the kernel reads it: a sockaddr for each, in memory that stays where it is."""

from __future__ import annotations

import socket
import struct

import cffi

NAME_BYTES = 28
"""A sockaddr_in6; sockaddr_in has 16."""
_ffi = cffi.FFI()


def socket_address(family: int, address: tuple) -> bytes:
    """Return the `sockaddr` of an (ip, port, …) as `recvfrom` gave it."""
    port = struct.pack("!H", address[1])
    if family == socket.AF_INET6:
        flow, scope = (*address, 0, 0)[2:4]
        raw = struct.pack("=H", family) + port + struct.pack("!I", flow)
        return raw + socket.inet_pton(family, address[0].partition("%")[0]) + struct.pack("=I", scope)
    return struct.pack("=H", family) + port + socket.inet_pton(family, address[0]) + bytes(8)


class Name:
    """A peer's sockaddr in memory that stays where it is when the address changes; `at` is where."""

    def __init__(self) -> None:
        self._memory = _ffi.new("char[]", NAME_BYTES)
        self.at = int(_ffi.cast("uintptr_t", self._memory))

    def write(self, family: int, address: tuple) -> None:
        """Take another address: what waits in the batch goes there."""
        raw = socket_address(family, address)
        _ffi.buffer(self._memory)[: len(raw)] = raw
