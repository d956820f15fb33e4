"""What is written about an uploaded file: one schema for tus' metadata, the HTML form and the API."""

from __future__ import annotations

import unicodedata

from marshmallow import fields

from server.lessonschemas import Grades, Reference
from server.schemas import Body, Line, Moment, Paragraphs

MAX_FILENAME = 255


class Held(Moment):
    """When a lesson was held; an empty text is None."""

    def _deserialize(self, value, attr, data, **options):
        return None if value == "" else super()._deserialize(value, attr, data, **options)


class FileName(fields.String):
    """A file's name as its computer has it: without folders and control characters, cut where it is too long."""

    def _deserialize(self, value, attr, data, **options) -> str:
        text = unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **options))
        text = text.replace("\\", "/").rpartition("/")[2]
        text = "".join(char for char in text if unicodedata.category(char)[0] != "C" or char in "\u200c\u200d")
        return text.strip()[:MAX_FILENAME].strip()


class UploadWords(Body):
    """What may be changed until a recording was made of a file. session_id null: a lesson that was never booked."""

    title = Line(200, load_default="")
    subject = Line(100, load_default="")
    grades = Grades(load_default="")
    description = Paragraphs(4000, load_default="")
    held_at = Held(load_default=None, allow_none=True)
    session_id = Reference(load_default=None, allow_none=True)
    school_id = Reference(load_default=None, allow_none=True)


class Announcement(UploadWords):
    """The same with the file's own facts, as tus' metadata tells them."""

    filename = FileName(load_default="")
    filetype = FileName(load_default="")
    fingerprint = Line(64, load_default="")


# tus' metadata keys → fields; the names that clients commonly use come first where several are there.
METADATA = {
    "filename": "filename",
    "name": "filename",
    "filetype": "filetype",
    "type": "filetype",
    "title": "title",
    "description": "description",
    "subject": "subject",
    "grades": "grades",
    "held": "held_at",
    "session": "session_id",
    "school": "school_id",
    "fingerprint": "fingerprint",
}


def from_metadata(found: dict[str, str]) -> dict[str, str]:
    """Name metadata by fields; keys that nobody knows here are left out."""
    named: dict[str, str] = {}
    for key, field_name in METADATA.items():
        if key in found and field_name not in named:
            named[field_name] = found[key]
    return named
