"""The demo's host: becomes ffmpeg, which sends the finished lesson round and round to the live session."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import imageio_ffmpeg

from config import Settings
from supervisor import greeting
from supervisor.demo import film
from supervisor.demo.sample import Demo


def publish(settings: Settings, folder: Path, demo: Demo) -> None:
    """Wait for the web part, then turn this process into the sender; it never returns.

    Nothing is decoded or encoded while sending. Whenever this process ends, the supervisor starts it again.
    """
    lesson = film.ensure(folder)
    asyncio.run(greeting.until(lambda: greeting.answers(settings)))
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    os.execv(
        ffmpeg, [ffmpeg, *arguments(lesson, f"{greeting.local_url(settings)}/whip/{demo.live_id}", demo.live_host)]
    )


def arguments(lesson: Path, url: str, ticket: str) -> list[str]:
    """Return ffmpeg's arguments for sending a file for ever, in real time, as it is, over WHIP."""
    return [
        *("-nostdin", "-hide_banner", "-nostats", "-loglevel", "error"),
        *("-re", "-stream_loop", "-1", "-i", str(lesson), "-map", "0", "-c", "copy"),
        *("-f", "whip", "-authorization", ticket, url),
    ]
