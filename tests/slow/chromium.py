"""Chromium for slow tests: the system's one, with the fake camera and microphone that a test has made."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@dataclass(frozen=True, slots=True)
class FakeDevices:
    """Files that stand for a camera (MJPEG) and a microphone (WAV)."""

    camera: Path
    microphone: Path


def make_devices(folder: Path, seconds: int = 10) -> FakeDevices:
    """Draw a moving test picture and a voice-like tone that comes and goes; Chromium plays both in a loop."""
    devices = FakeDevices(folder / "camera.mjpeg", folder / "microphone.wav")
    picture = ("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=15:duration={seconds}")
    _ffmpeg(*picture, "-c:v", "mjpeg", "-q:v", "5", "-pix_fmt", "yuvj420p", str(devices.camera))
    # 220 Hz with overtones, three "syllables" a second.
    voice = "(0.5*sin(2*PI*220*t)+0.25*sin(2*PI*440*t)+0.12*sin(2*PI*880*t))*(0.55+0.45*sin(2*PI*3*t))"
    tone = ("-f", "lavfi", "-i", f"aevalsrc='{voice}':s=48000:d={seconds}")
    _ffmpeg(*tone, "-ac", "1", "-c:a", "pcm_s16le", str(devices.microphone))
    return devices


def _ffmpeg(*arguments: str) -> None:
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([binary, "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)


def find_chromium() -> str | None:
    """Return the path of the system's Chromium."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def launch(
    playwright: Playwright,
    devices: FakeDevices | None = None,
    *,
    autoplay: bool = True,
    program: str | None = None,
    more: tuple[str, ...] = (),
) -> Browser:
    """Start a headless Chromium; `autoplay` False keeps the browser's rule that sound needs a click first.

    `program` stands for the system's Chromium, for instance to start it in another network; `more` are switches.
    """
    args = [*ARGS, *more]
    if autoplay:
        args.append("--autoplay-policy=no-user-gesture-required")
    if devices is not None:
        args += [
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={devices.camera}",
            f"--use-file-for-fake-audio-capture={devices.microphone}",
        ]
    return playwright.chromium.launch(executable_path=program or find_chromium(), args=args)
