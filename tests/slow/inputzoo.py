"""The files that people really send, and those that nobody should: each made in a moment with ffmpeg."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.slow.lessonmedia import make

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
MATROSKA = ("-f", "matroska")
AAC = ("-c:a", "aac", "-b:a", "64k")
TONE = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
HOURS_12 = 12 * 3600


@dataclass(frozen=True, slots=True)
class Beast:
    """One file: the name that its sender gives it, how it is made, and what must become of it.

    `refusal` is the reason's code, "" where a lesson is published; `notes` are the codes of what people are told.
    """

    name: str
    build: Callable[[Path], object]
    refusal: str = ""
    notes: tuple[str, ...] = ()
    has_video: bool = True
    has_audio: bool = True
    seconds: float | None = 2.0


def picture(size: str = "320x180", rate: str = "25", seconds: float = 2) -> tuple[str, ...]:
    """Return ffmpeg's arguments for a moving picture."""
    return "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"


def rotated(target: Path) -> None:
    """Make what a telephone held upright leaves: HEVC lying on its side, with a matrix that says so.

    The lying picture's left half is white, so that the upright one is white above or below.
    """
    lying = target.with_suffix(".lying.mp4")
    white = "color=black:size=320x180:rate=25:duration=2,drawbox=w=160:color=white:t=fill"
    hevc = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1")
    make(lying, "-f", "lavfi", "-i", white, *TONE, *hevc, "-pix_fmt", "yuv420p", *AAC)
    make(target, "-display_rotation", "90", "-i", str(lying), "-c", "copy", "-f", "mp4")
    lying.unlink()


def uneven(target: Path) -> None:
    """Make a screen capture: frames only where something moved."""
    dropped = "select='lt(n,15)+not(mod(n,11))'"
    make(target, *picture(), *TONE, "-vf", dropped, "-fps_mode", "vfr", *X264, *AAC, "-f", "matroska")


