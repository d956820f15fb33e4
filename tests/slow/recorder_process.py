"""Record a lesson in real time in a process that can be killed: made-up voice, and VP8 where asked.

Arguments: live folder, seconds, "voice" or "video". Prints every 20 ms how many seconds of lesson it has handed over.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from media.recorder import Recorder
from media.rtp import RtpPacket

VOICE = b"\x18" + bytes(range(60))
KEY = b"\x10" + b"\x10\0\0\x9d\x01\x2a\x40\x01\xb4\x00" + bytes(900)
DELTA = b"\x10" + b"\x11" + bytes(900)


def main(folder: Path, seconds: float, codec: str | None) -> None:
    """Hand over voice packets of 60 ms, and fifteen frames a second."""
    start_s = time.time()
    recorder = Recorder(folder, "s", "r", start_s, 8)
    recorder.host_connected(codec, True, start_s)
    voices = frames = 0
    while (elapsed_s := time.time() - start_s) < seconds:
        while voices * 0.06 <= elapsed_s:
            packet = RtpPacket(111, voices & 0xFFFF, voices * 2880, 1, VOICE)
            recorder.on_rtp("audio", packet, start_s + voices * 0.06)
            voices += 1
        while codec is not None and frames / 15 <= elapsed_s:
            payload = KEY if frames % 45 == 0 else DELTA
            packet = RtpPacket(96, frames & 0xFFFF, frames * 6000, 2, payload, True)
            recorder.on_rtp("video", packet, start_s + frames / 15)
            frames += 1
        print(f"{voices * 0.06:.3f}", flush=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), "VP8" if sys.argv[3] == "video" else None)
