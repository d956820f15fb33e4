"""The encoder with real ffmpeg: whatever shape the segments have, what comes out is whole, in time and in step."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from rules import pieces as cutting
from rules.lessonplan import PicturePlan, VoicePlan
from rules.pictureplan import CONTAINER_BPS
from rules.renditions import Kind, planned_kinds
from rules.renditions import picture as picture_to_make
from tests.slow import lessonmedia
from workers import child, encoder, joining, plan, planning, planoptions, probe
from workers.analysis import Sight
from workers.renditions import VOICE_OF

pytestmark = pytest.mark.slow


# Sound as it comes: the marks of these tests are pure tones.
AS_IT_IS = VoicePlan(16_000, 48_000, 60, 0.0, -1.5, 0, 0.0, -80.0, True)


def facts(*sources: Path, video_delay_s: float = 0.0) -> list[dict]:
    """Describe sources as a recording's segments."""
    return [{"video_delay_s": video_delay_s, "duration_s": None} for _ in sources]


def encode(
    folder: Path, kind: Kind, *sources: Path, video_delay_s: float = 0.0, every_s: float | None = None
) -> tuple[Path, plan.Timeline]:
    """Make one kind of file, assert that verification has nothing against it, and return it with its timeline.

    With every_s a picture is cut that often, else as usual, which leaves these short ones whole.
    """
    segments = facts(*sources, video_delay_s=video_delay_s)
    if kind in (Kind.VOICE_OPUS, Kind.VOICE_AAC):
        line = planning.timeline({}, sources, segments)
        job = encoder.SoundJob(
            kind, sources, line, AS_IT_IS, folder / f"{kind.value}.{'ogg' if kind is Kind.VOICE_OPUS else 'mp4'}"
        )
        encoder.run(job, plan.time_limit_s(kind, line.duration_s), lambda made_s: None)
        assert plan.faults(probe.decode(job.target), line, None) == []
        return job.target, line
    line = planning.timeline({}, sources, segments)
    made = planning.cut(sources, line, Sight((), ()))
    picture = picture_to_make(Kind.VIDEO_COMPAT, line.width, line.height, line.fps)
    if kind is Kind.VIDEO_COMPAT:
        options = encoder.preset_options(kind, picture)
    else:
        options = planoptions.picture_options(PicturePlan(picture.width, picture.height, picture.fps, 50, 10, 0, 10), 1)
    bounds = [every_s * n for n in range(1, int(line.duration_s / every_s) + 1)] if every_s else made["bounds_s"]
    parts = []
    for stretch in cutting.stretches(line.duration_s, picture.fps, bounds):
        job = encoder.StretchJob(
            sources,
            line,
            picture,
            cutting.spans([one.duration_s for one in line.segments], picture.fps, stretch),
            options,
            dict(enumerate(made["entries_s"])),
            folder / f"{kind.value}-{stretch.first}.mp4",
        )
        encoder.run(job, 300, lambda made_s: None)
        assert plan.stretch_faults(probe.decode(job.target), picture, stretch.count) == []
        parts.append(joining.Part(job.target, stretch.first, stretch.count))
    sound = encode(folder, VOICE_OF[kind], *sources, video_delay_s=video_delay_s)[0] if line.has_audio else None
    target = folder / f"{kind.value}.mp4"
    joining.join(parts, sound, target, plan.rate_of(picture.fps), lambda done: None)
    frames = cutting.frame_count(line.duration_s, picture.fps)
    assert plan.joined_faults(probe.decode(target), line, picture, frames) == []
    return target, line


def test_every_kind_is_smaller_than_the_source_and_holds_its_whole_length(tmp_path):
    """All sound and picture files of a plain lesson pass their own verification, voice being the smallest."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 6)
    made = [encode(tmp_path, kind, source) for kind in planned_kinds(True) if kind is not Kind.PACK]
    assert all(abs(line.duration_s - 6) < 0.1 for _, line in made)
    sizes = [path.stat().st_size for path, _ in made]
    assert sizes[0] == min(sizes)
    assert max(sizes) < source.stat().st_size


def test_a_picture_made_in_pieces_shows_every_moment_where_it_belongs(tmp_path):
    """Cut every 1.3 s, a film has all its frames, and each shows what the whole film shows there."""
    black, bar = "color=black:size=320x180:rate=25:duration=9", "color=white:size=16x32:rate=25:duration=9"
    source = lessonmedia.make(
        tmp_path / "a.mp4",
        *("-f", "lavfi", "-i", black, "-f", "lavfi", "-i", bar, "-f", "lavfi", "-i", "sine=duration=9"),
        *("-filter_complex", "[0][1]overlay=x=n:y=0", "-c:v", "libx264", "-preset", "ultrafast", "-g", "60"),
        *("-pix_fmt", "yuv420p", "-c:a", "libopus", *lessonmedia.FRAGMENTED),
    )
    for kind in (Kind.VIDEO_COMPAT, Kind.VIDEO_SMALL):
        whole, _ = encode(tmp_path, kind, source)
        shown = frame_marks(whole)
        pieced, _ = encode(tmp_path, kind, source, every_s=1.3)
        assert len(shown) == len(frame_marks(pieced))
        assert max(abs(a - b) for a, b in zip(shown, frame_marks(pieced), strict=True)) <= 2
        assert max(abs(mark - 2 * n) for n, mark in enumerate(shown)) <= 2


def frame_marks(path: Path) -> list[int]:
    """Read off every frame where the white bar at its top begins: the number of the source's frame."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            stride = frame.planes[0].line_size
            row = bytes(frame.planes[0])[8 * stride : 8 * stride + frame.width]
            found.append(next(x for x, luma in enumerate(row) if luma > 128))
    return found


