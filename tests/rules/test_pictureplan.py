"""What is tried for a picture, where samples are taken, and what is told of it."""

import pytest

from rules.content import Look
from rules.lessonplan import Content
from rules.pictureplan import (
    CONTAINER_BPS,
    HEIGHTS,
    MAX_SAMPLES,
    SAMPLE_S,
    Shape,
    Wanted,
    aim_for,
    at,
    explain,
    file_bytes,
    fitted,
    judged_at,
    picture_rate,
    rate_for,
    sample_rate_bps,
    sample_starts,
    target_for,
    whole_vmaf,
)
from rules.qualitysearch import Found, Trial

HD = Shape(1280, 720, 25.0)


@pytest.mark.parametrize("content", list(Content))
@pytest.mark.parametrize("source_fps", [1.0, 5.0, 8.0, 10.0, 12.5, 15.0, 24.0, 25.0, 30.0, 50.0, 60.0])
def test_no_picture_is_faster_than_its_source(content: Content, source_fps: float) -> None:
    """The rate is at most the source's, and at least 10 where the source has them."""
    fps = rate_for(content, source_fps, Wanted())
    assert min(10.0, source_fps) <= fps <= source_fps


@pytest.mark.parametrize(("source_fps", "fps"), [(25.0, 12.5), (30.0, 15.0), (60.0, 15.0), (15.0, 15.0), (24.0, 12.0)])
def test_a_screen_gets_a_rate_that_divides_the_sources(source_fps: float, fps: float) -> None:
    """A cursor moves evenly."""
    assert rate_for(Content.SCREEN, source_fps, Wanted()) == fps


def test_a_rate_asked_for_is_kept_up_to_the_sources() -> None:
    """Whoever asks for 25 gets 25, and no more than there is."""
    assert rate_for(Content.CAMERA, 25.0, Wanted(fps=25.0)) == 25.0
    assert rate_for(Content.CAMERA, 15.0, Wanted(fps=25.0)) == 15.0


@pytest.mark.parametrize("source", [Shape(1280, 720, 25), Shape(640, 360, 15), Shape(320, 240, 10), Shape(160, 120, 5)])
def test_no_picture_is_larger_than_its_source(source: Shape) -> None:
    """Every height that is tried is at most the source's, and there always is one."""
    aim = aim_for(Content.CAMERA, source, Wanted())
    assert aim.heights
    assert aim.start_height in aim.heights
    assert all(height <= source.height for height in aim.heights)
    assert list(aim.heights) == sorted(aim.heights, reverse=True)


def test_an_odd_source_is_tried_at_its_own_height_too() -> None:
    """A source of 400 lines is not thrown down to 360 unseen; one of 366 nearly is 360."""
    assert aim_for(Content.CAMERA, Shape(712, 400, 25), Wanted()).heights[0] == 400
    assert aim_for(Content.CAMERA, Shape(650, 366, 25), Wanted()).heights[0] == 360
    assert aim_for(Content.CAMERA, Shape(640, 481, 25), Wanted()).heights[0] == 480


def test_a_height_may_be_bounded() -> None:
    """Nothing above what was asked for is tried."""
    assert aim_for(Content.CAMERA, HD, Wanted(max_height=360)).heights[0] == 360


def test_text_has_to_be_read() -> None:
    """Slides and screens get a better picture than cameras, and whoever asks gets what he asks for."""
    assert target_for(Content.SLIDES, Wanted()) > target_for(Content.CAMERA, Wanted()) >= 80
    assert target_for(Content.SLIDES, Wanted(vmaf=70.0)) == 70.0


def test_samples_are_asked_for_what_the_whole_needs() -> None:
    """Of people they may be a little worse than the whole, of a screen they have to be better."""
    people, screen = (aim_for(one, HD, Wanted(vmaf=80.0)).vmaf for one in (Content.CAMERA, Content.SCREEN))
    assert people < 80.0 < screen
    assert whole_vmaf(Content.CAMERA, people) == pytest.approx(80.0)
    assert whole_vmaf(Content.SCREEN, screen) == pytest.approx(80.0)
    assert whole_vmaf(Content.CAMERA, 99.9) == 100.0


@pytest.mark.parametrize(
    ("source", "size"),
    [
        (HD, (854, 480)),
        (Shape(1280, 960, 25.0), (854, 480)),
        (Shape(1080, 1920, 25.0), (480, 854)),
        (Shape(320, 240, 10.0), (320, 240)),
    ],
)
def test_results_are_judged_at_the_size_that_others_are_judged_at(source: Shape, size: tuple[int, int]) -> None:
    """That is 854x480, upright for what is upright, and a small source's own size."""
    judged = judged_at(source, 10.0)
    assert (judged.width, judged.height) == size


def test_an_upright_picture_keeps_its_lines() -> None:
    """480p of a phone held upright is 480 wide."""
    upright, lying = fitted(Shape(1080, 1920, 30), 480, 10), fitted(HD, 480, 10)
    assert (upright.width, upright.height) == (480, 854)
    assert (lying.width, lying.height) == (854, 480)


def test_sides_are_even_and_never_grow() -> None:
    """Encoders want even sides; a small source is left as it is."""
    picture = fitted(Shape(641, 361, 25), 480, 10)
    assert (picture.width, picture.height) == (640, 360)


