"""Send a room's tracks to one viewer: own sources and numbers, repeats on request, clocks for lip sync.

The room's packets go to everybody by `Batch.fan_out`; here is what differs: where a viewer's stream begins, what is
replayed, what is sent again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from media import rtcp
from media.cc.told import Carried
from media.ingest import Gop, Track, TrackPacket
from media.retransmit import RetransmitBudget
from media.rtc.crowd import SendStream
from media.rtc.srtp import Batch
from media.source import HEADER_BYTES

REPLAY_SPEED = 4.0
"""Cached pictures go out this many times faster than they came: ten seconds are caught up with in 3.3."""
REPORT_INTERVAL_S = 2.0
FIRST_REPORTS_S = 0.5
MAX_RTT_S = 5.0
ECHOES_KEPT = 8
SDES_CNAME = b"path"
RUNS_KEPT = 32
"""Stretches of numbers in which a viewer's request is looked for."""
PADDING_LONGEST_BYTES = 255
REPEATS_PER_REQUEST = 256
"""Numbers looked at of one NACK; one datagram could name thousands."""


@dataclass(slots=True)
class Run:
    """A stretch of one track that went to the viewer under one shift of numbers; `last` is None while it goes on."""

    track: Track
    first: int
    last: int | None
    delta: int


@dataclass(slots=True)
class Sending:
    """One medium to one viewer, from one track after another, under numbers that go on without a gap.

    `begun` is the room's number of the first packet of the present run, None between runs. `clock` is the track whose
    sender reports hold for all of them.
    """

    stream: SendStream
    track: Track
    next_sequence: int
    begun: int | None = None
    clock: Track | None = None
    ended_at: int | None = None
    """RTP timestamp of the last packet of the run before."""
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=RUNS_KEPT))

    def begin(self, number: int) -> None:
        """Let the track's packet `number` follow what was sent last, without a gap."""
        self.stream.number((self.next_sequence - number) & 0xFFFF)
        self.begun = self.stream.first = number
        self.stream.behind = False
        self.runs.append(Run(self.track, number, None, self.stream.sequence_delta))

    def pause(self, after: int) -> None:
        """Stop behind the track's packet `after`; `begin` goes on from there."""
        if self.begun is None:
            return
        last = max(after, self.begun - 1)
        packet = self.track.packet(last)
        self.ended_at = self.ended_at if packet is None else packet.timestamp
        self.next_sequence = (last + 1 + self.stream.sequence_delta) & 0xFFFF
        self.runs[-1].last = last
        self.begun = None
        self.stream.behind = False

    @property
    def head(self) -> int:
        """Return the track's number of the newest packet that the viewer can have been sent."""
        return self.stream.cursor - 1 if self.stream.behind else self.track.highest

    @property
    def latest_timestamp(self) -> int | None:
        """Return the RTP timestamp of what was sent last, None before anything."""
        packet = None if self.begun is None else self.track.packet(self.head)
        return self.ended_at if packet is None else packet.timestamp

    def find(self, sequence: int, head: int) -> tuple[Track, int] | None:
        """Return track and number of a sequence number that the viewer names; `head` is the newest of this run."""
        for run in reversed(self.runs):
            last = head if run.last is None else run.last
            back = (last + run.delta - sequence) & 0xFFFF
            if back < 0x8000 and last - back >= run.first:
                return run.track, last - back
        return None