def test_pieces_of_gaps_late_pictures_and_ends_are_whole(tmp_path):
    """Pieces that begin in black, in a pause of the picture, or after its end hold what stands there."""
    late = lessonmedia.lesson(tmp_path / "late.mp4", 4, mark_s=1)
    still = lessonmedia.make(
        tmp_path / "still.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=15:duration=3", "-f", "lavfi", "-i", "sine=duration=9"),
        *("-vf", "select='lt(t,1)+gt(t,2.5)'", "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-pix_fmt", "yuv420p", "-c:a", "libopus", *lessonmedia.FRAGMENTED),
    )
    made, line = encode(tmp_path, Kind.VIDEO_COMPAT, still, late, every_s=0.7)
    assert line.duration_s == pytest.approx(13, abs=0.3)
    assert lessonmedia.mark_times(made)[1] == pytest.approx(10.0, abs=0.15)


def test_an_mp4s_tables_take_what_the_plan_counts_for_them(tmp_path):
    """Beside its packets and two kilobytes of head, a small video of 10 pictures a second has no more than that."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 20, size="320x180", fps=10)
    made, line = encode(tmp_path, Kind.VIDEO_SMALL, source)
    with av.open(str(made)) as container:
        packets = sum(packet.size for packet in container.demux())
    tables_bps = (made.stat().st_size - packets - 2_000) * 8 / line.duration_s
    assert tables_bps < 1.1 * CONTAINER_BPS


def test_odd_sizes_become_even(tmp_path):
    """A window of 641 by 481 pixels gives a picture that H.264 and AV1 take."""
    source = lessonmedia.lesson(tmp_path / "a.webm", 3, size="641x481", video="libvpx")
    for kind in (Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT):
        made, _ = encode(tmp_path, kind, source)
        facts = probe.decode(made)
        assert (facts.width, facts.height) == (480, 360)


def test_eight_kilohertz_mono_gives_whole_voice_files(tmp_path):
    """Telephone sound without a picture gives both voice files in full length."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 4, sample_rate_hz=8000, with_video=False)
    for kind in (Kind.VOICE_OPUS, Kind.VOICE_AAC):
        _, line = encode(tmp_path, kind, source)
        assert abs(line.duration_s - 4) < 0.1


def test_silent_pauses_keep_sound_and_picture_together(tmp_path):
    """Where packets of sound are missing, silence is put in, so that what comes later is heard when it is seen."""
    whole = lessonmedia.lesson(tmp_path / "whole.mp4", 8, mark_s=6)
    source = lessonmedia.drop_sound(whole, tmp_path / "gaps.mp4", 1.0, 4.5)
    for kind in (Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT):
        made, _ = encode(tmp_path, kind, source)
        heard, seen = lessonmedia.mark_times(made)
        assert heard == pytest.approx(6.0, abs=0.12)
        assert seen == pytest.approx(6.0, abs=0.12)


def test_the_measured_delay_of_the_picture_is_applied(tmp_path):
    """A picture that the host's clock puts 0.4 s later is shown 0.4 s later, and nothing of the lesson is cut off."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 6, mark_s=3)
    made, line = encode(tmp_path, Kind.VIDEO_COMPAT, source, video_delay_s=0.4)
    heard, seen = lessonmedia.mark_times(made)
    assert seen - heard == pytest.approx(0.4, abs=0.12)
    assert line.duration_s == pytest.approx(6.4, abs=0.1)


def test_a_reconnect_with_another_size_codec_and_no_sound_continues_the_lesson(tmp_path):
    """Segments of other codecs, sizes, shapes and tracks become one film in which the second's mark comes in time."""
    first = lessonmedia.lesson(tmp_path / "1.mp4", 3, size="640x360")
    silent = lessonmedia.lesson(tmp_path / "2.webm", 3, size="320x240", video="libvpx", fps=15, with_audio=False)
    unseen = lessonmedia.lesson(tmp_path / "3.mp4", 3, with_video=False)
    last = lessonmedia.lesson(tmp_path / "4.mp4", 4, size="320x180", mark_s=2)
    _, line = encode(tmp_path, Kind.VIDEO_COMPAT, first, silent, unseen, last)
    assert line.duration_s == pytest.approx(13, abs=0.3)
    assert (line.width, line.height) == (640, 360)
    encode(tmp_path, Kind.VIDEO_SMALL, first, silent, unseen, last)
    encode(tmp_path, Kind.VOICE_OPUS, first, silent, unseen, last)
    with_mark, _ = encode(tmp_path, Kind.VIDEO_COMPAT, unseen, last)
    heard, seen = lessonmedia.mark_times(with_mark)
    assert heard < 1.0  # the tone of the part without a picture
    assert seen == pytest.approx(5.0, abs=0.15)


