"""The host's picture by temporal layers, as rungs of its room: what each carries, and who goes over to which when.

From one to another nobody waits for a keyframe. Down: with the next picture, and what waits of the dropped layers is
left out. Up: with the next picture that needs nothing of what the viewer has not had.
"""

from __future__ import annotations

from media.ingest import Track, TrackPacket
from media.layers import TOP_LAYER, LayerTrack, limit_of, origin_of, place_in, within_reach
from media.rtc.srtp import Batch
from media.source import Meter, Source
from media.viewer import Viewer
from rules.rungs import Rung, thinned_is_worth

LIMITS = {Rung.HALF: 1, Rung.BASE: 0}
CROSSING_S = 2.0
"""For whoever finds no picture to go over with for so long a keyframe is asked for."""


class Layered:
    """The host's picture, whose source is `whole`, and its thinner twins, which come with the first upper layer."""

    def __init__(self, whole: Source, batch: Batch, now_s: float) -> None:
        self.sources: dict[Rung, Source] = {}
        self._whole = whole
        self._batch = batch
        self._crossing: dict[Viewer, tuple[Source, float]] = {}
        self._pictures = {limit: Meter(now_s) for limit in (0, 1, TOP_LAYER)}
        self._timestamp: int | None = None

    def restart(self, changed: bool) -> None:
        """Go on with another connection of the host, or with `changed` pictures of another codec."""
        if changed:
            self.sources = {}
            self._crossing.clear()
        for source in self.sources.values():
            source.track.restart()

    # Packets.

    def send(self, packet: TrackPacket, now_s: float) -> None:
        """Send a packet of the host's picture to everybody who has its layer."""
        if not self.sources and packet.layer is not None and packet.layer.temporal_id > 0:
            self._begin(now_s)
        thinned = [(source, source.track.take(packet)) for source in self.sources.values()]
        if self._starts(packet):
            self._count(packet, now_s)
            for viewer in list(self._crossing):
                self._step(viewer, packet, now_s)
        self._whole.send(packet, now_s)
        for source, made in thinned:
            if made is not None:
                source.send(made, now_s)

    def _begin(self, now_s: float) -> None:
        whole = self._whole
        for rung, limit in LIMITS.items():
            track = LayerTrack(whole.track, limit)
            self.sources[rung] = Source(track, whole.codec, self._batch, whole.ask_keyframe, now_s)

    def _starts(self, packet: TrackPacket) -> bool:
        """Whether a picture begins here for sure: what goes before it has come and is of another picture."""
        track: Track = self._whole.track
        if packet.number != track.highest or packet.timestamp == self._timestamp or packet.padding:
            return False
        self._timestamp = packet.timestamp
        return track.packet(packet.number - 1) is not None

    def _count(self, packet: TrackPacket, now_s: float) -> None:
        told = packet.layer
        for limit, meter in self._pictures.items():
            if told is None or told.temporal_id <= limit or limit == TOP_LAYER:
                meter.add(1, now_s)

    # What there is.

    def costs(self, now_s: float, beside_encoded: bool, now: Rung) -> dict[Rung, float]:
        """Return what can be had and what it costs, for a viewer who has `now` and may have the server's own rungs."""
        found = {}
        whole_fps = self._fps(TOP_LAYER, now_s)
        for rung, source in self.sources.items():
            fps = self._fps(LIMITS[rung], now_s)
            if not beside_encoded or thinned_is_worth(fps, whole_fps, rung is now):
                found[rung] = source.meter.cost_bps(now_s)
        return found

    def _fps(self, limit: int, now_s: float) -> float:
        return self._pictures[limit].rate_bps(now_s) / 8

    @property
    def waiting(self) -> bool:
        """Whether somebody waits for a keyframe of a twin."""
        return any(source.waiting for source in self.sources.values())

    # Who goes over.

    def go(self, viewer: Viewer, target: Source, now_s: float) -> bool:
        """Let a viewer of the host's picture go over to more or fewer layers of it; false where there is neither."""
        self.forget(viewer)
        if not self._is_ours(viewer.showing) or not self._is_ours(target):
            return False
        viewer.stay()
        if viewer.showing is not target:
            self._crossing[viewer] = (target, now_s)
            self._step(viewer, None, now_s)
        return True

    def forget(self, viewer: Viewer) -> None:
        """Let a viewer stay where they are."""
        self._crossing.pop(viewer, None)

    def tick(self, now_s: float) -> None:
        """Ask for a keyframe for those who have found no other way; who has lost the picture waits for it anyway."""
        for viewer, (target, since_s) in list(self._crossing.items()):
            if not self._is_ours(viewer.showing):
                del self._crossing[viewer]
                viewer.turn(target, now_s)
            elif now_s - since_s > CROSSING_S:
                target.ask_keyframe(now_s)

    def _is_ours(self, source: Source | None) -> bool:
        return source is self._whole or source in self.sources.values()

    def _step(self, viewer: Viewer, packet: TrackPacket | None, now_s: float) -> None:
        """Let a viewer go over now if they can; `packet` begins a picture that has not been sent yet."""
        target, since_s = self._crossing[viewer]
        have = viewer.showing
        if not self._is_ours(have):
            return
        reach, wanted = limit_of(have.track), limit_of(target.track)
        if wanted > reach:
            if packet is None or viewer.picture.behind:
                return
            reach = within_reach(reach, packet)
            if reach == limit_of(have.track):
                return
            number = packet.number
        else:
            number = self._way_down(viewer, wanted, packet, now_s)
        stop = target if reach >= wanted else next(s for s in self.sources.values() if limit_of(s.track) == reach)
        if number is None or place_in(have.track, number) is None or place_in(stop.track, number) is None:
            return
        viewer.cross(stop, place_in(have.track, number) - 1, place_in(stop.track, number))
        self._crossing[viewer] = (target, since_s)
        if stop is target:
            del self._crossing[viewer]

    def _way_down(self, viewer: Viewer, wanted: int, packet: TrackPacket | None, now_s: float) -> int | None:
        """Return the host's number of the first packet to choose anew, None while a picture is under way."""
        if viewer.picture.behind:
            if not viewer.forwarder.finish_picture(wanted, now_s):
                return None
            return origin_of(viewer.showing.track, viewer.picture.cursor)
        if packet is not None:
            return packet.number
        highest = self._whole.track.highest
        last = self._whole.track.packet(highest)
        return highest + 1 if last is not None and last.marker else None
