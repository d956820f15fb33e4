"""What becomes of an uploaded file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules import intake
from rules.intake import Accepted, FileFacts, Measured, Medium, Refusal, StreamFacts, Trouble

HOUR_S = 3600.0
SOUND = StreamFacts(1, Medium.AUDIO, "aac", known_codec=True)
PICTURE = StreamFacts(0, Medium.VIDEO, "h264", known_codec=True, width=1920, height=1080)
HEARD = Measured(1, "aac", 0.0, 60.0, 2600, decoded=True)
SEEN = Measured(0, "h264", 0.0, 60.0, 1500, decoded=True, width=1920, height=1080, active_fps=25.0)
FILM = FileFacts(demuxer="mov,mp4", declared_s=60.0, streams=(PICTURE, SOUND), audio=HEARD, video=SEEN)


@pytest.mark.parametrize(
    ("head", "trouble"),
    [
        (b"PK\x03\x04...", Trouble.ARCHIVE),
        (b"Rar!\x1a\x07\x01\x00", Trouble.ARCHIVE),
        (b"\x1f\x8b\x08", Trouble.ARCHIVE),
        (b"#EXTM3U\n", Trouble.PLAYLIST),
        (b"\xef\xbb\xbf\r\n #extm3u", Trouble.PLAYLIST),
        (b"v=0\r\no=- 0 0", Trouble.PLAYLIST),
        (b"ffconcat version 1.0\n", Trouble.PLAYLIST),
        (b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash">', Trouble.PLAYLIST),
        (b"\x00\x00\x00\x20ftypisom", None),
        (b"\x1aE\xdf\xa3", None),
        ("Просто текст".encode(), None),
    ],
)
def test_what_is_never_opened_is_known_by_its_first_bytes(head: bytes, trouble: Trouble | None) -> None:
    """Archives and lists of other files are refused before any reader sees them."""
    assert intake.signature(head, len(head)) is trouble


def test_an_empty_file_is_its_own_trouble() -> None:
    """Nothing came."""
    assert intake.signature(b"", 0) is Trouble.EMPTY


def test_a_camera_that_was_switched_off_is_known_by_its_boxes() -> None:
    """Pictures without a table, and nothing else, is an MP4 that was never finished."""
    assert intake.is_unfinished_mp4([b"ftyp", b"free", b"mdat"])
    assert not intake.is_unfinished_mp4([b"ftyp", b"mdat", b"moov"])
    assert not intake.is_unfinished_mp4([b"\0\0\0\0"])


def test_a_damaged_table_is_not_a_missing_one() -> None:
    """What has a table is an MP4 whatever stands in it; a text is none."""
    assert intake.is_damaged_mp4([b"ftyp", b"moov", b"mdat"])
    assert not intake.is_damaged_mp4([b"ftyp", b"mdat"])
    assert not intake.is_damaged_mp4([b"moov"])


def test_the_default_sound_and_the_largest_picture_are_chosen() -> None:
    """Cover art and what nobody can decode do not count."""
    russian = replace(SOUND, index=2, is_default=True, language="rus")
    cover = replace(PICTURE, index=3, width=4000, height=4000, is_cover=True)
    unknown = replace(PICTURE, index=4, width=3000, height=3000, known_codec=False)
    assert intake.choose([cover, unknown, PICTURE, SOUND, russian]) == (russian, PICTURE)
    assert intake.choose([SOUND, replace(SOUND, index=5)]) == (SOUND, None)
    assert intake.choose([cover]) == (None, None)


def test_a_film_becomes_a_lesson() -> None:
    """Both tracks, their length, nothing to say."""
    assert intake.decide(FILM, HOUR_S) == Accepted(HEARD, SEEN, 60.0, ())


@pytest.mark.parametrize(
    ("facts", "trouble"),
    [
        (FileFacts(Trouble.NOT_MEDIA), Trouble.NOT_MEDIA),
        (FileFacts(demuxer="mov"), Trouble.NO_SOUND_OR_PICTURE),
        (FileFacts(demuxer="mov", streams=(replace(SOUND, known_codec=False),)), Trouble.UNDECODABLE),
        (replace(FILM, audio=replace(HEARD, decoded=False), video=None), Trouble.UNDECODABLE),
        (replace(FILM, video=replace(SEEN, width=16000, height=9000)), Trouble.TOO_LARGE_PICTURE),
        (replace(FILM, audio=replace(HEARD, end_s=HOUR_S + 1)), Trouble.TOO_LONG),
        (replace(FILM, audio=None, video=replace(SEEN, end_s=0.1)), Trouble.NO_SOUND_OR_PICTURE),
        (replace(FILM, audio=None, video=replace(SEEN, frames=1)), Trouble.NO_SOUND_OR_PICTURE),
    ],
)
def test_what_cannot_be_a_lesson_is_refused_with_its_reason(facts: FileFacts, trouble: Trouble) -> None:
    """Each reason has words of its own."""
    assert intake.decide(facts, HOUR_S) == Refusal(trouble)


def test_what_people_should_know_is_said() -> None:
    """A file that is cut off, and a track that had to be left out, are told with their figures."""
    cut = intake.decide(replace(FILM, declared_s=300.0), HOUR_S)
    assert cut.notes == ({"code": "cut_off", "read_s": 60.0, "declared_s": 300.0},)
    # A sound file's header guesses its length from the rate of the beginning.
    assert intake.decide(replace(FILM, demuxer="mp3", declared_s=300.0), HOUR_S).notes == ()
    blind = intake.decide(replace(FILM, video=replace(SEEN, decoded=False)), HOUR_S)
    assert (blind.video, blind.notes) == (None, ({"code": "picture_left_out", "codec": "h264"},))
    deaf = intake.decide(replace(FILM, audio=None), HOUR_S)
    assert deaf.notes == ({"code": "sound_left_out", "codec": "aac"},)
    # Joined files declare the length of all their parts, and are not cut off.
    joined = intake.decide(replace(FILM, declared_s=300.0, begins_anew=True), HOUR_S)
    assert joined.notes == ({"code": "joined", "read_s": 60.0},)