class Forwarder:
    """Everything sent to one viewer. `sequence_starts` are random and small (RFC 3711 3.3.1: before the first wrap)."""

    def __init__(
        self,
        batch: Batch,
        audio: Sending | None,
        video: Sending | None,
        repair: SendStream | None,
        repair_sequence: int,
    ) -> None:
        self.audio = audio
        self.video = video
        self.rtt_s = 0.1
        self.repeats = 0
        self.voice_asked = 0
        """How many packets of voice have been asked for again."""
        self.fraction_lost = 0.0
        self._batch = batch
        self.repair = repair
        self._repair_sequence = repair_sequence
        self._budgets = {"audio": RetransmitBudget(), "video": RetransmitBudget()}
        self._gop: Gop | None = None
        self._gop_at = 0
        self._replay_from_s = self._replay_epoch_s = 0.0
        self._replayed: TrackPacket | None = None
        self._report_s = 0.0
        self._reports = 0
        self._echoes: dict[int, float] = {}

    @property
    def replaying(self) -> bool:
        """Whether cached pictures are on their way."""
        return self._gop is not None

    def start_replay(self, gop: Gop, now_s: float) -> None:
        """Begin with a cached group of pictures."""
        self.video.begin(gop.packets[0].number)
        self._gop, self._gop_at = gop, 0
        self._replay_from_s, self._replay_epoch_s = now_s, gop.packets[0].arrival_s

    def replay(self, now_s: float) -> bool:
        """Send what is due of the cached pictures; true when the viewer has caught up, false while it has not.

        After a group that outgrew its bounds the picture pauses until the next keyframe: `video.begun` is None then.
        """
        clock_s = self._replay_epoch_s + (now_s - self._replay_from_s) * REPLAY_SPEED
        while self._gop is not None:
            packets = self._gop.packets
            while self._gop_at < len(packets) and packets[self._gop_at].arrival_s <= clock_s:
                self._send(packets[self._gop_at], now_s)
                self._gop_at += 1
            if self._gop_at < len(packets):
                return False
            if not self._gop.closed:
                self._end_replay()
                return True
            following = self._gop.next
            if following is None:
                self.video.pause(packets[-1].number)
                self._end_replay()
                return False
            self._gop, self._gop_at = following, 0
        return False

    def stop_picture(self) -> None:
        """End the picture behind what has been sent; `start_replay` begins one anew."""
        self.video.pause(self._head("video"))
        self._end_replay()

    def _end_replay(self) -> None:
        self._gop, self._replayed = None, None

    def _send(self, packet: TrackPacket, now_s: float) -> None:
        self._replayed = packet
        self._put(packet, self.video.stream, now_s)

    def _put(self, packet: TrackPacket, stream: SendStream, now_s: float) -> None:
        self._batch.fan_out(
            packet.number, packet.timestamp, packet.marker, packet.payload, (stream,), packet.padding, now_s
        )

    def advance(self, sending: Sending, now_s: float) -> None:
        """Send what waits of a medium, in order; pictures as far as the credit goes."""
        stream, track = sending.stream, sending.track
        flow = stream.flow if sending is self.video else None
        while stream.cursor <= track.highest:
            if flow is not None and flow.credit < 0:
                return
            self._next(track, stream, now_s)
        stream.behind = False

    def _next(self, track: Track, stream: SendStream, now_s: float) -> None:
        packet = track.packet(stream.cursor)
        stream.cursor += 1
        if packet is not None:
            self._put(packet, stream, now_s)

    @property
    def carried(self) -> Carried:
        """Return what has been sent so far; repeats without RTX are left out."""
        streams = (self.video and self.video.stream, self.repair, self.audio and self.audio.stream)
        picture, repair, voice = (0 if stream is None else stream.octets for stream in streams)
        return Carried(picture + repair, voice)

    def finish_picture(self, limit: int, now_s: float) -> bool:
        """Send the rest of a picture above layer `limit` that has been begun; false while some of it has not come.

        On debt: a picture without its end holds up all that follow, and those of upper layers are small.
        """
        stream, track = self.video.stream, self.video.track
        last = track.packet(stream.cursor - 1)
        if stream.cursor == self.video.begun or last is None or last.marker:
            return True
        if last.layer is None or last.layer.temporal_id <= limit:
            return True
        number = stream.cursor
        while (packet := track.packet(number)) is not None and packet.timestamp == last.timestamp:
            number, last = number + 1, packet
        if packet is None and not last.marker:
            return False
        while stream.cursor < number:
            self._next(track, stream, now_s)
        return True

    def waited_s(self, now_s: float) -> float:
        """Return for how long the oldest picture packet has waited."""
        stream, track = self.video.stream, self.video.track
        for number in range(stream.cursor, track.highest + 1) if stream.behind else ():
            packet = track.packet(number)
            if packet is not None:
                return now_s - packet.arrival_s
        return 0.0

    def pad(self, size_bytes: int, now_s: float) -> int:
        """Send padding alone on the repair stream, `size_bytes` on the wire at most; return its true size."""
        filling = max(1, min(PADDING_LONGEST_BYTES, size_bytes - HEADER_BYTES))
        body = bytes(filling - 1) + bytes([filling])
        timestamp = self.video.track.timestamp
        self._batch.fan_out(self._repair_sequence, timestamp, False, body, (self.repair,), 1, now_s)
        self._repair_sequence = (self._repair_sequence + 1) & 0xFFFF
        return filling + HEADER_BYTES

    def _head(self, kind: str) -> int:
        """Return the room's number of the newest packet that the viewer can have been sent."""
        if kind == "video" and self._replayed is not None:
            return self._replayed.number
        return (self.video if kind == "video" else self.audio).head

    def repeat(self, media_ssrc: int, lost: tuple[int, ...], now_s: float) -> None:
        """Answer a NACK: by RTX where agreed (RFC 4588), else the same packet again. Within the budget only."""
        for kind, sending in (("audio", self.audio), ("video", self.video)):
            if sending is None or sending.stream.ssrc != media_ssrc:
                continue
            if kind == "audio":
                self.voice_asked += len(lost)
            head = self._head(kind)
            for sequence in lost[:REPEATS_PER_REQUEST]:
                found = sending.find(sequence, head)
                packet = None if found is None else found[0].packet(found[1])
                if packet is not None:
                    self._repeat(kind, sending, sequence, packet, now_s)

    def _repeat(self, kind: str, sending: Sending, sequence: int, packet: TrackPacket, now_s: float) -> None:
        flow = sending.stream.flow
        if kind == "video" and flow is not None and flow.refill(now_s) < 0:
            return  # what is new waits already; the viewer asks again
        size = len(packet.payload) + 14
        if not self._budgets[kind].allow(sequence, size, sending.stream.octets, now_s, self.rtt_s):
            return
        self.repeats += 1
        if kind == "video" and self.repair is not None and not packet.padding:
            body = sequence.to_bytes(2) + packet.payload
            number = self._repair_sequence
            self._batch.fan_out(number, packet.timestamp, packet.marker, body, (self.repair,), 0, now_s)
            self._repair_sequence = (self._repair_sequence + 1) & 0xFFFF
            return
        octets, packets = sending.stream.octets, sending.stream.packets
        self._batch.fan_out(
            sequence - sending.stream.sequence_delta,
            packet.timestamp,
            packet.marker,
            packet.payload,
            (sending.stream,),
            packet.padding,
            now_s,
        )
        sending.stream.octets, sending.stream.packets = octets, packets

    def reported(self, block: rtcp.ReportBlock, now_s: float) -> None:
        """Take a viewer's report: round trip by the echoed clock (RFC 3550 6.4.1), share lost."""
        self.fraction_lost = block.fraction_lost / 256
        sent_s = self._echoes.get(block.last_sr)
        if sent_s is not None and block.last_sr:
            rtt_s = now_s - sent_s - block.delay_since_last_sr / 65536
            if 0 <= rtt_s <= MAX_RTT_S:
                self.rtt_s += (rtt_s - self.rtt_s) / 4

    def reports(self, unix_s: float, now_s: float) -> bytes | None:
        """Return the sender reports when they are due, None otherwise."""
        if now_s < self._report_s:
            return None
        sendings = [s for s in (self.audio, self.video) if s is not None and s.stream.packets]
        if not sendings:
            return None
        clocks = clocks_of([s.clock or s.track for s in sendings], unix_s, now_s)
        packets: list[rtcp.RtcpPacket] = []
        for sending, (ntp_s, timestamp) in zip(sendings, clocks, strict=True):
            ntp = rtcp.unix_to_ntp(ntp_s)
            stream = sending.stream
            packets.append(
                rtcp.SenderReport(stream.ssrc, ntp, timestamp, stream.packets & 0xFFFFFFFF, stream.octets & 0xFFFFFFFF)
            )
            self._echo((ntp >> 16) & 0xFFFFFFFF, now_s)
        cname = ((rtcp.SDES_CNAME, SDES_CNAME),)
        packets.append(rtcp.Sdes(tuple((s.stream.ssrc, cname) for s in sendings)))
        self._reports += 1
        self._report_s = now_s + (FIRST_REPORTS_S if self._reports < 4 else REPORT_INTERVAL_S)
        return rtcp.serialize_compound(packets)

    def _echo(self, middle: int, now_s: float) -> None:
        self._echoes[middle] = now_s
        if len(self._echoes) > ECHOES_KEPT:
            del self._echoes[next(iter(self._echoes))]


def clocks_of(tracks: list[Track], unix_s: float, now_s: float) -> list[tuple[float, int]]:
    """Return (wall clock, RTP timestamp) of this moment for every track, by the host's reports.

    Only where all tracks have a report are the host's clocks used: one track by the host's clock and the other by ours
    would tear voice and picture apart. Otherwise arrival times serve.
    """
    by_host = all(track.clock is not None for track in tracks)
    found = []
    for track in tracks:
        if by_host:
            wall_s, timestamp, taken_s = track.clock
        else:
            taken_s = track.last_arrival_s if track.last_arrival_s is not None else now_s
            wall_s, timestamp = unix_s - (now_s - taken_s), track.timestamp
        since_s = now_s - taken_s
        found.append((wall_s + since_s, (timestamp + round(since_s * track.clock_rate)) & 0xFFFFFFFF))
    return found
