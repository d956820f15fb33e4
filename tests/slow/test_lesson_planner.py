"""The planner with real ffmpeg on small made lessons: what it hears, sees and decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.lessonplan import Content
from rules.pictureplan import Wanted
from tests.slow import lessonmedia
from workers import analysis, plan, planning, samples, trials

pytestmark = pytest.mark.slow


def laid_out(*sources: Path) -> plan.Timeline:
    """Lay sources out as the segments of a recording."""
    return planning.timeline({}, sources, [{"video_delay_s": 0.0, "duration_s": None} for _ in sources])


def quiet(done: float) -> None:
    """Check what is reported: a share."""
    assert 0.0 <= done <= 1.0


@pytest.fixture(scope="module")
def lesson(tmp_path_factory) -> Path:
    """Make nine seconds of a small moving picture with a tone."""
    folder = tmp_path_factory.mktemp("lesson")
    return lessonmedia.lesson(folder / "a.mp4", 9, size="320x240", fps=10)


def test_loudness_is_that_of_the_sound(tmp_path):
    """A sine of 1 kHz at -20 dBFS RMS is at about -20 LUFS; the silence after it is gated out."""
    source = lessonmedia.make(
        tmp_path / "tone.mka",
        *("-f", "lavfi", "-i", "aevalsrc=0.1414*sin(2*PI*1000*t)*lt(t\\,6):s=48000:d=9"),
        *("-c:a", "pcm_s16le"),
    )
    found = analysis.listen((source,), laid_out(source), quiet)
    assert found.loudness_lufs == pytest.approx(-20.0, abs=1.0)
    assert found.peak_dbfs == pytest.approx(-17.0, abs=0.5)


def test_flips_of_slides_are_seen_where_they_are(tmp_path):
    """Two colours in turn are cuts within a second of their change, between segments and in the second one too."""
    graph = "color=c=white:s=320x240:r=10:d=4[a];color=c=navy:s=320x240:r=10:d=4[b];[a][b]concat=n=2[out]"
    one = lessonmedia.make(tmp_path / "a.mp4", "-filter_complex", graph, "-map", "[out]", "-c:v", "libx264")
    sight = analysis.look((one, one), laid_out(one, one), tmp_path, quiet)
    assert sight.cuts_s == pytest.approx((4.0, 8.0, 12.0), abs=1.0)
    assert list(tmp_path.glob("*.grey")) == []


def test_a_plan_reaches_what_was_asked_for_and_stays_below_the_source(lesson, tmp_path):
    """The samples reach the quality; size, rate and frame rate are at most the source's."""
    line = laid_out(lesson)
    sight = analysis.look((lesson,), line, tmp_path, quiet)
    heard = analysis.listen((lesson,), line, quiet)
    made = trials.make_plan((lesson,), line, sight, heard, Wanted(vmaf=80.0), tmp_path, quiet)
    assert made.content in Content
    assert made.predicted_vmaf >= 80.0
    assert made.picture.height <= 240
    assert made.picture.fps <= 10.0
    assert made.voice is not None
    assert 0 < made.predicted_bytes < lesson.stat().st_size


def test_a_budget_is_kept(lesson, tmp_path):
    """What cannot be had at the quality wanted is made as good as the bytes allow, and that is said."""
    line = laid_out(lesson)
    sight = analysis.look((lesson,), line, tmp_path, quiet)
    wanted = Wanted(vmaf=95.0, budget_bytes=12_000, height=240)
    made = trials.make_plan((lesson,), line, sight, None, wanted, tmp_path, quiet)
    assert made.predicted_bytes <= 12_000
    assert "picture_in_budget" in [reason.code for reason in made.reasons]


def test_vmaf_of_a_copy_is_full(lesson, tmp_path):
    """A sample compared with itself has next to full marks, so frames are compared with their own."""
    line = laid_out(lesson)
    kept = line.width, line.height, line.fps
    copied = tmp_path / "copy.mkv"
    window = samples.Window(line.segments[0], 2.0)
    samples.copy((lesson,), [window, window], 2.0, samples.Picture(*kept), copied, lambda: None)
    assert samples.vmaf(copied, copied, 10.0, samples.Picture(320, 240, 10.0), tmp_path, lambda: None) > 97


def test_work_ends_when_its_caller_wants(lesson, tmp_path):
    """What a report raises ends the trials: a worker that is told to stop does."""

    class Stop(Exception):
        pass

    def stop(done: float) -> None:
        raise Stop

    line = laid_out(lesson)
    with pytest.raises(Stop):
        trials.make_plan((lesson,), line, analysis.Sight((), ()), None, Wanted(), tmp_path, stop)


def test_damage_is_no_end_of_the_lesson(tmp_path):
    """A segment that turns out to be no media leaves what the others show and say."""
    whole = lessonmedia.lesson(tmp_path / "a.mp4", 3, size="320x240", fps=10)
    line = laid_out(whole, whole)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 400)
    assert analysis.look((noise, whole), line, tmp_path, quiet).looks
    assert analysis.listen((noise, whole), line, quiet).loudness_lufs is not None
