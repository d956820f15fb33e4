"""Whatever people send becomes a published lesson, or is refused with a reason while the original stays."""

from __future__ import annotations

import hashlib
import itertools
import socket
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import av
import pytest

from rules.lifecycle import UploadState
from store import uploads
from store.database import utc_now
from store.models import Person, Recording, Rendition, School, Session, Upload, db
from store.uploads import Announced
from tests.slow.inputzoo import ZOO
from tests.slow.workstage import WorkStage
from workers import examine, probe

pytestmark = pytest.mark.slow

# For everything together: the voices of all files come before the first picture.
PATIENCE_S = 1800
PUBLISHED = [name for name, beast in ZOO.items() if not beast.refusal]
REFUSED = [name for name, beast in ZOO.items() if beast.refusal]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file, read once everything was over."""

    upload: Upload
    recording: Recording | None
    session: Session | None
    files: dict[str, Rendition]


def free_port() -> int:
    """Find a free loopback port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def send(stage: WorkStage, path: Path, name: str, session_id: str | None = None, title: str = "Урок") -> str:
    """Lay a file where the web process leaves an upload that has come whole; returns the upload's id."""
    now = utc_now()
    with stage.rows():
        person, school = db.session.query(Person).first(), db.session.query(School).first()
        file = Announced(person.id, school.id, session_id, name, path.stat().st_size, title)
        upload_id = uploads.announce(file, now, timedelta(days=7), 1000).id
        kept = uploads.part_path(stage.settings, upload_id)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(path.read_bytes())
        uploads.mark_received(upload_id, hashlib.sha256(kept.read_bytes()).hexdigest(), now)
    return upload_id


def over(stage: WorkStage, upload_id: str) -> bool:
    """Tell whether an upload is refused, or its recording has all its files."""
    with stage.rows():
        row = uploads.find(upload_id)
        if row.state == UploadState.TAKEN:
            return db.session.get_one(Recording, row.recording_id).state in ("published", "failed")
        return row.state == UploadState.REFUSED


def outcome(stage: WorkStage, upload_id: str) -> Outcome:
    """Read what became of an upload."""
    with stage.rows():
        row = uploads.find(upload_id)
        recording = db.session.get(Recording, row.recording_id) if row.recording_id else None
        files = {one.kind: one for one in recording.renditions} if recording else {}
        found = Outcome(row, recording, recording.session if recording else None, files)
        db.session.expunge_all()
        return found


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every file of the zoo."""
    folder = tmp_path_factory.mktemp("zoo")
    made = {name: folder / f"{name}.part" for name in ZOO}
    for name, path in made.items():
        beast = path.with_suffix(".mp4") if name == "photo" else path
        (folder / name).mkdir()
        target = folder / name / ("frame.png" if name == "photo" else "file.bin")
        ZOO[name].build(target)
        target.rename(path)
        assert beast.parent == folder
    return made


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory, originals: dict[str, Path]) -> Iterator[tuple[WorkStage, dict]]:
    """A stage on which the whole zoo was sent at once and everything is over."""
    with WorkStage(tmp_path_factory.mktemp("stage"), free_port()) as stage:
        ids = {name: send(stage, path, ZOO[name].name, title=ZOO[name].name) for name, path in originals.items()}
        twice = {
            "again": send(stage, originals["odd_name"], "ещё раз.mp4"),
            "lesson": send(stage, originals["odd_name"], "к уроку.mp4", stage.session_id),
        }
        stage.start_beat()
        stage.start_worker()
        for name, upload_id in (ids | twice).items():
            stage.wait(lambda upload_id=upload_id: over(stage, upload_id), f"{name} is over", PATIENCE_S)
        yield stage, {name: outcome(stage, upload_id) for name, upload_id in (ids | twice).items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_becomes_a_published_lesson(sent, name: str) -> None:
    """Every planned file is there, whole, as long as the lesson, with the tracks that the original has."""
    stage, outcomes = sent
    got, beast = outcomes[name], ZOO[name]
    assert (got.upload.state, got.upload.failure) == ("taken", "")
    assert got.recording.state == "published"
    assert {row.state for row in got.files.values()} == {"published"}
    voices, videos = {"voice_opus", "voice_aac"}, {"video_small", "video_compat"}
    expected = (voices if beast.has_audio else set()) | (videos if beast.has_video else set())
    assert expected <= set(got.files)
    assert not (voices | videos) - expected & set(got.files)
    for kind in expected:
        made = probe.decode(stage.data / "files" / got.files[kind].key)
        assert made.errors == 0
        for length in (made.audio_s, made.video_s if kind in videos else None):
            if length is not None and beast.seconds is not None:
                assert length == pytest.approx(beast.seconds, abs=0.6)
    assert [note["code"] for note in got.recording.notes] == list(beast.notes)
    assert (got.session.state, got.session.title) == ("ended", beast.name)
    assert not uploads.part_path(stage.settings, got.upload.id).exists()


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_kept(sent, originals, name: str) -> None:
    """The reason is a code that the pages have words for; every byte is still there."""
    stage, outcomes = sent
    got = outcomes[name]
    assert (got.upload.state, got.upload.failure) == ("refused", ZOO[name].refusal)
    assert got.recording is None
    kept = uploads.part_path(stage.settings, got.upload.id)
    assert (kept.read_bytes() if ZOO[name].refusal != "empty" else b"") == originals[name].read_bytes()
    assert got.upload.expires_at > utc_now() + timedelta(days=29)


def test_a_lying_picture_is_put_upright(sent) -> None:
    """The telephone's picture is higher than wide, and what was its left half is one above the other."""
    stage, outcomes = sent
    for kind in ("video_small", "video_compat"):
        row = outcomes["rotated"].files[kind]
        assert row.height > row.width
        above, below, left, right = brightness(stage.data / "files" / row.key)
        assert abs(above - below) > 150 > 20 > abs(left - right)