def test_keyframes_are_as_far_apart_as_seeking_allows() -> None:
    """Of people that is 40 s at 10 frames a second, and 400 frames at 25; what stands is decoded fast, and may wait."""
    assert at(Content.BOARD, HD, 480, 10.0, 50.0).keyframe_s == 40.0
    assert at(Content.BOARD, HD, 480, 25.0, 50.0).keyframe_s * 25 == 400
    assert at(Content.SLIDES, HD, 480, 12.5, 50.0).keyframe_s == 40.0
    assert at(Content.SCREEN, HD, 480, 30.0, 50.0).keyframe_s * 30 == 600


@pytest.mark.parametrize("content", list(Content))
def test_large_fast_pictures_get_faster_presets(content: Content) -> None:
    """What has many more samples a second than any lesson needs is encoded fast rather than small."""
    assert at(content, HD, 480, 15.0, 50.0).preset < at(content, HD, 720, 30.0, 50.0).preset


def test_what_stands_is_encoded_slower() -> None:
    """Slides take little time whatever the preset; people do not."""
    assert at(Content.SLIDES, HD, 480, 10.0, 50.0).preset < at(Content.CAMERA, HD, 480, 10.0, 50.0).preset


def test_a_budget_is_shared_out() -> None:
    """What voice and container leave goes to the picture, and all of it together is the budget again."""
    rate = picture_rate(22_000_000, 2700.0, 14_000)
    assert rate == pytest.approx(22_000_000 * 8 / 2700 - 14_000 - CONTAINER_BPS)
    assert file_bytes(rate, 14_000, 2700.0) == 22_000_000
    assert picture_rate(1_000, 2700.0, 14_000) < 0


def test_keyframes_of_samples_are_not_taken_for_the_lessons() -> None:
    """Samples begin with a keyframe each; where the lesson has one every 20 s, its bytes count that seldom."""
    # Four samples of 4 s at 10 frames a second: a keyframe of 10,000 bytes and 39 others of 100.
    rate = sample_rate_bps([10_000] * 4, 4 * 39 * 100, 16.0, 10.0, 20.0)
    assert rate == pytest.approx(8 * (10_000 + 199 * 100) / 20.0, rel=0.001)


def look(at_s: float, change: float) -> Look:
    """Make a look of which only the change counts."""
    return Look(at_s, change, 0.5, 0.1, 0.1, 0.2)


def test_samples_are_taken_from_lively_and_quiet_parts() -> None:
    """A lesson that is quiet for its first two thirds and lively in its last gets samples in that proportion."""
    looks = [look(second, 0.0 if second < 1800 else 0.5) for second in range(2700)]
    starts = sample_starts(looks, 0.0, 2700.0)
    assert len(starts) == MAX_SAMPLES
    assert sum(start >= 1800 for start in starts) == MAX_SAMPLES // 3
    assert list(starts) == sorted(starts)
    assert all(0 <= start <= 2700 - SAMPLE_S for start in starts)


@pytest.mark.parametrize("duration_s", [0.5, 3.0, 4.0, 9.0, 41.0, 600.0, 40_000.0])
def test_every_length_gets_samples(duration_s: float) -> None:
    """Short lessons are taken whole, long ones at a bounded number of places."""
    starts = sample_starts([look(at_s, 0.1) for at_s in range(int(duration_s))], 0.0, duration_s)
    assert 1 <= len(starts) <= MAX_SAMPLES
    assert all(start == 0 or start + SAMPLE_S <= duration_s + 1e-6 for start in starts)


def test_samples_need_no_looks() -> None:
    """Where nothing could be looked at, samples are still taken."""
    assert sample_starts([], 10.0, 100.0)


def test_the_reasons_name_the_next_best_height() -> None:
    """Why 480 lines and not 432: they would have cost more."""
    aim = aim_for(Content.BOARD, HD, Wanted(vmaf=80.0))
    trials = (Trial(480, 57.0, 80.2, 47_000.0), Trial(432, 54.0, 80.0, 58_000.0))
    reasons = explain(Content.BOARD, 10.0, HD, aim, Found(trials[0], True), trials)
    assert [reason.code for reason in reasons] == ["picture_board", "picture_other_height"]
    assert dict(reasons[0].figures) == {"height": 480, "fps": 10.0, "vmaf": 80.9}
    assert dict(reasons[1].figures)["height"] == 432
    assert dict(reasons[1].figures)["percent"] == pytest.approx(24, abs=2)


def test_the_reasons_tell_what_was_not_reached() -> None:
    """A poor source and a tight budget are said out loud."""
    aim = aim_for(Content.CAMERA, Shape(320, 240, 10), Wanted(vmaf=95.0))
    trial = Trial(240, 18.0, 88.0, 90_000.0)
    codes = [one.code for one in explain(Content.CAMERA, 10.0, Shape(320, 240, 10), aim, Found(trial, False), (trial,))]
    assert codes == ["picture_camera", "picture_source_height", "picture_below_target"]


def test_heights_are_even_and_fall() -> None:
    """The ladder is what the search takes it for."""
    assert list(HEIGHTS) == sorted(HEIGHTS, reverse=True)
    assert all(height % 2 == 0 for height in HEIGHTS)
