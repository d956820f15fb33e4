"""Pure: the host's picture with fewer temporal layers: a track of its own for each, numbered without gaps.

A track is thinned once a room, whoever has it: viewers share its packets, its store and its numbers as they share the
host's. Payloads are those of the host's packets, not copies.
"""

from __future__ import annotations

from array import array
from dataclasses import replace

from media.ingest import STORE_PACKETS, Track, TrackPacket
from media.payload import Layer, layer
from media.payload.dependency import DescriptorReader
from media.rtp import MalformedPacket

TOP_LAYER = 2
"""L1T3 has the layers 0 to 2; what a stream may have above is not dropped by itself."""
PICTURES_REMEMBERED = 64
"""Pictures whose late packets may still come: four seconds at 15 a second."""
NOWHERE = -1


class LayerReader:
    """Tell the layer of each packet of a stream: by its Dependency Descriptor, without one by the payload."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._descriptors = DescriptorReader()

    def read(self, payload: bytes, descriptor: bytes | None) -> Layer | None:
        """Return the layer, None where nothing says it."""
        if descriptor is not None:
            try:
                return self._descriptors.read(descriptor)
            except MalformedPacket:
                return None
        return layer(self._codec, payload)


def within_reach(limit: int, packet: TrackPacket) -> int:
    """Return the highest layer that one who has had those up to `limit` may have from this picture's start on.

    What a layer of a higher number needs is in RFC 7741 4.2 (Y), RFC 9628 4.2 (U) and AV1 RTP A.8.3.3 (Switch). A
    packet that tells of no layer is of a stream that has none.
    """
    told = packet.layer
    if packet.keyframe or told is None:
        return TOP_LAYER
    if told.opens and told.temporal_id <= limit:
        return TOP_LAYER
    return told.temporal_id if told.from_base and told.temporal_id == limit + 1 else limit


def limit_of(track: Track) -> int:
    """Return the highest layer that a track of the host's pictures holds."""
    return track.limit if isinstance(track, LayerTrack) else TOP_LAYER


def place_in(track: Track, number: int) -> int | None:
    """Return the track's own number of the host's packet `number`, or of what follows; None for what is forgotten."""
    return track.at(number) if isinstance(track, LayerTrack) else number


def origin_of(track: Track, number: int) -> int | None:
    """Return the host's number of a track's packet, None for what is forgotten."""
    return track.origin(number) if isinstance(track, LayerTrack) else number


class LayerTrack(Track):
    """The pictures of a host's track whose temporal layer is `limit` or below.

    A number of the host's that has not come holds a place, as nobody knows its layer: viewers ask for it as for any
    loss. When it comes and is of a higher layer, an empty packet fills the place.
    """

    def __init__(self, whole: Track, limit: int) -> None:
        super().__init__(whole.kind, whole.clock_rate)
        self.limit = limit
        self._next_whole: int | None = None
        self._next = self.highest + 1
        self._begun = 0
        self._places = array("q", [NOWHERE]) * STORE_PACKETS
        self._origins = array("q", [NOWHERE]) * STORE_PACKETS
        self._kept: dict[int, bool] = {}
        if whole.gop is not None:
            for packet in whole.gop.packets:
                self.take(packet)

    def take(self, packet: TrackPacket) -> TrackPacket | None:
        """Take in a packet of the host's track; return it renumbered, None where it is left out without a trace."""
        kept = self._keeps(packet)
        number = packet.number
        if self._next_whole is None:
            self._next_whole = self._begun = number
        if number < self._begun:
            return None
        if number < self._next_whole:
            return self._fill(packet, kept)
        for missing in range(max(self._next_whole, number - STORE_PACKETS + 1), number):
            self._place(missing)
        self._next_whole = number + 1
        if not kept:
            self._places[number % STORE_PACKETS] = self._next
            return None
        return self._made(packet, self._place(number))

    def at(self, number: int) -> int | None:
        """Return the number here of the host's packet `number`, or of what follows it; None for what is forgotten."""
        if self._next_whole is None or number >= self._next_whole:
            return self._next
        if number < max(self._begun, self._next_whole - STORE_PACKETS):
            return None
        return self._places[number % STORE_PACKETS]

    def origin(self, number: int) -> int | None:
        """Return the host's number of the packet `number` here, the host's next for one to come, None if forgotten."""
        if number >= self._next:
            return self._next_whole
        return None if number < self._next - STORE_PACKETS else self._origins[number % STORE_PACKETS]

    def _place(self, number: int) -> int:
        """Give the host's packet the next number here."""
        place, self._next = self._next, self._next + 1
        self._places[number % STORE_PACKETS] = place
        self._origins[place % STORE_PACKETS] = number
        return place

    def _fill(self, packet: TrackPacket, kept: bool) -> TrackPacket | None:
        """Put a late packet into the place that was held for it."""
        place = self.at(packet.number)
        if place is None or self._origins[place % STORE_PACKETS] != packet.number:
            return None
        empty = packet if kept else replace(packet, payload=b"\x01", padding=True, marker=False, keyframe=False)
        return self._made(empty, place)

    def _made(self, packet: TrackPacket, number: int) -> TrackPacket:
        made = replace(packet, number=number)
        self._keep(made, number > self.highest, packet.arrival_s)
        return made

    def _keeps(self, packet: TrackPacket) -> bool:
        """Decide once a picture, by the first of its packets to come; where that tells nothing it is kept."""
        kept = self._kept.get(packet.timestamp)
        if kept is None:
            told = packet.layer
            kept = packet.padding or told is None or told.temporal_id <= self.limit
            if not packet.padding:
                self._kept[packet.timestamp] = kept
                if len(self._kept) > PICTURES_REMEMBERED:
                    del self._kept[next(iter(self._kept))]
        return kept