def brightness(path: Path) -> tuple[float, float, float, float]:
    """Return how bright the first picture is (0 to 255) in its upper, lower, left and right third."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0)).reformat(format="gray")
    plane, width, height = frame.planes[0], frame.width, frame.height
    rows = [bytes(plane)[at * plane.line_size :][:width] for at in range(height)]
    thirds = (
        b"".join(rows[: height // 3]),
        b"".join(rows[-height // 3 :]),
        b"".join(row[: width // 3] for row in rows),
        b"".join(row[-width // 3 :] for row in rows),
    )
    return tuple(sum(third) / len(third) for third in thirds)


def test_wide_pixels_become_square(sent) -> None:
    """A tape camera's 720 by 576 with pixels of 64:45 is a picture of 16:9."""
    _stage, outcomes = sent
    row = outcomes["camcorder"].files["video_small"]
    assert row.width / row.height == pytest.approx(16 / 9, rel=0.02)


def loudest_hz(path: Path) -> tuple[float, float]:
    """Return the level (0 to 1) of a sound and its pitch by its zero crossings."""
    plain = av.AudioResampler(format="flt", layout="mono", rate=48000)
    with av.open(str(path)) as container:
        samples = array("f")
        for frame in container.decode(audio=0):
            for made in plain.resample(frame):
                samples.frombytes(bytes(made.planes[0])[: 4 * made.samples])
    middle = samples[12000:-12000]
    crossings = sum(1 for one, other in itertools.pairwise(middle) if (one < 0) != (other < 0))
    return max(abs(one) for one in middle), crossings / 2 / (len(middle) / 48000)


def test_the_centre_of_six_channels_is_heard(sent) -> None:
    """Downmixing keeps the voice."""
    stage, outcomes = sent
    level, pitch_hz = loudest_hz(stage.data / "files" / outcomes["surround"].files["voice_opus"].key)
    assert level > 0.02
    assert pitch_hz == pytest.approx(440, rel=0.05)


def test_the_default_of_two_sounds_is_taken_and_named(sent) -> None:
    """It is the second one, in Russian, and the recording says so."""
    stage, outcomes = sent
    got = outcomes["two_sounds"]
    assert got.recording.notes == [{"code": "one_of_several_sounds", "number": 2, "count": 2, "language": "rus"}]
    _level, pitch_hz = loudest_hz(stage.data / "files" / got.files["voice_opus"].key)
    assert pitch_hz == pytest.approx(880, rel=0.05)


def test_what_is_left_of_a_truncated_file_is_published_and_said(sent) -> None:
    """About half of it, with both lengths."""
    _stage, outcomes = sent
    got = outcomes["truncated"]
    (note,) = got.recording.notes
    assert note["declared_s"] == pytest.approx(12, abs=0.2)
    assert 2 < note["read_s"] < 10
    assert got.recording.duration_s == pytest.approx(note["read_s"], abs=0.2)


def test_only_the_first_of_joined_recordings_is_heard(sent) -> None:
    """The second one, whose times lie over the first one's, is not mixed into it."""
    stage, outcomes = sent
    got = outcomes["joined"]
    assert got.recording.notes[0]["read_s"] == pytest.approx(6.0, abs=0.2)
    _level, pitch_hz = loudest_hz(stage.data / "files" / got.files["voice_opus"].key)
    assert pitch_hz == pytest.approx(440, rel=0.05)


def test_the_same_file_twice_is_one_recording(sent) -> None:
    """The second upload of the same bytes is taken too, and leads to the recording that there is."""
    _stage, outcomes = sent
    first, again = outcomes["odd_name"], outcomes["again"]
    assert again.upload.state == "taken"
    assert again.upload.recording_id == first.upload.recording_id


def test_the_same_file_for_a_lesson_that_was_booked_is_that_lessons(sent) -> None:
    """A file that names its lesson becomes a recording of it, whatever was made of the same bytes elsewhere."""
    stage, outcomes = sent
    assert outcomes["lesson"].recording.session_id == stage.session_id
    assert outcomes["lesson"].recording.id != outcomes["odd_name"].recording.id


def test_a_reader_that_needs_too_much_is_ended(tmp_path, originals, monkeypatch) -> None:
    """A file that would take more memory than the reader has is refused, and the worker lives."""
    monkeypatch.setattr(examine, "MEMORY_BYTES", 60_000_000)
    assert examine.examine(originals["rotated"], 3600).trouble == "too_costly"
