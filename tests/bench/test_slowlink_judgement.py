"""The slow-link bench's figures and verdicts, from notes that are written by hand."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench.slowlink_chart import Bar, Line, draw
from bench.slowlink_figures import (
    concealed_percent,
    growth,
    longest_gap_s,
    measure,
    queue_peak_s,
    rate_kbps,
    voice_holes,
)
from bench.slowlink_judge import Change, judge_blocked, judge_change, judge_death, judge_neighbours, judge_uplink
from bench.slowlink_rows import BY_NAME, ROWS, Figures, failures, worst

GOOD = Figures(
    **{"heard_s": 1.0, "concealed_percent": 0.1, "silent_percent": 0.0, "voice_hole_s": 0.0, "fps": 20.0},
    **{"longest_gap_s": 0.2, "width": 640, "height": 360, "freezes": 0, "frozen_s": 0.0, "keyframes": 1},
    **{"voice_kbps": 24.0, "picture_kbps": 400.0, "used_kbps": 450.0, "up_kbps": 5.0, "host_kbps": 1000.0},
    **{"host_fps": 20.0, "queue_ms": 100.0, "dropped": 0, "lost": 0, "voice_buffer_ms": 60.0, "answered_s": 0.4},
    **{"status": 201, "offer_bytes": 6000, "codec": "AV1", "protocol": "udp"},
)


def second(at_s: float, peer: int = 0, *, voice: float = 0.0, concealed: float = 0.0, frames: int = 0, **more) -> dict:
    """Make a sample: seconds of voice heard and of voice concealed, frames decoded since the peer began."""
    audio = {"total": (voice + concealed) * 48000, "concealed": concealed * 48000, "emitted": voice * 48000}
    audio |= {"silent": 0, "bytes": voice * 3000, "delay": voice * 48000 * 0.05}
    return {
        "at": at_s * 1000,
        "peer": peer,
        "audio": audio,
        "video": {"decoded": frames, "bytes": frames * 1000},
        **more,
    }


def report(at_s: float, delivered_bytes: int = 0, queue_s: float = 0.0) -> dict:
    """Make a link's report, the same in both directions."""
    way = {"delivered_bytes": delivered_bytes, "queue_peak_s": queue_s, "dropped": 0, "lost": 0}
    return {"at": at_s, "down": way, "up": way}


def test_the_table_is_the_one_that_was_agreed() -> None:
    """Seven links, from 512 down to 24 kbit/s; upwards 64 or the same if less."""
    assert [row.down_kbps for row in ROWS] == [512, 256, 128, 64, 64, 32, 24]
    assert all(row.up_kbps == min(64, row.down_kbps) for row in ROWS)
    assert BY_NAME["64-bursts"].words(64, 400) == "rate=64,delay=150,queue=400,loss=2,burst=3"
    assert BY_NAME["128"].words(64, 400) == "rate=64,delay=40,queue=400"


def test_a_good_run_passes() -> None:
    """What keeps every limit has no failures."""
    assert failures(BY_NAME["512"], GOOD) == []


@pytest.mark.parametrize(
    ("row", "change", "word"),
    [
        ("512", {"concealed_percent": 0.31}, "concealed"),
        ("512", {"fps": 14.9}, "fps"),
        ("512", {"used_kbps": 380.0}, "used"),
        ("512", {"heard_s": 2.1}, "heard after"),
        ("64", {"heard_s": None}, "never"),
        ("24", {"voice_hole_s": 2.0}, "no voice"),
        ("32", {"longest_gap_s": 15.5}, "no new picture"),
        ("24", {"status": 408}, "408"),
    ],
)
def test_each_limit_is_judged(row: str, change: dict, word: str) -> None:
    """One figure beyond its limit is one failure that names it."""
    (failure,) = failures(BY_NAME[row], replace(GOOD, **change))
    assert word in failure


def test_the_hosts_full_rate_is_enough() -> None:
    """Where everything the host sends arrives, the link need not be used up."""
    assert failures(BY_NAME["512"], replace(GOOD, used_kbps=300.0, picture_kbps=250.0, host_kbps=280.0)) == []


