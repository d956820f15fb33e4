"""Manifests of sealed recordings: what is read from them, and what is refused."""

import json

import pytest

from workers import sealed

GOOD = {
    "version": 1,
    "session": "s1",
    "recording": "r1",
    "started_at": "2026-03-02T09:00:00Z",
    "ended_at": "2026-03-02T09:45:00+00:00",
    "reason": "ended",
    "segments": [
        {
            "file": f"segment-000{n}.mp4",
            "container": "mp4",
            "video_codec": "AV1",
            "audio_codec": "opus",
            "started_at": "2026-03-02T09:00:00Z",
            "duration_s": 10.5,
            "bytes": 1000,
            "sha256": f"{n}" * 64,
            "parts": 10,
            "video_delay_s": 0.1,
            "width": 640,
            "height": 360,
        }
        for n in (1, 2)
    ],
    "gaps": [{"after_segment": 1, "at_s": 10.5, "seconds": 30.0}],
    "attendance": [
        {"key": "person:a", "name": "Анна", "school": "sch1", "joined_at": "2026-03-02T09:01:00Z", "left_at": None}
    ],
}


def read(**changes):
    """Parse the good manifest with some members changed."""
    return sealed.parse(json.dumps(GOOD | changes), "s1", "r1")


def test_a_good_manifest_is_read_whole():
    """Segments, interruptions and stays arrive with aware times; who did not leave left with the end."""
    got = read()
    assert [one.file for one in got.segments] == ["segment-0001.mp4", "segment-0002.mp4"]
    assert got.segments[0].video_delay_s == 0.1
    assert got.attendance[0].left_at == got.ended_at
    assert (got.ended_at - got.started_at).total_seconds() == 2700


def test_moments_may_be_unix_seconds():
    """A number is a moment too, counted in UTC."""
    assert read(started_at=1772442000).started_at == read().started_at


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"session": "other"},
        {"segments": [GOOD["segments"][0] | {"file": "../../secret_key"}]},
        {"segments": [GOOD["segments"][0] | {"file": "segment-0001.exe"}]},
        {"segments": [GOOD["segments"][0] | {"sha256": "x"}]},
        {"segments": [GOOD["segments"][0] | {"duration_s": -1}]},
        {"segments": [GOOD["segments"][0] | {"duration_s": "Infinity"}]},
        {"segments": {"file": "segment-0001.mp4"}},
        {"segments": None},
        {"started_at": "yesterday"},
        {"started_at": 1e30},
        {"attendance": [{"key": "person:a"}]},
    ],
)
def test_what_cannot_be_true_is_refused(changes):
    """Other versions, foreign folders, paths that lead out, impossible numbers and missing members are damage."""
    with pytest.raises(sealed.ManifestDamaged):
        read(**changes)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}', "[" * 100_000])
def test_text_that_is_no_manifest_is_refused(text):
    """Whatever stands in the file, the answer is the same orderly error."""
    with pytest.raises(sealed.ManifestDamaged):
        sealed.parse(text, "s1", "r1")


def test_an_absurd_delay_of_the_picture_is_not_believed():
    """A host whose clock is off by an hour gets its picture as it came."""
    assert read(segments=[GOOD["segments"][0] | {"video_delay_s": 3600}]).segments[0].video_delay_s == 0.0


def test_interruptions_stand_where_the_segments_really_end():
    """The place follows the probed lengths, not the recorder's guess; one after the last segment is none."""
    assert sealed.gaps_in(read(), (12.0, 8.0)) == [{"at_s": 12.0, "seconds": 30.0}]
    late = read(gaps=[{"after_segment": 2, "at_s": 21.0, "seconds": 30.0}])
    assert sealed.gaps_in(late, (12.0, 8.0)) == []
