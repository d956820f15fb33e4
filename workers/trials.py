"""Find the plan for a lesson's small files by encoding short samples of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av

from rules import pictureplan, qualitysearch, soundplan
from rules.content import classify
from rules.lessonplan import Content, LessonPlan, PicturePlan, Reason, VoicePlan
from rules.pictureplan import Shape, Wanted
from rules.qualitysearch import Aim, Found, Next, Trial
from rules.soundplan import Heard
from workers import plan, samples
from workers.analysis import Sight

# Trials end after this long, with the best that was found till then: a search, not the lesson's encode.
LIMIT_S = 90.0
# Usual number of trials, for the progress shown.
USUAL_TRIALS = 7


def make_plan(
    sources: Sequence[Path],
    timeline: plan.Timeline,
    sight: Sight | None,
    heard: Heard | None,
    wanted: Wanted,
    folder: Path,
    on_progress: Callable[[float], None],
) -> LessonPlan:
    """Plan a lesson's small files; `sight` and `heard` are None where there is no picture or no sound.

    Samples pass through `folder`. on_progress gets the share done (0 to 1) about once a second; what it raises goes on
    to the caller. Raises child.ChildFailed where no sample could be taken.
    """
    voice, reasons = soundplan.plan_voice(heard) if heard is not None and timeline.has_audio else (None, ())
    if sight is None or not timeline.has_video:
        size = pictureplan.file_bytes(0.0, voice.rate_bps if voice else 0, timeline.duration_s)
        return LessonPlan(None, None, voice, None, size, 0.0, reasons)
    content = classify(sight.looks)
    lab = _Lab(sources, timeline, sight, content, wanted, folder, on_progress)
    picture, found, told, voice = _searched(lab, voice)
    size = pictureplan.file_bytes(found.trial.rate_bps, voice.rate_bps if voice else 0, timeline.duration_s)
    vmaf, target = pictureplan.whole_vmaf(content, found.trial.vmaf), pictureplan.target_for(content, wanted)
    return LessonPlan(
        content, picture, voice, round(vmaf, 2), size, target, (*told, *reasons, *_thrift(voice, reasons))
    )


def _searched(lab: _Lab, voice: VoicePlan | None) -> tuple[PicturePlan, Found, tuple[Reason, ...], VoicePlan | None]:
    """Search for the quality; where the budget does not carry it, for the best within the budget."""
    wanted, duration_s = lab.wanted, lab.timeline.duration_s
    fps = pictureplan.rate_for(lab.content, lab.source.fps, wanted)
    aim = pictureplan.aim_for(lab.content, lab.source, wanted)
    found, trials = lab.search(aim, fps, ())
    spare_bps = None
    if wanted.budget_bytes is not None:
        spare_bps = pictureplan.picture_rate(wanted.budget_bytes, duration_s, voice.rate_bps if voice else 0)
    if spare_bps is not None and found.trial.rate_bps > spare_bps:
        if voice is not None and voice.rate_bps > soundplan.LEAST_BPS:
            voice = replace(voice, rate_bps=soundplan.LEAST_BPS)
            spare_bps = pictureplan.picture_rate(wanted.budget_bytes, duration_s, voice.rate_bps)
        aim = replace(aim, rate_bps=max(1000.0, spare_bps))
        found, trials = lab.search(aim, fps, trials)
        half = max(pictureplan.LEAST_FPS, fps / 2)
        if found.trial.vmaf < pictureplan.POOR_VMAF and half < fps and wanted.fps is None:
            fps = half
            found, trials = lab.search(aim, fps, ())
    picture = pictureplan.at(lab.content, lab.source, found.trial.height, fps, found.trial.crf)
    return picture, found, pictureplan.explain(lab.content, fps, lab.source, aim, found, trials), voice


def _thrift(voice: VoicePlan | None, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Tell of a voice that had to give up bits for the budget."""
    told = {figure for reason in reasons for figure in reason.figures if figure[0] == "kbps"}
    if voice is None or ("kbps", voice.rate_bps / 1000) in told:
        return ()
    return (Reason("voice_in_budget", (("kbps", voice.rate_bps / 1000),)),)


