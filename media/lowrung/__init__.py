"""Low rungs: the host's lesson encoded once more, for links that its own stream does not fit.

The media process decodes nothing. Each room has one child process for it, only while somebody needs a low rung, so that
a crash or a slow codec never touches the lesson. What a room does:

    from media.lowrung.client import LowRungs, RungFrame, VoicePacket
    from media.lowrung.rungs import Rung, middle_rate_bps

    low = LowRungs(on_frame, on_voice, ask_keyframe)  # called in the loop's thread; ask_keyframe() sends the host a PLI
    low.start(Rung.LOW, "AV1")                        # or "VP8", or both: two streams; the child starts by itself
    low.start(Rung.MIDDLE, "AV1", middle_rate_bps(budget_bps))  # another rate for a rung that is on costs a keyframe
    low.start(Rung.STILL, "VP8")
    low.start(Rung.VOICE)                             # has no codec but Opus
    if low.wants_pictures:
        low.picture("AV1", frame)                     # each Frame of a media.payload.Depacketizer of the host's packets
    if low.wants_voice:
        low.voice(timestamp, payload)                 # each Opus packet of the host, in order
    low.force_keyframe(Rung.LOW, "AV1")               # a viewer joined or sent PLI; requests within 2 s give one
    low.stop(Rung.LOW, "AV1")                         # with all off for 5 s, the child ends
    low.active, low.stats                             # what is on; what it costs
    await low.close()

- `on_frame(RungFrame(rung, codec, timestamp, keyframe, payloads))`: RTP payloads of one frame, the marker goes on the
  last. A rung begins with a keyframe, also after a restart of the child, at a new rate and at a new picture size.
- `on_voice(VoicePacket(timestamp, payload))`: 60 ms of Opus. Packets for silence (DTX) pass as they are; for a lost one
  nothing comes, so that the viewer's decoder conceals it.
- Timestamps are the host's RTP timestamps (90 kHz, 48 kHz): its sender reports hold, and with them lip sync. Sequence
  numbers, SSRC and payload types are the room's. VP8 has no PictureID, so that viewers may change between streams.
- `media.lowrung.opusjoin`: `VoiceJoiner(5760)` makes one packet of 120 ms of two of 60 ms; the room sends those.
- The child has no environment and a limit of memory, yields the processor to the lesson, and dies with its parent.
"""
