"""Decide what an uploaded file is: which of its tracks become the lesson, or why nothing can be made of it.

A camera, a telephone, a screen recorder or a sound recorder made it; or it is something else altogether. Nothing is
believed but what was read: packets, and the first frames decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

# 8K. Larger ones are no lesson, and decoding one takes memory by the gigabyte.
MAX_PIXELS = 7680 * 4320
# What is smaller is no picture but a marker or an icon.
MIN_SIDE = 8
# A file that says it is longer than what could be read of it by more than this is cut off.
CUT_OFF_S = 2.0
CUT_OFF_SHARE = 0.01
# Shorter than this there is nothing to hear or see.
MIN_SECONDS = 0.2
# A track whose times go back by more begins anew: somebody has joined recordings without a program for that. Pictures
# that refer to later ones go back by less than a second.
BEGINS_ANEW_S = 3.0
# Containers whose header knows how long the whole is; others guess, from the rate of their first bytes.
SAYS_LENGTH = ("mov", "matroska", "avi", "asf")


class Medium(StrEnum):
    """What a track is for."""

    AUDIO = "audio"
    VIDEO = "video"


class Trouble(StrEnum):
    """Why nothing can be made of a file; server.words has the words."""

    EMPTY = "empty"
    ARCHIVE = "archive"
    PLAYLIST = "playlist"
    NOT_MEDIA = "not_media"
    UNFINISHED_MP4 = "unfinished_mp4"
    DAMAGED_MP4 = "damaged_mp4"
    LOCKED = "locked"
    NO_SOUND_OR_PICTURE = "no_sound_or_picture"
    UNDECODABLE = "undecodable"
    TOO_LONG = "too_long"
    TOO_LARGE_PICTURE = "too_large_picture"
    TOO_COSTLY = "too_costly"


class Note(StrEnum):
    """What people should know of a recording that was made of a file all the same."""

    CUT_OFF = "cut_off"
    ONE_OF_SEVERAL_SOUNDS = "one_of_several_sounds"
    PICTURE_LEFT_OUT = "picture_left_out"
    SOUND_LEFT_OUT = "sound_left_out"
    JOINED = "joined"


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One track as the file's header describes it; sizes in pixels, 0 for sound."""

    index: int
    medium: Medium
    codec: str
    known_codec: bool
    is_default: bool = False
    is_cover: bool = False
    width: int = 0
    height: int = 0
    language: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading a chosen track to its end and decoding its beginning found; times in seconds of the file's clock.

    `width` and `height` are those of the upright picture with square pixels.
    """

    index: int
    codec: str
    first_s: float
    end_s: float
    frames: int
    decoded: bool
    width: int = 0
    height: int = 0
    active_fps: float = 0.0
    pixel_aspect: float = 1.0
    interlaced: bool = False


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found out about a file; `trouble` ends the reading early, `declared_s` is what the header says."""

    trouble: Trouble | None = None
    demuxer: str = ""
    declared_s: float | None = None
    streams: tuple[StreamFacts, ...] = ()
    audio: Measured | None = None
    video: Measured | None = None
    begins_anew: bool = False  # reading ended where the times did


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing can be made of the file; the file itself stays."""

    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Accepted:
    """The tracks that become the lesson, its length, and what people should know; a note is its code with numbers."""

    audio: Measured | None
    video: Measured | None
    duration_s: float
    notes: tuple[dict, ...] = field(default=())


def signature(head: bytes, size: int) -> Trouble | None:
    """Recognise by its first bytes (a kilobyte will do) what is never opened: nothing at all, archives, playlists.

    ffmpeg would follow a playlist to other files and servers. None for everything else.
    """
    if size == 0:
        return Trouble.EMPTY
    # PKWARE APPNOTE 4.3.7; RAR 5.0 technical note; 7zFormat.txt; RFC 1952 2.3.1; bzip2; xz file format 2.1.1.1
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"BZh")):
        return Trouble.ARCHIVE
    if head.startswith(b"\xfd7zXZ\x00"):
        return Trouble.ARCHIVE
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"#extm3u", b"ffconcat", b"[playlist]", b"v=0", b"rtsptext", b"[reference]", b"<asx")):
        return Trouble.PLAYLIST
    if text.startswith((b"<?xml", b"<mpd", b"<smil", b"<imf")) and any(
        word in text for word in (b"<mpd", b"<smil", b"compositionplaylist", b"smoothstreamingmedia")
    ):
        return Trouble.PLAYLIST
    return None


def is_unfinished_mp4(boxes: Iterable[bytes]) -> bool:
    """Tell from the types of a file's top-level boxes that a camera began an MP4 and never wrote its table (moov)."""
    found = list(boxes)
    return b"mdat" in found and b"moov" not in found