def test_no_picture_is_asked_of_the_slowest() -> None:
    """On 24 kbit/s the voice alone decides."""
    assert failures(BY_NAME["24"], replace(GOOD, fps=0.0, longest_gap_s=60.0)) == []


def test_the_worst_run_counts() -> None:
    """More failures outweigh more concealed voice; among equals concealment decides."""
    slow, hoarse, fine = replace(GOOD, fps=1.0, heard_s=9.0), replace(GOOD, concealed_percent=2.0), GOOD
    assert worst(BY_NAME["128"], [fine, hoarse, slow]) is slow
    assert worst(BY_NAME["128"], [fine, hoarse]) is hoarse


def test_counters_of_a_new_connection_begin_anew() -> None:
    """After a reconnection the new peer's counts are added to those of the old one."""
    samples = [second(0, voice=10), second(1, voice=11), second(2, peer=1, voice=0.5), second(3, peer=1, voice=1.5)]
    assert growth(samples, "audio", "emitted") == 2.5 * 48000


def test_concealment_leaves_silence_out() -> None:
    """Concealed silence is told apart; no samples at all count as wholly concealed."""
    samples = [second(0), second(1, voice=0.9, concealed=0.1)]
    samples[1]["audio"]["silent"] = 0.04 * 48000
    assert concealed_percent(samples) == (pytest.approx(6), pytest.approx(4))
    assert concealed_percent(samples[:1])[0] == 100


def test_voice_holes_are_joined() -> None:
    """Neighbouring stretches without voice are one hole."""
    samples = [second(at, voice=voice) for at, voice in ((0, 0), (1, 1), (2, 1), (3, 1), (4, 2), (5, 2))]
    assert voice_holes(samples) == [(1, 3), (4, 5)]


def test_gaps_count_from_the_edges_of_the_window() -> None:
    """A picture that stops, or comes late, has a gap up to the window's end."""
    assert longest_gap_s([10_000, 10_500, 11_000], 10, 20) == 9
    assert longest_gap_s([], 10, 20) == 10
    assert longest_gap_s([19_000, 25_000], 10, 20) == 9


def test_link_reports_give_rates_and_queues() -> None:
    """The rate is what was delivered between the window's first and last report; the queue is the largest peak."""
    reports = [report(0, 0), report(10, 10_000, 0.2), report(20, 90_000, 0.5), report(30, 900_000, 0.9)]
    assert rate_kbps(reports, "down", 10, 20) == 64
    assert rate_kbps(reports, "down", 11, 12) == 0
    assert queue_peak_s(reports, 10, 20) == 0.5


def test_a_window_is_measured() -> None:
    """Voice, frames and rates come from the window alone; the wait for voice from the request."""
    samples = [second(at, voice=at, frames=15 * at, video_codec="video/AV1", protocol="udp") for at in range(41)]
    sent = {"sent_video": {"bytes": 0, "frames": 0}, "sent_audio": {"bytes": 0}}
    host = [{"at": 1000 * at, "peer": 0, "sent_video": {"bytes": 5000 * at, "frames": 15 * at}} for at in range(41)]
    noted = {
        "samples": samples,
        "frames": list(range(0, 41_000, 100)),
        "posts": [{"at": 500, "answeredAt": 900, "bytes": 6000, "status": 201}],
        "voiceAt": 1500,
    }
    figures = measure(noted, {"samples": [{"at": 0, "peer": 0, **sent}, *host[1:]]}, [report(0), report(40)], 10, 30)
    assert (figures.heard_s, figures.answered_s, figures.fps, figures.host_fps) == (1.0, 0.4, 15, 15)
    assert (figures.concealed_percent, figures.voice_hole_s, figures.longest_gap_s) == (0, 0, pytest.approx(0.1))
    assert (figures.voice_kbps, figures.picture_kbps, figures.host_kbps) == (24, 120, 40)
    assert (figures.voice_buffer_ms, figures.codec, figures.protocol) == (50, "AV1", "udp")


def test_a_viewer_who_got_nothing_is_measured_too() -> None:
    """Without any sample everything is at its worst, and nothing raises."""
    noted = {"samples": [], "frames": [], "posts": [{"at": 0, "answeredAt": None, "bytes": 1, "status": None}]}
    figures = measure({**noted, "voiceAt": None}, {"samples": []}, [], 10, 30)
    assert (figures.heard_s, figures.concealed_percent, figures.voice_hole_s, figures.fps) == (None, 100, 20, 0)
    assert len(failures(BY_NAME["512"], figures)) == 6