def cut(target: Path, *, table_first: bool) -> None:
    """Make an MP4 of which the second half never arrived, with its table at the beginning or not at all."""
    whole = target.with_suffix(".whole.mp4")
    flags = ("-movflags", "+faststart") if table_first else ()
    noise = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=12,noise=alls=40:allf=t")
    make(whole, *noise, "-f", "lavfi", "-i", "sine=frequency=440:duration=12", *X264, *AAC, *flags)
    content = whole.read_bytes()
    target.write_bytes(content[: len(content) // 2])
    whole.unlink()


def two_sounds(target: Path) -> None:
    """Make a film with a quiet first sound and a second one that the file calls its default."""
    sounds = (
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=220:duration=2",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=880:duration=2",
    )
    maps = ("-map", "0:v", "-map", "1:a", "-map", "2:a")
    said = ("-disposition:a:0", "0", "-disposition:a:1", "default", "-metadata:s:a:1", "language=rus")
    make(target, *picture(), *sounds, *maps, *X264, *AAC, *said, "-f", "mp4")


def surround(target: Path) -> None:
    """Make six channels of which only the centre, where the voice is, has a sound."""
    centre = "sine=frequency=440:duration=2,pan=5.1|FC=c0"
    make(target, *picture(), "-f", "lavfi", "-i", centre, *X264, "-c:a", "ac3", "-b:a", "192k", "-f", "matroska")


def cover(target: Path) -> None:
    """Make a sound file with a picture on its cover."""
    art = ("-f", "lavfi", "-i", "color=red:size=200x200:rate=1:duration=2")
    maps = ("-map", "0:a", "-map", "1:v", "-frames:v", "1", "-disposition:v", "attached_pic")
    make(target, *TONE, *art, *maps, "-c:a", "libmp3lame", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "mp3")


def camcorder(target: Path) -> None:
    """Make what a tape camera leaves: two fields in a frame, and pixels wider than high."""
    shape = ("-vf", "setsar=64/45", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-b:v", "4M", "-pix_fmt", "yuv420p")
    make(target, *picture("720x576"), *TONE, *shape, "-c:a", "mp2", "-f", "mpegts")


def bomb(target: Path) -> None:
    """Make a zip that would be a thousand times as large."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(20_000_000))


def damaged_table(target: Path) -> None:
    """Make an MP4 whose table (moov) is overwritten, as a failing card does; its pictures are all there."""
    make(target, *picture(), *TONE, *X264, *AAC, "-movflags", "+faststart", "-f", "mp4")
    content = bytearray(target.read_bytes())
    at = content.index(b"moov") + 4
    length = int.from_bytes(content[at - 8 : at - 4])
    content[at : at + length - 8] = random.Random(1).randbytes(length - 8)
    target.write_bytes(content)


def trimmed(target: Path) -> None:
    """Make what a telephone's trim leaves: from 2.7 s on, with an edit list that hides what comes before."""
    whole = target.with_suffix(".whole.mp4")
    source = ("-f", "lavfi", "-i", "sine=frequency=440:duration=6")
    make(whole, *picture(seconds=6), *source, *X264, "-g", "50", *AAC)
    make(target, "-ss", "2.7", "-i", str(whole), "-c", "copy", "-f", "mp4")
    whole.unlink()


def joined(target: Path) -> None:
    """Make what "copy /b" makes of two clips of a camcorder: the second one's times begin anew, and it is higher."""
    parts = []
    for number, (seconds, pitch_hz) in enumerate(((6, 440), (5, 880))):
        part = target.with_suffix(f".{number}.ts")
        sound = ("-f", "lavfi", "-i", f"sine=frequency={pitch_hz}:duration={seconds}")
        make(part, *picture(seconds=seconds), *sound, *X264, *AAC, "-f", "mpegts")
        parts.append(part.read_bytes())
        part.unlink()
    target.write_bytes(b"".join(parts))


def resized(target: Path) -> None:
    """Make a picture that changes its size in the middle, as a call's recording does."""
    parts = []
    for number, (size, shift) in enumerate((("320x180", "0"), ("640x480", "2"))):
        part = target.with_suffix(f".{number}.ts")
        make(part, *picture(size), *TONE, *X264, *AAC, "-output_ts_offset", shift, "-f", "mpegts")
        parts.append(part.read_bytes())
        part.unlink()
    target.write_bytes(b"".join(parts))


def subtitles_only(target: Path) -> None:
    """Make a Matroska file of which a font and subtitles are all."""
    words, font = target.with_suffix(".srt"), target.with_suffix(".ttf")
    words.write_text("1\n00:00:00,000 --> 00:00:01,500\nПривет\n")
    font.write_bytes(bytes(2000))
    attached = ("-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font")
    make(target, "-i", str(words), *attached, "-c:s", "srt", "-f", "matroska")
    words.unlink()
    font.unlink()


def timecode_first(target: Path) -> None:
    """Make a film whose track of time codes comes before picture and sound: FFmpeg 9 does not open that."""
    usual = target.with_suffix(".usual.mov")
    make(usual, *picture(), *TONE, *X264, *AAC, "-timecode", "00:00:00:00")
    maps = ("-map", "0:d", "-map", "0:v", "-map", "0:a")
    make(target, "-i", str(usual), *maps, "-c", "copy", "-write_tmcd", "0", "-f", "mov")
    usual.unlink()


def text(content: str) -> Callable[[Path], object]:
    """Make a file of a text."""
    return lambda target: target.write_text(content)


def plain(*arguments: str) -> Callable[[Path], object]:
    """Make a file by one call of ffmpeg."""
    return lambda target: make(target, *arguments)


KEY = "76a6c65c5ea762046bd749a2e632ccbb"
LOCK = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY)
TEN_BITS = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")
HDR = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
DASH = '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>'
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"

ZOO = {
    "rotated": Beast("IMG_0001.MOV", rotated),
    "uneven": Beast("Запись экрана.mkv", uneven),
    "no_sound": Beast("доска.mp4", plain(*picture(), *X264, "-f", "mp4"), has_audio=False),
    "sound_only": Beast("голос.m4a", plain(*TONE, *AAC, "-f", "ipod"), has_video=False),
    "telephone": Beast("dictaphone.wav", plain(*TONE, "-ar", "8000", "-ac", "1", "-f", "wav"), has_video=False),
    "surround": Beast("5.1.mkv", surround),
    "odd_size": Beast(
        "321x243.mp4", plain(*picture("321x243"), *TONE, *X264[:-2], "-pix_fmt", "yuv444p", *AAC, "-f", "mp4")
    ),
    "truncated": Beast("оборвалось.mp4", lambda path: cut(path, table_first=True), notes=("cut_off",), seconds=None),
    "no_table": Beast("GOPR0001.mp4", lambda path: cut(path, table_first=False), "unfinished_mp4"),
    "empty": Beast("пусто.mp4", text(""), "empty"),
    "text": Beast("текст.mp4", text("Это не видео, а письмо.\n" * 50), "not_media"),
    "zip_bomb": Beast("42.mp4", bomb, "archive"),
    "twelve_hours": Beast(
        "полдня.mp4",
        plain("-f", "lavfi", "-i", f"color=size=64x64:rate=1/60:duration={HOURS_12}", *X264, "-f", "mp4"),
        "too_long",
    ),
    "odd_name": Beast("Урок 🌲 «Тайга»: 5+6 класс?.mp4", plain(*picture(), *TONE, *X264, *AAC, "-f", "mp4")),
    "two_sounds": Beast("два языка.mp4", two_sounds, notes=("one_of_several_sounds",)),
    "cover": Beast("песня.mp3", cover, has_video=False, seconds=None),
    "photo": Beast("фото.mp4", plain(*picture(), "-frames:v", "1", "-f", "image2"), "not_media"),
    "camcorder": Beast("M2U00001.MPG", camcorder),
    "old_camera": Beast(
        "MOV00001.AVI", plain(*picture(), *TONE, "-c:v", "mjpeg", "-c:a", "pcm_s16le", "-f", "avi")
    ),
    "old_telephone": Beast(
        "video-0001.3gp",
        plain(*picture("176x144"), *TONE, *X264, "-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1", "-f", "3gp"),
    ),
    "windows": Beast("урок.wmv", plain(*picture(), *TONE, "-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf")),
    "browser": Beast(
        "recording.webm", plain(*picture(), *TONE, "-c:v", "libvpx", "-c:a", "libopus", "-live", "1", "-f", "webm")
    ),
    "trimmed": Beast("IMG_E0001.MOV", trimmed, seconds=3.3),
    "joined": Beast("M2U-все.MPG", joined, notes=("joined",), seconds=6.0),
    "resized": Beast("звонок.ts", resized, seconds=4.0),
    "hdr": Beast("HDR.mp4", plain(*picture(), *TONE, *TEN_BITS, "-x265-params", HDR, *AAC, "-f", "mp4")),
    "dot": Beast(
        "точка.mkv", plain("-f", "lavfi", "-i", "color=size=1x1:duration=2", "-c:v", "ffv1", "-f", "matroska"),
        "no_sound_or_picture",
    ),
    "one_picture": Beast(
        "подкаст.mp4",
        plain(*picture(seconds=0.04), "-f", "lavfi", "-i", "sine=frequency=440:duration=6", *X264, *AAC, "-f", "mp4"),
        seconds=6.0,
    ),
    "strip": Beast("бегущая строка.mkv", plain(*picture("1600x20"), *X264, "-f", "matroska"), has_audio=False),
    "begins_before": Beast(
        "раньше нуля.mkv",
        plain(*picture(), *TONE, *X264, *AAC, "-avoid_negative_ts", "disabled", "-output_ts_offset", "-1", *MATROSKA),
        seconds=1.0,
    ),
    "timecode_first": Beast("A001C002.MOV", timecode_first, "undecodable"),
    "damaged_table": Beast("VID_0002.mp4", damaged_table, "damaged_mp4"),
    "locked": Beast("фильм.mp4", plain(*picture(), *TONE, *X264, *AAC, *LOCK, "-f", "mp4"), "locked"),
    "subtitles": Beast("субтитры.mkv", subtitles_only, "no_sound_or_picture"),
    "moving_gif": Beast("кот.mp4", plain(*picture("100x100", "10"), "-f", "gif"), "not_media"),
    "huge_picture": Beast(
        "8192.mp4", plain(*picture("8192x8192", "1", 1), *X264, "-f", "mp4"), "too_large_picture"
    ),
    "hls": Beast("index.mp4", text(HLS), "playlist"),
    "dash": Beast("manifest.mp4", text(DASH), "playlist"),
    "sdp": Beast("stream.mp4", text(SDP), "playlist"),
    "concat": Beast("list.mp4", text("ffconcat version 1.0\nfile /etc/hostname\n"), "playlist"),
}  # fmt: skip
