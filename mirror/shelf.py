"""The lessons that are here, for pages: read from the manifests beside the files, nothing else is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mirror.folder import MANIFEST, Folder, read_manifest
from mirror.shapes import Offer
from rules.search import fold, words


@dataclass(frozen=True, slots=True)
class Shelved:
    """A recording with its files, the most worth seeing first."""

    id: str
    files: tuple[Offer, ...]

    @property
    def best(self) -> Offer:
        """Return the file whose facts stand for the lesson."""
        return self.files[0]

    def matches(self, query: tuple[str, ...]) -> bool:
        """Tell whether every word is found in what is known of the lesson."""
        lesson = self.best.lesson
        text = fold(" ".join((lesson.title, lesson.subject, lesson.grades, lesson.host_school, lesson.date)))
        return all(word in text for word in query)


ORDER = ("video_small", "video_compat", "pack", "voice_opus", "voice_aac")


class Shelf:
    """Reads the folder anew for every look; a manifest that has not changed is not parsed again."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[float, Offer]] = {}

    def lessons(self, query: str = "") -> list[Shelved]:
        """List the lessons in which all words are found, the latest first."""
        by_recording: dict[str, list[Offer]] = {}
        for offer in self._offers():
            by_recording.setdefault(offer.recording, []).append(offer)
        found = [
            Shelved(id, tuple(sorted(files, key=lambda one: ORDER.index(one.kind) if one.kind in ORDER else 99)))
            for id, files in by_recording.items()
        ]
        asked = words(query)
        chosen = [one for one in found if one.matches(asked)]
        return sorted(chosen, key=lambda one: (one.best.lesson.date, one.best.lesson.title), reverse=True)

    def lesson(self, id: str) -> Shelved | None:
        """Return one lesson, None where it is not here."""
        return next((one for one in self.lessons() if one.id == id), None)

    def _offers(self) -> list[Offer]:
        fresh: dict[Path, tuple[float, Offer]] = {}
        for path in self._folder.lessons.glob(f"*/*{MANIFEST}"):
            try:
                changed_s = path.stat().st_mtime
            except OSError:
                continue
            known = self._known.get(path)
            if known is None or known[0] != changed_s:
                manifest = read_manifest(path)
                if manifest is None:
                    continue
                known = (changed_s, manifest.offer)
            fresh[path] = known
        self._known = fresh
        return [offer for _changed, offer in fresh.values() if self._folder.has(offer)]
