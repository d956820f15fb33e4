"""What the ladder itself makes of the low rungs: the low voice, two frames to a packet."""

from __future__ import annotations

from types import SimpleNamespace

from media.ingest import Track
from media.ladder import LOW_VOICE_LATE_S, Ladder
from media.lowrung.client import VoicePacket
from media.lowrung.opusjoin import frames

WIDEBAND_60 = 11 << 3


def packet(number: int) -> VoicePacket:
    """Return 60 ms of Opus, told apart by its bytes."""
    return VoicePacket(2880 * number, bytes([WIDEBAND_60]) + bytes([number]) * 40)


def test_two_frames_of_the_low_voice_go_in_one_packet() -> None:
    """Packets of 120 ms leave, half as many; one whose neighbour does not come goes alone in a moment."""
    now = SimpleNamespace(s=1.0)
    port = SimpleNamespace(clock=lambda: now.s, batch=SimpleNamespace(flush=lambda: None))
    tracks = {"audio": Track("audio", 48000), "video": Track("video", 90000)}
    ladder = Ladder(port, tracks, lambda _now_s: None, lambda: None)
    voice = ladder.low_voice.track
    began = voice.highest
    for number in range(5):
        now.s += 0.06
        ladder._low_packet(packet(number))
        ladder.tick(now.s)
    sent = [voice.packet(number) for number in range(began + 1, voice.highest + 1)]
    assert [one.timestamp for one in sent] == [0, 5760]
    assert [frames(one.payload) for one in sent] == [[bytes([n]) * 40, bytes([n + 1]) * 40] for n in (0, 2)]
    ladder.tick(now.s + LOW_VOICE_LATE_S + 0.01)
    assert voice.packet(voice.highest).payload == packet(4).payload
