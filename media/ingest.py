"""Pure: a host's track: one numbering across reconnects, a store of recent packets, the pictures since a keyframe.

Viewers must not notice that a host came back: the track continues its sequence numbers and timestamps, whatever the new
connection begins with. Padding is taken out where the numbers can close up behind it.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from media.nack import LossTracker
from media.payload import Layer
from media.rtp import RtpPacket, Unwrapper

STORE_PACKETS = 2048
"""For retransmission: 25 s of voice and picture at 80 packets a second. A newer packet overwrites the oldest."""
GOP_MAX_BYTES = 6 * 1024 * 1024
GOP_MAX_S = 20.0
"""A group of pictures beyond either bound is forgotten: replaying it would take longer than the wait for a keyframe."""
FIRST_NUMBER = 1 << 20
SOURCE_SILENCE_S = 0.5
"""Another source takes over a track only when the present one has been silent this long."""
SHIFTS_KEPT = 32


@dataclass(frozen=True, slots=True, order=True)
class TrackPacket:
    """One packet as viewers get it: `number` and `timestamp` are the room's (timestamp mod 2^32), payload untouched.

    `layer` is what a picture's packet says of temporal layers, None where it says nothing.
    """

    number: int
    timestamp: int
    marker: bool
    payload: bytes
    padding: bool
    arrival_s: float
    keyframe: bool
    layer: Layer | None = field(default=None, compare=False)


class Gop:
    """The packets since a keyframe, in order. `closed` is set when the next group has begun or a bound was passed."""

    __slots__ = ("bytes", "closed", "next", "packets", "started_s", "timestamp")

    def __init__(self, timestamp: int, started_s: float) -> None:
        self.packets: list[TrackPacket] = []
        self.bytes = 0
        self.timestamp = timestamp
        self.started_s = started_s
        self.next: Gop | None = None
        self.closed = False

    def add(self, packet: TrackPacket) -> None:
        """Put a packet in its place; late ones are rare."""
        if self.packets and packet.number < self.packets[-1].number:
            insort(self.packets, packet)
        else:
            self.packets.append(packet)
        self.bytes += len(packet.payload)


class Track:
    """One medium of a lesson, through every connection of its host. `clock_rate` is in Hz."""

    def __init__(self, kind: str, clock_rate: int, store_packets: int = STORE_PACKETS) -> None:
        self.kind = kind
        self.clock_rate = clock_rate
        self.highest = FIRST_NUMBER - 1
        self.timestamp = 0
        self.gop: Gop | None = None
        self.source: int | None = None
        self.loss = LossTracker()
        self.reception = Reception()
        self.duplicates = 0
        self.strangers = 0
        self.padding_removed = 0
        self.last_arrival_s: float | None = None
        self.clock: tuple[float, int, float] | None = None
        self._store: list[TrackPacket | None] = [None] * store_packets
        self._unwrap = Unwrapper()
        self._first: int | None = None
        self._shifts: list[tuple[int, int]] = []
        self._timestamp_shift = 0

    def restart(self) -> None:
        """Expect a new connection: the next packet continues the track with whatever numbers it brings."""
        self.source = None
        self.clock = None
        self.gop = None

    def receive(
        self, packet: RtpPacket, keyframe: bool, now_s: float, layer: Layer | None = None
    ) -> TrackPacket | None:
        """Take in a packet of the host and return it renumbered; None for repeats, strangers and removed padding."""
        if packet.ssrc != self.source and not self._change_source(packet, now_s):
            self.strangers += 1
            return None
        source_number = self._unwrap.unwrap(packet.sequence)
        in_order = self.loss.highest is None or source_number > self.loss.highest
        self.loss.received(source_number, now_s)
        if source_number < self._first:
            self.strangers += 1
            return None
        if not packet.payload and in_order and source_number == self.highest - self._shift(source_number) + 1:
            self._shifts = [*self._shifts[-SHIFTS_KEPT:], (source_number + 1, self._shifts[-1][1] - 1)]
            self.padding_removed += 1
            return None
        number = source_number + self._shift(source_number)
        if number <= self.highest - len(self._store) or self.packet(number) is not None:
            self.duplicates += 1
            return None
        timestamp = (packet.timestamp + self._timestamp_shift) & 0xFFFFFFFF
        # Padding that came late has its number already promised to viewers: one empty packet fills the hole.
        payload = packet.payload or b"\x01"
        made = TrackPacket(number, timestamp, packet.marker, payload, not packet.payload, now_s, keyframe, layer)
        self._keep(made, in_order, now_s)
        self.reception.received(source_number, packet.timestamp, self.clock_rate, now_s)
        return made

    def packet(self, number: int) -> TrackPacket | None:
        """Return a stored packet by the room's number."""
        found = self._store[number % len(self._store)]
        return found if found is not None and found.number == number else None

    def sender_report(self, ssrc: int, unix_s: float, rtp_timestamp: int, now_s: float) -> int | None:
        """Take the host's clocks; return the room's timestamp for that moment, None for a source that is not ours."""
        if ssrc != self.source:
            return None
        timestamp = (rtp_timestamp + self._timestamp_shift) & 0xFFFFFFFF
        self.clock = (unix_s, timestamp, now_s)
        return timestamp

    def _change_source(self, packet: RtpPacket, now_s: float) -> bool:
        """Begin with a source, or let it take over; false while the present one is still heard."""
        last_s = self.last_arrival_s
        if self.source is not None and last_s is not None and now_s - last_s < SOURCE_SILENCE_S:
            return False
        self.source = packet.ssrc
        self.clock = None
        rtt_s = self.loss.rtt_s
        self.loss = LossTracker()
        self.loss.rtt_s = rtt_s
        self.reception = Reception()
        self._unwrap = Unwrapper()
        first = self._unwrap.unwrap(packet.sequence)
        self._first = first
        self._shifts = [(first, self.highest + 1 - first)]
        if self.last_arrival_s is not None:
            elapsed = max(1, round((now_s - self.last_arrival_s) * self.clock_rate))
            self._timestamp_shift = (self.timestamp + elapsed - packet.timestamp) & 0xFFFFFFFF
        return True

    def _shift(self, source_number: int) -> int:
        for first, shift in reversed(self._shifts):
            if source_number >= first:
                return shift
        return self._shifts[0][1]

    def _keep(self, made: TrackPacket, in_order: bool, now_s: float) -> None:
        self._store[made.number % len(self._store)] = made
        if in_order:
            self.highest = max(self.highest, made.number)
            self.timestamp = made.timestamp
        self.last_arrival_s = now_s
        if self.kind == "video":
            self._cache(made, now_s)

    def _cache(self, made: TrackPacket, now_s: float) -> None:
        """Keep the pictures since the last keyframe, within bounds."""
        gop = self.gop
        if made.keyframe and (
            gop is None or (gop.timestamp != made.timestamp and made.number > gop.packets[-1].number)
        ):
            new = Gop(made.timestamp, now_s)
            for packet in self._same_picture(made):
                new.add(packet)
            if gop is not None:
                gop.next, gop.closed = new, True
            self.gop = new
            return
        if gop is None or made.number < gop.packets[0].number:
            return
        gop.add(made)
        if gop.bytes > GOP_MAX_BYTES or now_s - gop.started_s > GOP_MAX_S:
            gop.closed = True
            self.gop = None

    def _same_picture(self, made: TrackPacket) -> list[TrackPacket]:
        """Return the packets of the picture that `made` tells to be a keyframe: parameter sets may go before it."""
        found, number = [made], made.number - 1
        while (packet := self.packet(number)) is not None and packet.timestamp == made.timestamp:
            found.append(packet)
            number -= 1
        return found[::-1]


