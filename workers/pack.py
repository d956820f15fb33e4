"""Make a lesson pack: one zip with voice, slides, captions and a player that opens from a USB stick.

The same lesson gives the same bytes: names in order, no clock, media stored as they are.
"""

from __future__ import annotations

import hashlib
import html
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rules import captions, lessonpack, packbudget
from rules.captions import Cue
from rules.renditions import Kind
from store import captions as kept_captions
from store import materials
from store.files import Files
from workers import packslides, packvoice, plan, probe
from workers.attempt import Refused
from workers.packslides import PackSlides

PLAYER = Path(__file__).with_name("player")
# Zip has no time zone; the earliest moment it knows, so that the same content gives the same bytes.
ZIP_DATE = (1980, 1, 1, 0, 0, 0)
STORED = (".webm", ".m4a", ".png", ".jpg")
VOICE_TYPES = {"webm": 'audio/webm; codecs="opus"', "m4a": 'audio/mp4; codecs="mp4a.40.2"'}
# Where a school may put "Voice for old players" for a browser without Opus; the player looks there too.
BESIDE = "media/voice.m4a"
DURATION_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a pack is made of: the recording's files and everything that people added to it."""

    recording_id: str
    session_id: str
    sources: tuple[Path, ...]
    line: plan.Timeline
    deck_pages: tuple[dict, ...]


def make(storage: Files, lesson: Lesson, folder: Path, report: Callable[[float], None]) -> tuple[Path, float]:
    """Make the zip in `folder`; returns its path and the lesson's length in seconds. Raises Refused.

    `report` gets the share done (0 to 1), and may raise.
    """
    duration_s = lesson.line.duration_s
    voice = _voice(storage, lesson, folder)
    report(0.1)
    found = packslides.find(
        *(storage, lesson.recording_id, lesson.sources, lesson.line, folder),
        lambda at_s: report(0.1 + 0.7 * at_s / duration_s),
    )
    report(0.8)
    hand = materials.timeline(lesson.recording_id)
    slides = packslides.choose(
        storage,
        found,
        lesson.deck_pages,
        [(at_ms / 1000, page - 1) for at_ms, page in (hand.pages if hand else ())],
        [(at_ms / 1000, title) for at_ms, title in (hand.chapters if hand else ())],
        duration_s,
        voice.stat().st_size,
    )
    report(0.95)
    target = folder / "pack.zip"
    _write(target, _files(lesson, voice, slides, duration_s))
    return target, duration_s


def faults(path: Path, duration_s: float, folder: Path) -> list[str]:
    """Read a finished pack whole and list what is wrong with it: digests, missing files, the voice's length."""
    with zipfile.ZipFile(path) as zipped:
        broken = zipped.testzip()
        if broken is not None:
            return [f"{broken} is damaged"]
        manifest = json.loads(zipped.read("manifest.json"))
        found = [
            f"{file['name']} is not what the manifest says"
            for file in manifest["files"]
            if hashlib.sha256(zipped.read(file["name"])).hexdigest() != file["sha256"]
        ]
        name = next(name for name in zipped.namelist() if name.startswith("media/"))
        voice = probe.decode(Path(zipped.extract(name, folder / "checked")))
    if voice.errors or voice.audio_s is None:
        found.append("the voice cannot be decoded")
    elif abs(voice.audio_s - duration_s) > DURATION_TOLERANCE_S:
        found.append(f"the voice is {voice.audio_s:.2f} s long instead of {duration_s:.2f} s")
    return found


def _voice(storage: Files, lesson: Lesson, folder: Path) -> Path:
    """Bring the published voice to where the zip is made; AAC where there is no Opus."""
    opus = materials.published_file(lesson.recording_id, Kind.VOICE_OPUS)
    if opus is not None:
        target = folder / "voice.webm"
        rate_bps = packbudget.voice_rate_bps(lesson.line.duration_s, opus.bytes)
        with storage.local_path(opus.key) as path:
            if rate_bps is None:
                packvoice.remux(path, target)
            else:
                packvoice.encode(path, target, rate_bps)
        return target
    aac = materials.published_file(lesson.recording_id, Kind.VOICE_AAC)
    if aac is None:
        raise Refused("voice_missing", "no voice is published")
    target = folder / "voice.m4a"
    with storage.local_path(aac.key) as path:
        target.write_bytes(path.read_bytes())
    return target