def lesson(fps_low: int = 8, fps_after: int = 20) -> list[dict]:
    """Samples of a lesson that falls at 20 s and rises at 50 s, each second until 80."""
    samples, frames = [], 0
    for at in range(81):
        frames += 20 if at <= 20 else fps_low if at <= 50 else fps_after
        samples.append(second(at, voice=at, frames=frames))
    return samples


AT = Change(0, 20, 50, 80)


def test_a_change_is_survived() -> None:
    """Whole voice, a picture that comes back and a short queue pass; the queue right after the drop is forgiven."""
    reports = [report(at, queue_s=1.5 if at == 21 else 0.1) for at in range(81)]
    facts, found = judge_change(lesson(), reports, AT)
    assert found == []
    assert (facts["fps_low"], facts["fps_after"], facts["queue_drop_ms"]) == (8, 20, 1500)


def test_a_change_that_hurts_is_told() -> None:
    """Concealed voice, a picture that stays low and a long queue are each a failure."""
    samples = lesson(fps_after=8)
    for sample in samples:
        sample["audio"] |= {"concealed": sample["audio"]["total"] * 0.05}
    _facts, found = judge_change(samples, [report(at, queue_s=0.5) for at in range(81)], AT)
    assert len(found) == 4


def test_a_slow_neighbour_must_not_be_felt() -> None:
    """The fast viewer's voice, picture and the host's own are compared with what they were alone."""
    assert judge_neighbours(GOOD, replace(GOOD, fps=19.5, picture_kbps=380.0)) == []
    felt = replace(GOOD, fps=12.0, picture_kbps=300.0, host_kbps=200.0, width=320, height=180, concealed_percent=1.0)
    assert len(judge_neighbours(GOOD, felt)) == 6


def test_a_slow_host_is_judged_by_its_own_limits() -> None:
    """At 64 kbit/s 0.8 % are allowed, at 128 they are not; five frames are asked of both."""
    hoarse = replace(GOOD, concealed_percent=0.8)
    assert judge_uplink(64, hoarse) == []
    assert len(judge_uplink(128, replace(hoarse, fps=4.9, heard_s=None))) == 3


def test_blocked_udp_needs_tcp() -> None:
    """Voice over TCP in time passes; UDP where it is blocked would mean that nothing was blocked."""
    assert judge_blocked(replace(GOOD, protocol="tcp", heard_s=4.9)) == []
    assert judge_blocked(replace(GOOD, protocol="udp"))
    assert judge_blocked(replace(GOOD, protocol="tcp", heard_s=5.1))
    assert judge_blocked(replace(GOOD, heard_s=None))


def dying(back_s: int | None) -> list[dict]:
    """Samples of a lesson whose UDP dies at 10 s and whose voice is back `back_s` later, over TCP."""
    samples = []
    for at in range(36):
        on = back_s is not None and at >= 10 + back_s
        voice = at - back_s if on else min(at, 10)
        samples.append(second(at, voice=voice, protocol="tcp" if on else "udp"))
    return samples


def test_death_of_udp_is_timed() -> None:
    """The time until voice is back counts, and the page must have said something."""
    said = [{"at": 14_000, "text": "Reconnecting"}]
    facts, found = judge_death(dying(8), said, 10, 35)
    assert (facts["back_s"], found) == (pytest.approx(8, abs=1), [])
    assert len(judge_death(dying(20), [], 10, 35)[1]) == 2
    assert judge_death(dying(None), said, 10, 35)[0]["back_s"] is None


def test_the_chart_is_an_svg_with_every_link() -> None:
    """Names are escaped, every link has its bars, and a missing limit has no mark."""
    lines = [
        Line("64 <slow>", (Bar(0.5, 1, True), Bar(0, None, True))),
        Line("512", (Bar(9, 0.3, False), Bar(15, 15, True))),
    ]
    drawn = ElementTree.fromstring(draw("Title & more", ("voice", "picture"), lines))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Title & more", "64 <slow>", "512", "voice", "picture"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}rect"))) == 1 + 4 + 3