class Reception:
    """What our receiver reports say about a source (RFC 3550 6.4.1, A.3, A.8)."""

    def __init__(self) -> None:
        self.received_packets = 0
        self.jitter = 0.0
        self.highest = 0
        self.last_sr = 0
        self.last_sr_s: float | None = None
        self._base: int | None = None
        self._transit: float | None = None
        self._expected_prior = 0
        self._received_prior = 0

    def received(self, number: int, timestamp: int, clock_rate: int, now_s: float) -> None:
        """Count a packet and follow the jitter."""
        if self._base is None:
            self._base = self.highest = number
        self.received_packets += 1
        transit = now_s * clock_rate - timestamp
        if self._transit is not None and number > self.highest:
            change = abs(transit - self._transit)
            # A wrapped timestamp is no jitter.
            if change < clock_rate * 10:
                self.jitter += (change - self.jitter) / 16
        self._transit = transit
        self.highest = max(self.highest, number)

    def interval(self) -> tuple[int, int]:
        """Return (fraction lost of 256 since the last call, packets lost in all), and begin a new interval."""
        if self._base is None:
            return 0, 0
        expected = self.highest - self._base + 1
        new_expected = expected - self._expected_prior
        new_received = self.received_packets - self._received_prior
        self._expected_prior, self._received_prior = expected, self.received_packets
        missing = max(0, new_expected - new_received)
        fraction = min(255, missing * 256 // new_expected) if new_expected > 0 else 0
        return fraction, expected - self.received_packets