def _files(lesson: Lesson, voice: Path, slides: PackSlides, duration_s: float) -> dict[str, bytes]:
    """Build every file of the pack by name."""
    tracks = {row.language: kept_captions.cues(row) for row in kept_captions.tracks(lesson.recording_id)}
    tracks = {language: cues for language, cues in tracks.items() if any(cue.text for cue in cues)}
    names = [f"slides/{number:03d}.{image.extension}" for number, image in enumerate(slides.images, 1)]
    data = _data(lesson, slides, names, tracks, f"media/{voice.name}", duration_s)
    timeline = {key: data[key] for key in ("version", "duration_s", "turns", "chapters")}
    timeline |= {"slides": names, "pages": slides.pages}
    made = {name: (PLAYER / name).read_bytes() for name in ("index.html", "player.css", "player.js")}
    title = html.escape(data["title"])
    made["index.html"] = made["index.html"].replace(b"{{title}}", title.encode())
    made["data.js"] = f"var LESSON = {json.dumps(data, separators=(',', ':'))};\n".encode("ascii")
    made["read.html"] = _reading(data, tracks).encode()
    made["timeline.json"] = json.dumps(timeline, indent=1).encode()
    for language, cues in tracks.items():
        made[f"captions/{language}.vtt"] = captions.write_vtt(cues).encode()
    for name, image in zip(names, slides.images, strict=True):
        made[name] = image.content
    made[f"media/{voice.name}"] = voice.read_bytes()
    made["manifest.json"] = _manifest(data["title"], made)
    return made


def _data(
    lesson: Lesson,
    slides: PackSlides,
    names: list[str],
    tracks: dict[str, tuple[Cue, ...]],
    voice: str,
    duration_s: float,
) -> dict:
    """Build what the player reads."""
    row = materials.lesson_of(lesson.recording_id)
    session = row.session
    sources = [voice] if voice == BESIDE else [voice, BESIDE]
    return {
        "version": lessonpack.PACK_VERSION,
        "title": session.title,
        "subject": session.subject,
        "grades": session.grades,
        "school": session.host_school.name,
        "date": row.started_at.date().isoformat(),
        "duration_s": round(duration_s, 3),
        "voice": [{"src": src, "type": VOICE_TYPES[src.rpartition(".")[2]]} for src in sources],
        "slides": [
            {"src": name, "width": image.width, "height": image.height, "text": text}
            for name, image, text in zip(names, slides.images, slides.texts, strict=True)
        ],
        "turns": [[round(at_s, 3), index] for at_s, index in slides.turns],
        "chapters": [[round(at_s, 3), title] for at_s, title in slides.chapters],
        "captions": [
            {"language": language, "cues": [[cue.start_ms, cue.end_ms, cue.text] for cue in cues if cue.text]}
            for language, cues in tracks.items()
        ],
    }


def _reading(data: dict, tracks: dict[str, tuple[Cue, ...]]) -> str:
    """Write the lesson as one page to read or print, without any script: each slide with what was said to it."""
    cues = next(iter(tracks.values()), ())
    language = next(iter(tracks), "ru")
    turns = data["turns"] or [[0.0, None]]
    parts = []
    for number, (at_s, index) in enumerate(turns):
        until_s = turns[number + 1][0] if number + 1 < len(turns) else float("inf")
        heading = "".join(
            f"<h2>{html.escape(title)}</h2>" for when, title in data["chapters"] if at_s <= when < until_s
        )
        said = " ".join(cue.text for cue in cues if at_s * 1000 <= cue.start_ms < until_s * 1000 and cue.text)
        picture = ""
        if index is not None:
            slide = data["slides"][index]
            alt = html.escape(slide["text"][:300] or str(number + 1), quote=True)
            size = f'width="{slide["width"]}" height="{slide["height"]}"'
            picture = f'<img src="{slide["src"]}" {size} alt="{alt}">'
        at = captions.clock(round(at_s * 1000), short=True)
        parts.append(f'<section>{heading}<p class="at">{at}</p>{picture}<p lang="{language}">{html.escape(said)}</p>')
    page = (PLAYER / "read.html").read_text("utf-8")
    facts = " · ".join(part for part in (data["subject"], data["grades"], data["school"], data["date"]) if part)
    page = page.replace("{{title}}", html.escape(data["title"])).replace("{{facts}}", html.escape(facts))
    return page.replace("{{body}}", "\n".join(f"{part}</section>" for part in parts))


def _manifest(title: str, made: dict[str, bytes]) -> bytes:
    files = [
        {"name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in sorted(made.items())
    ]
    return json.dumps({"version": lessonpack.PACK_VERSION, "title": title, "files": files}, indent=1).encode()


def _write(target: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(target, "w") as zipped:
        # The page comes first, so that whoever looks into the zip sees what to open.
        for name in sorted(files, key=lambda name: (name != "index.html", name)):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if name.endswith(STORED) else zipfile.ZIP_DEFLATED
            zipped.writestr(entry, files[name])
