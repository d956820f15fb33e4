"""Pure: read bit fields, most significant bit first, with the codes of AV1 and H.264."""

from __future__ import annotations

from media.rtp import MalformedPacket


class BitReader:
    """Walk over bytes bit by bit; reading past the end raises MalformedPacket."""

    __slots__ = ("_at", "_bits", "_size")

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data)
        self._size = 8 * len(data)
        self._at = 0

    def read(self, count: int) -> int:
        """Return the next `count` bits as an unsigned number."""
        self._at += count
        if self._at > self._size:
            raise MalformedPacket(f"bit {self._at} of {self._size} asked for")
        return self._bits >> (self._size - self._at) & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        """Pass over `count` bits."""
        self.read(count)

    def exp_golomb(self) -> int:
        """Return ue(v) (H.264 9.1), which AV1 calls uvlc (4.10.3)."""
        zeros = 0
        while self.read(1) == 0:
            zeros += 1
            if zeros > 32:
                raise MalformedPacket("exponential Golomb code longer than 32 bits")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_exp_golomb(self) -> int:
        """Return se(v) (H.264 9.1.1)."""
        code = self.exp_golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)