def is_damaged_mp4(boxes: Iterable[bytes]) -> bool:
    """Tell from the same that an MP4's table is there, of a file in which no track could be found."""
    found = list(boxes)
    return b"moov" in found and (b"mdat" in found or b"ftyp" in found)


def choose(streams: Iterable[StreamFacts]) -> tuple[StreamFacts | None, StreamFacts | None]:
    """Choose the sound and the picture: the first that the file calls its default, else the first sound, the largest
    picture. Cover art is no picture, and neither is a track whose codec nobody here knows."""
    usable = [one for one in streams if one.known_codec and not one.is_cover]
    sounds = [one for one in usable if one.medium is Medium.AUDIO]
    pictures = [one for one in usable if one.medium is Medium.VIDEO and min(one.width, one.height) >= MIN_SIDE]
    sound = next((one for one in sounds if one.is_default), next(iter(sounds), None))
    # Telephones mark every track as default, a second small picture (depth, thumbnail) too.
    defaults = [one for one in pictures if one.is_default] or pictures
    picture = max(defaults, key=lambda one: (one.width * one.height, -one.index), default=None)
    return sound, picture


def decide(facts: FileFacts, max_s: float) -> Accepted | Refusal:
    """Say what becomes of a file, or why nothing does; `max_s` is the longest lesson that is taken."""
    if facts.trouble is not None:
        return Refusal(facts.trouble)
    found = [one for one in (facts.audio, facts.video) if one is not None]
    if not found:
        unknown = any(not one.known_codec and not one.is_cover for one in facts.streams)
        return Refusal(Trouble.UNDECODABLE if unknown else Trouble.NO_SOUND_OR_PICTURE)
    audio = facts.audio if facts.audio and facts.audio.decoded else None
    video = facts.video if facts.video and facts.video.decoded else None
    if audio is None and video is None:
        return Refusal(Trouble.UNDECODABLE)
    if video is not None and video.width * video.height > MAX_PIXELS:
        return Refusal(Trouble.TOO_LARGE_PICTURE)
    length = _length_s(audio, video)
    if length > max_s:
        return Refusal(Trouble.TOO_LONG)
    # A single picture says nothing of how long it stands.
    if length < MIN_SECONDS or (audio is None and video is not None and video.frames < 2):
        return Refusal(Trouble.NO_SOUND_OR_PICTURE)
    return Accepted(audio, video, length, tuple(_notes(facts, audio, video, length)))


def _length_s(audio: Measured | None, video: Measured | None) -> float:
    tracks = [one for one in (audio, video) if one is not None]
    return max(one.end_s for one in tracks) - min(one.first_s for one in tracks)


def _notes(facts: FileFacts, audio: Measured | None, video: Measured | None, length_s: float) -> Iterable[dict]:
    declared = facts.declared_s
    if facts.begins_anew:
        yield {"code": Note.JOINED.value, "read_s": round(length_s, 1)}
    says = declared is not None and facts.demuxer.startswith(SAYS_LENGTH) and not facts.begins_anew
    if says and declared - length_s > max(CUT_OFF_S, CUT_OFF_SHARE * declared):
        yield {"code": Note.CUT_OFF.value, "read_s": round(length_s, 1), "declared_s": round(declared, 1)}
    sounds = [one for one in facts.streams if one.medium is Medium.AUDIO]
    if audio is not None and len(sounds) > 1:
        number = 1 + [one.index for one in sounds].index(audio.index)
        language = next(one.language for one in sounds if one.index == audio.index)
        note = {"code": Note.ONE_OF_SEVERAL_SOUNDS.value, "number": number, "count": len(sounds)}
        yield {**note, "language": language}
    pictures = [one for one in facts.streams if one.medium is Medium.VIDEO and not one.is_cover]
    if video is None and pictures:
        yield {"code": Note.PICTURE_LEFT_OUT.value, "codec": pictures[0].codec}
    if audio is None and sounds:
        yield {"code": Note.SOUND_LEFT_OUT.value, "codec": sounds[0].codec}
