"""The plan of an encode: where tracks stand, which filters follow, what is wrong with a result."""

import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.renditions import Kind, Picture
from workers import plan
from workers.plan import MadeFacts, SegmentFacts, SegmentPlan, TrackFacts


def sound(first_s=0.0, end_s=10.0):
    """Facts of a sound track."""
    return TrackFacts("opus", first_s, end_s, 500)


def picture(first_s=0.0, end_s=10.0, width=640, height=360, fps=25.0):
    """Facts of a picture track."""
    return TrackFacts("h264", first_s, end_s, 250, width, height, fps)


def test_a_segment_starts_with_whatever_comes_first_and_lasts_until_the_last():
    """Sound from 1 s and a picture until 12 s make 11 seconds that start at the sound."""
    line = plan.timeline((SegmentFacts(sound(1.0, 10.0), picture(1.5, 12.0)),))
    assert line.duration_s == pytest.approx(11.0)
    assert line.segments[0].audio_offset_s == 0.0
    assert line.segments[0].video_offset_s == pytest.approx(0.5)


def test_a_delayed_picture_moves_and_an_early_one_makes_the_sound_wait():
    """The measured delay is added to the picture's times; below zero it is the sound that comes later."""
    late = plan.timeline((SegmentFacts(sound(), picture(), 0.4),)).segments[0]
    assert (late.audio_offset_s, late.video_offset_s) == (0.0, pytest.approx(0.4))
    early = plan.timeline((SegmentFacts(sound(), picture(), -0.4),)).segments[0]
    assert (early.audio_offset_s, early.video_offset_s) == (pytest.approx(0.4), 0.0)
    assert early.duration_s == pytest.approx(10.4)


def test_segments_without_any_track_are_left_out_and_the_others_keep_their_numbers():
    """A broken file in the middle costs itself; the sources are still addressed by their own index."""
    line = plan.timeline((SegmentFacts(sound(), None), SegmentFacts(None, None), SegmentFacts(sound(), picture())))
    assert [one.index for one in line.segments] == [0, 2]
    assert line.duration_s == pytest.approx(20.0)


def test_a_recording_without_any_track_cannot_be_planned():
    """Nothing to hear or see is an error, not an empty film."""
    with pytest.raises(ValueError, match="no segment"):
        plan.timeline((SegmentFacts(None, None),))


def test_the_picture_is_that_of_the_segment_with_the_most_pixels():
    """A host who comes back with a smaller camera does not shrink the whole film."""
    line = plan.timeline((SegmentFacts(None, picture(width=320, height=240)), SegmentFacts(None, picture(fps=14.6))))
    assert (line.width, line.height, line.fps) == (640, 360, 25.0)


def test_damaged_time_stamps_do_not_make_a_film_of_hours():
    """What the recorder did not measure is cut off, with a few seconds of mercy."""
    line = plan.timeline((SegmentFacts(sound(), picture(end_s=90_000.0), 0.0, 10.0),))
    assert line.duration_s == pytest.approx(10.0 + plan.OVERRUN_S)


@pytest.mark.parametrize(
    ("measured", "meant"), [(24.7, 25), (29.97, 30), (12.4, 12), (7.2, 7), (0.2, 1), (900.0, 60), (14.5, 15)]
)
def test_measured_rates_are_taken_for_what_was_meant(measured, meant):
    """Averages near a usual frame rate become it; others are rounded into 1 to 60."""
    assert plan.usual_fps(measured) == meant


def options(filters, name):
    """Return the options of the first filter of that name."""
    return dict(next(one.options for one in filters if one.name == name))


def test_sound_is_filled_with_silence_and_brought_to_its_full_length():
    """The chain fills gaps by time stamps from 0 on, pads, and cuts at the segment's length."""
    chain = plan.audio_filters(SegmentPlan(0, 7.5, 2.0, 0.5, None, 0.0), 48_000)
    assert options(chain, "asetpts")["expr"] == "PTS-(2.000000)/TB"
    assert options(chain, "aresample")["first_pts"] == "0"
    assert options(chain, "apad")["whole_dur"] == options(chain, "atrim")["end"] == "7.500000"


def stretch(segment, at_s, count):
    """The filters of a stretch at 12.5 frames a second."""
    return plan.stretch_filters(segment, Picture(640, 360, 12.5), at_s, count)


def test_a_picture_that_comes_late_is_preceded_by_black_and_a_prompt_one_is_not():
    """Ten seconds without a camera are black; a third of a second shows the first picture."""
    segment = SegmentPlan(0, 30.0, 0.0, 0.0, 10.0, 0.0)
    assert options(stretch(segment, 0.0, 375), "tpad") == {"start": "125", "start_mode": "add", "color": "black"}
    assert options(stretch(segment, 8.0, 250), "tpad") == {"start": "25", "start_mode": "add", "color": "black"}
    assert plan.is_black(segment, Picture(640, 360, 12.5), 0.0, 100)
    assert not plan.is_black(segment, Picture(640, 360, 12.5), 8.0, 26)
    prompt = stretch(SegmentPlan(0, 30.0, 0.0, 0.0, 0.3, 0.0), 0.0, 375)
    assert options(prompt, "fps")["start_time"] == "0"
    assert options(prompt, "tpad")["stop_mode"] == "clone"


def test_scaling_comes_before_everything_that_makes_frames_and_after_most_are_dropped():
    """A change of size in mid-stream must be gone before frames are added; what the rate drops need not be scaled."""
    chain = plan.stretch_filters(SegmentPlan(0, 5.0, 0.0, None, 0.0, 0.25), Picture(480, 360, 15.0), 2.0, 30)
    assert [one.name for one in chain][:4] == ["setpts", "fps", "scale", "pad"]
    assert options(chain, "setpts")["expr"] == "PTS-(1.750000)/TB"
    assert options(chain, "trim") == {"start_frame": "0", "end_frame": "30"}