def test_a_change_of_size_in_mid_stream_is_scaled_and_keeps_time(tmp_path):
    """A browser that halves its picture on a slow link changes nothing in the length or the place of what follows."""
    large = lessonmedia.lesson(tmp_path / "large.webm", 3, size="640x360", video="libvpx")
    small = lessonmedia.lesson(tmp_path / "small.webm", 4, size="320x180", video="libvpx", mark_s=2)
    both = tmp_path / "list.txt"
    both.write_text(f"file '{large}'\nfile '{small}'\n")
    source = lessonmedia.make(tmp_path / "both.webm", "-f", "concat", "-safe", "0", "-i", str(both), "-c", "copy")
    made, line = encode(tmp_path, Kind.VIDEO_COMPAT, source)
    assert line.duration_s == pytest.approx(7, abs=0.2)
    assert lessonmedia.mark_times(made)[1] == pytest.approx(5.0, abs=0.15)


def test_a_broken_tail_costs_the_tail_alone(tmp_path):
    """A segment cut off in the middle of a fragment gives the files of what came before the cut."""
    whole = lessonmedia.lesson(tmp_path / "whole.mp4", 8)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    _, line = encode(tmp_path, Kind.VIDEO_COMPAT, cut)
    assert 3 < line.duration_s < 8


def test_a_slow_and_uneven_picture_keeps_its_length(tmp_path):
    """A screen that sends a frame only when something moves gives a whole film at a steady rate."""
    source = lessonmedia.make(
        tmp_path / "screen.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=15:duration=9"),
        *("-vf", "select='lt(t,2)+gt(t,7)'", "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "ultrafast"),
        *lessonmedia.FRAGMENTED,
    )
    made, line = encode(tmp_path, Kind.VIDEO_COMPAT, source)
    assert line.fps == 15
    assert line.duration_s == pytest.approx(9, abs=0.2)
    assert probe.decode(made).frames == pytest.approx(135, abs=3)


def test_noise_instead_of_a_film_is_told_apart(tmp_path):
    """A file that is no media has neither sound nor picture, and says so without an exception."""
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 400)
    assert probe.tracks(noise) == (None, None)
    assert probe.decode(noise).errors == 1


def test_an_encode_over_its_time_limit_is_ended_with_the_reason(tmp_path):
    """ffmpeg that does not finish in time is killed, and the reason is a timeout."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 30)
    line = planning.timeline({}, [source], facts(source))
    job = encoder.SoundJob(Kind.VOICE_OPUS, (source,), line, AS_IT_IS, tmp_path / "o.ogg")
    with pytest.raises(child.ChildFailed) as failure:
        encoder.run(job, 0.0, lambda made_s: None)
    assert failure.value.code == "timeout"


def test_a_source_that_vanished_is_an_orderly_failure(tmp_path):
    """When ffmpeg cannot read its input the encode fails as damaged, with ffmpeg's own words for the log."""
    source = lessonmedia.lesson(tmp_path / "a.mp4", 1)
    line = planning.timeline({}, [source], facts(source))
    job = encoder.SoundJob(Kind.VOICE_AAC, (source,), line, AS_IT_IS, tmp_path / "o.m4a")
    source.unlink()
    with pytest.raises(child.ChildFailed) as failure:
        encoder.run(job, 60, lambda made_s: None)
    assert failure.value.code == "damaged"
    assert "No such file" in failure.value.tail


def test_the_rate_of_a_film_with_b_frames_is_what_a_viewer_sees(tmp_path):
    """Frames that are stored out of order are all counted, so the picture is not thinned out more than it must be."""
    source = lessonmedia.make(
        tmp_path / "b.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-c:v", "libx264", "-bf", "3"),
    )
    made, line = encode(tmp_path, Kind.VIDEO_COMPAT, source)
    assert line.fps == 25
    assert probe.decode(made).frames == pytest.approx(50, abs=2)
