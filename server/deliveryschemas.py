"""What a school downloads by and what its PCs tell, as forms and API send it."""

from __future__ import annotations

import re

from flask_babel import gettext as _
from marshmallow import ValidationError, fields, validate, validates_schema

from rules.nightwindow import Window, clock, parse_clock
from rules.renditions import ORDER
from server import schemas
from server.lessonschemas import Grades, Reference
from store.mirrors import Choice

MAX_KBPS = 1_000_000
MAX_MONTHLY_MB = 10_000_000
MOST_SUBJECTS = 50
MOST_RECEIPTS = 200
MAX_COUNTED_BYTES = 10**15
MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
SHA256 = re.compile(r"[0-9a-f]{64}")


def _matches(pattern: re.Pattern[str]):
    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValidationError(_("This value cannot be used here."))

    return check


class Minute(fields.String):
    """A time of day, "22:00", loaded as minutes; "" is None."""

    def _deserialize(self, value, attr, data, **options) -> int | None:
        text = super()._deserialize(value, attr, data, **options).strip()
        if not text:
            return None
        try:
            return parse_clock(text.removesuffix(":00") if text.count(":") == 2 else text)
        except ValueError:
            raise ValidationError(_("Write a time of day, for instance 09:30.")) from None


class TermsBody(schemas.Body):
    """When, how fast, how much a month and what a school downloads; empty fields leave it open.

    Without `kinds` it is the best file of each lesson alone, by the school's link and night.
    """

    night_from = Minute(load_default=None, allow_none=True, metadata={"description": "Local time, 22:00"})
    night_to = Minute(load_default=None, allow_none=True)
    rate_kbps = schemas.Whole(8, MAX_KBPS, load_default=None, allow_none=True)
    monthly_mb = schemas.Whole(1, MAX_MONTHLY_MB, load_default=None, allow_none=True)
    kinds = fields.List(schemas.OneOf(tuple(kind.value for kind in ORDER)), load_default=list)
    subjects = fields.List(schemas.Line(100, 1), load_default=list)
    grades = Grades(load_default="")

    @validates_schema
    def _whole(self, data: dict, **_options) -> None:
        first, last = data.get("night_from"), data.get("night_to")
        if (first is None) != (last is None):
            raise ValidationError(_("Write both times, or none to download at any hour."), "night_to")
        if first is not None and first == last:
            raise ValidationError(_("The night ends when it begins. Leave both empty for any hour."), "night_to")
        if len(data.get("subjects") or ()) > MOST_SUBJECTS:
            raise ValidationError(_("At most %(most)s subjects can be chosen.", most=MOST_SUBJECTS), "subjects")


class PcBody(schemas.Body):
    """What a school's PC is called."""

    label = schemas.Line(most=100, least=1, required=True)


class _Receipt(schemas.Body):
    """One file that has arrived and was verified."""

    file = Reference(required=True)
    sha256 = fields.String(required=True, validate=_matches(SHA256))
    way = schemas.OneOf(("net", "usb"), required=True)
    verified_at = schemas.Moment(required=True)


class ReportBody(schemas.Body):
    """What a school's PC tells: what has arrived, its bytes on the wire this month, and what troubles it."""

    month = fields.String(required=True, validate=_matches(MONTH))
    month_bytes = schemas.Whole(0, MAX_COUNTED_BYTES, required=True)
    said = schemas.Line(most=300, load_default="")
    receipts = fields.List(fields.Nested(_Receipt), load_default=list, validate=validate.Length(max=MOST_RECEIPTS))


def chosen(data: dict) -> Choice:
    """Turn checked terms into what the store keeps."""
    first, last = data["night_from"], data["night_to"]
    return Choice(
        window=None if first is None or last is None else Window(first, last),
        rate_kbps=data["rate_kbps"],
        monthly_mb=data["monthly_mb"],
        kinds=tuple(dict.fromkeys(data["kinds"])),
        subjects=tuple(dict.fromkeys(data["subjects"])),
        grades=data["grades"],
    )


def shown(choice: Choice) -> dict:
    """Write kept terms as forms and API show them."""
    return {
        "night_from": clock(choice.window.from_minute) if choice.window else "",
        "night_to": clock(choice.window.to_minute) if choice.window else "",
        "rate_kbps": choice.rate_kbps,
        "monthly_mb": choice.monthly_mb,
        "kinds": list(choice.kinds),
        "subjects": list(choice.subjects),
        "grades": choice.grades,
    }
