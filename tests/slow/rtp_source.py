"""Let ffmpeg send real RTP to this process and keep every packet with its arrival, for tests of what receives it."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from dataclasses import dataclass, field

import imageio_ffmpeg

from media import rtcp
from media.rtp import RtpPacket, is_rtcp, parse_rtp

ENCODERS = {
    "H264": ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "30", "-pix_fmt", "yuv420p"],
    "VP8": ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "30", "-b:v", "300k"],
    "VP9": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-g", "30"],
    "AV1": ["-c:v", "libsvtav1", "-preset", "11", "-svtav1-params", "pred-struct=1:lookahead=0", "-g", "30"],
}


@dataclass
class Capture:
    """What came: (kind, packet, Unix arrival) in order, and the sender reports as (kind, report, arrival)."""

    packets: list[tuple[str, RtpPacket, float]] = field(default_factory=list)
    reports: list[tuple[str, rtcp.SenderReport, float]] = field(default_factory=list)


def _bind(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind(("127.0.0.1", port))
    return made


def capture(codec: str | None, seconds: float, port: int) -> Capture:
    """Send a test picture (none for codec None) and a tone in real time; take ports `port` to `port` + 3."""
    kinds = {port: "video", port + 1: "video", port + 2: "audio", port + 3: "audio"}
    sockets = {_bind(number): kind for number, kind in kinds.items()}
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-re", "-f", "lavfi", "-i", "sine=440:r=48000"]
    command += ["-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=15", "-t", str(seconds)]
    command += ["-map", "0:a", "-c:a", "libopus", "-b:a", "24k", "-ac", "1", "-frame_duration", "60"]
    command += ["-f", "rtp", f"rtp://127.0.0.1:{port + 2}?pkt_size=1200"]
    if codec is not None:
        command += ["-map", "1:v", "-t", str(seconds), *ENCODERS[codec], "-strict", "experimental"]
        command += ["-f", "rtp", f"rtp://127.0.0.1:{port}?pkt_size=1200"]
    made = Capture()
    sender = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while True:
            ended = sender.poll() is not None
            ready, _, _ = select.select(list(sockets), [], [], 0.2)
            for one in ready:
                _keep(made, sockets[one], one.recv(2048), time.time())
            if ended and not ready:
                break
    finally:
        sender.kill()
        _, errors = sender.communicate()
        for one in sockets:
            one.close()
    assert sender.returncode == 0, errors.decode()
    return made


def _keep(made: Capture, kind: str, data: bytes, arrival_s: float) -> None:
    if not is_rtcp(data):
        made.packets.append((kind, parse_rtp(data), arrival_s))
        return
    for packet in rtcp.parse_compound(data):
        if isinstance(packet, rtcp.SenderReport):
            made.reports.append((kind, packet, arrival_s))