@dataclass(slots=True)
class _Lab:
    """Where samples of one lesson are taken, encoded and judged."""

    sources: Sequence[Path]
    timeline: plan.Timeline
    sight: Sight
    content: Content
    wanted: Wanted
    folder: Path
    on_progress: Callable[[float], None]
    sample: Path | None = None
    sample_count: int = 0
    began_s: float = 0.0
    made: int = 0

    @property
    def source(self) -> Shape:
        """The lesson's own picture."""
        return Shape(self.timeline.width, self.timeline.height, self.timeline.fps)

    def tick(self) -> None:
        """Tell how far the search is; a lease is renewed with it."""
        self.on_progress(min(0.99, self.made / USUAL_TRIALS))

    def search(self, aim: Aim, fps: float, trials: tuple[Trial, ...]) -> tuple[Found, tuple[Trial, ...]]:
        """Try until the search is content, or its time is up and something was tried."""
        if self.sample is None:
            self.began_s = time.monotonic()
            self._take(fps)
        while isinstance(asked := qualitysearch.step(trials, aim), Next):
            if trials and time.monotonic() - self.began_s > LIMIT_S:
                return qualitysearch.result(trials, aim), trials
            self.tick()
            trials += (self._try(asked, fps),)
            self.made += 1
        return asked, trials

    def _take(self, fps: float) -> None:
        """Copy the samples at the rate that is tried: every trial decodes them twice."""
        windows = self._windows()
        self.sample_count = len(windows)
        self.sample = self.folder / "sample.mkv"
        kept = pictureplan.fitted(self.source, samples.COPY_HEIGHT, fps)
        samples.copy(self.sources, windows, self._length_s, kept, self.sample, self.tick)

    @property
    def _length_s(self) -> float:
        return min(pictureplan.SAMPLE_S, max(0.2, self.timeline.duration_s))

    def _windows(self) -> list[samples.Window]:
        """Choose moments of the whole lesson and find the segments that they lie in."""
        spans, began_s = [], 0.0
        for segment in self.timeline.segments:
            if segment.video_offset_s is not None:
                shown_s = segment.duration_s if segment.last_picture_s is None else segment.last_picture_s
                spans.append((began_s, began_s + max(shown_s, segment.video_offset_s), segment))
            began_s += segment.duration_s
        starts = pictureplan.sample_starts(self.sight.looks, spans[0][0], spans[-1][1])
        windows = []
        for start in starts:
            # A moment without a picture is moved into the next segment that has one.
            first, last, segment = next(span for span in (*spans, spans[-1]) if start < span[1] or span is spans[-1])
            within = min(max(start, first + (segment.video_offset_s or 0.0)), max(first, last - self._length_s)) - first
            windows.append(samples.Window(segment, within))
        return windows

    def _try(self, asked: Next, fps: float) -> Trial:
        """Encode the sample as asked, and judge what came out."""
        length_s = self._length_s
        # A keyframe at the start of every sample, and none within.
        wanted = replace(pictureplan.at(self.content, self.source, asked.height, fps, asked.crf), keyframe_s=length_s)
        made = self.folder / "trial.mp4"
        samples.encode(self.sample, wanted, made, self.tick)
        reference = pictureplan.judged_at(self.source, fps)
        vmaf = samples.vmaf(made, self.sample, fps, reference, self.folder, self.tick)
        keys, others = _weigh(made)
        apart_s = pictureplan.keyframe_s(self.content, fps)
        rate_bps = pictureplan.sample_rate_bps(keys, others, self.sample_count * length_s, fps, apart_s)
        return Trial(asked.height, asked.crf, vmaf, rate_bps)


def _weigh(made: Path) -> tuple[list[int], int]:
    """Return the bytes of each keyframe and of all other frames of a file that we made ourselves."""
    keys, others = [], 0
    with av.open(str(made)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.is_keyframe:
                keys.append(packet.size)
            else:
                others += packet.size
    return keys, others