def test_a_stretch_after_the_last_picture_shows_that_picture():
    """What has ended is taken from where it stood last, and the frames before the stretch are dropped."""
    segment = SegmentPlan(0, 30.0, 0.0, 0.0, 0.0, 0.0, last_picture_s=20.0)
    chain = stretch(segment, 24.0, 25)
    assert options(chain, "trim") == {"start_frame": "51", "end_frame": "76"}
    assert plan.entry_s(segment, [0.0, 8.0, 16.0, 28.0], 24.0) == pytest.approx(15.9)


def test_a_source_is_entered_at_the_keyframe_before_and_else_at_its_beginning():
    """Moments are given back on the file's own clock, a little early."""
    segment = SegmentPlan(0, 30.0, 2.0, 0.0, 0.0, 0.5, last_picture_s=29.0)
    assert plan.entry_s(segment, [0.0, 8.0, 16.0], 12.0) == pytest.approx(8.0 + 2.0 - 0.5 - 0.1)
    assert plan.entry_s(segment, [5.0], 3.0) is None
    assert plan.entry_s(segment, [], 3.0) is None


def test_a_timeline_is_read_back_as_it_was_kept():
    """It goes through JSON unchanged; what another version kept is refused."""
    kept = json.loads(json.dumps(plan.to_json(line())))
    assert plan.from_json(kept) == line()
    with pytest.raises(ValueError, match="no timeline"):
        plan.from_json({**kept, "another": 1})


def test_rates_are_written_as_small_fractions():
    """12.5 frames a second are 25/2, and a rate of 29.97 stays exact enough to count an hour's frames."""
    assert plan.rate_of(12.5) == Fraction(25, 2)
    assert abs(float(plan.rate_of(30000 / 1001)) - 30000 / 1001) < 1e-9


def line():
    """A timeline of ten seconds with sound and picture."""
    return plan.timeline((SegmentFacts(sound(), picture()),))


GOOD = MadeFacts(10.02, 10.0, 125, 640, 360, 0)
WANTED = Picture(640, 360, 12.5)


def test_a_whole_file_has_no_faults():
    """A file of the right length, size and number of frames may be published, and voice without a picture too."""
    assert plan.faults(GOOD, line(), WANTED) == []
    assert plan.faults(MadeFacts(9.9, None, 0, 0, 0, 0), line(), None) == []


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (MadeFacts(None, 10.0, 125, 640, 360, 0), "sound is missing"),
        (MadeFacts(10.0, None, 0, 0, 0, 0), "picture is missing"),
        (MadeFacts(9.0, 10.0, 125, 640, 360, 0), "sound is 9.00 s"),
        (MadeFacts(10.0, 10.7, 125, 640, 360, 0), "picture is 10.70 s"),
        (MadeFacts(10.0, 10.0, 90, 640, 360, 0), "90 frames"),
        (MadeFacts(10.0, 10.0, 125, 640, 358, 0), "640x358"),
        (MadeFacts(10.0, 10.0, 125, 640, 360, 3), "3 frames cannot be decoded"),
    ],
)
def test_each_fault_is_found_and_named(made, says):
    """Missing tracks, wrong lengths, lost frames, wrong sizes and broken frames keep a file from being published."""
    found = plan.faults(made, line(), WANTED)
    assert len(found) == 1
    assert says in found[0]


def test_old_players_are_promised_no_more_than_the_picture_needs():
    """360p at 15 frames a second is level 3.0; only wider pictures ask for more."""
    assert plan.h264_level(Picture(640, 360, 15.0)) == "3.0"
    assert plan.h264_level(Picture(1280, 360, 15.0)) == "3.1"
    assert plan.h264_level(Picture(2560, 360, 15.0)) == "4.0"


def test_time_limits_grow_with_the_lesson_and_pictures_get_more():
    """A short clip gets minutes, an hour of picture gets hours."""
    assert plan.time_limit_s(Kind.VOICE_OPUS, 0) >= 60
    assert plan.time_limit_s(Kind.VIDEO_SMALL, 3600) > plan.time_limit_s(Kind.VOICE_OPUS, 3600)
    assert plan.longest_s(3600) == plan.time_limit_s(Kind.VIDEO_SMALL, 3600)


def test_time_left_is_known_after_a_moment_and_not_before():
    """A quarter done in 10 s leaves 30; nothing is promised at the very start."""
    assert plan.eta_s(0.25, 10.0) == pytest.approx(30.0)
    assert plan.eta_s(0.0, 10.0) is None
    assert plan.eta_s(0.5, 0.1) is None
    assert plan.eta_s(1.2, 10.0) == 0.0


TIMES = st.floats(0, 1000, allow_nan=False)


@given(TIMES, TIMES, TIMES, TIMES, st.floats(-10, 10))
def test_no_track_ever_starts_before_its_segment(audio_at, audio_s, video_at, video_s, delay_s):
    """Whatever the times are, offsets are not negative and at least one of them is zero."""
    facts = SegmentFacts(sound(audio_at, audio_at + audio_s), picture(video_at, video_at + video_s + 0.04), delay_s)
    segment = plan.timeline((facts,)).segments[0]
    offsets = (segment.audio_offset_s, segment.video_offset_s)
    assert min(offsets) == 0.0
    assert segment.duration_s >= max(audio_s, video_s) - 1e-6
