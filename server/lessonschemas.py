"""What a session, a seminar and a guest must look like: one schema for the HTML form and the API."""

from __future__ import annotations

import re
from datetime import datetime, time

from flask_babel import gettext as _
from marshmallow import ValidationError, fields

from rules.grades import GradeError, canonical, parse
from rules.lifecycle import SessionKind
from rules.rights import Audience
from server.schemas import Body, Day, Line, Moment, OneOf, Paragraphs, Whole

MOST_INVITED = 500
ID = re.compile(r"[0-9A-Za-z_-]{1,16}")


class Reference(fields.String):
    """The id of something; "" is None where allow_none is set. Whether it exists is asked later."""

    def _deserialize(self, value, attr, data, **options) -> str | None:
        text = super()._deserialize(value, attr, data, **options)
        if text == "" and self.allow_none:
            return None
        if not ID.fullmatch(text):
            raise ValidationError(_("Please choose one from the list."))
        return text


class Grades(Line):
    """A grade set; loaded as its canonical text, "" for none in particular."""

    def __init__(self, **options) -> None:
        super().__init__(most=40, **options)

    def _deserialize(self, value, attr, data, **options) -> str:
        text = super()._deserialize(value, attr, data, **options)
        try:
            return canonical(parse(text))
        except GradeError:
            raise ValidationError(_("Write grades from 1 to 11, for instance 7, or 5+6, or 1-4.")) from None


class Clock(fields.String):
    """A time of day as HTML forms send it, "09:05"."""

    def _deserialize(self, value, attr, data, **options) -> time:
        text = super()._deserialize(value, attr, data, **options)
        found = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])(:00)?", text)
        if not found:
            raise ValidationError(_("Write a time of day, for instance 09:30."))
        return time(int(found[1]), int(found[2]))


class Suggested(Moment):
    """A suggestion that was clicked; None where the form was sent by its own button."""

    def _deserialize(self, value, attr, data, **options) -> datetime | None:
        return None if value == "" else super()._deserialize(value, attr, data, **options)


def _invited_length(ids: list[str]) -> None:
    if len(ids) > MOST_INVITED:
        raise ValidationError(_("At most %(most)s schools can be invited one by one.", most=MOST_INVITED))


class _Lesson(Body):
    """What the form and the API share."""

    kind = OneOf(tuple(SessionKind), required=True)
    title = Line(200, 1, required=True)
    subject = Line(100, 1, required=True)
    description = Paragraphs(4000, load_default="")
    grades = Grades(load_default="")
    host_school_id = Reference(required=True)
    host_person_id = Reference(required=True)
    minutes = Whole(5, 24 * 60, required=True)
    audience = OneOf(tuple(Audience), required=True)
    invited = fields.List(Reference(), load_default=list, validate=_invited_length)
    seminar_id = Reference(load_default=None, allow_none=True)


class LessonForm(_Lesson):
    """A session as the form sends it: day and clock in the viewer's zone, or `start`, a suggestion that was clicked."""

    date = Day(required=True)
    time = Clock(required=True)
    start = Suggested(load_default=None, allow_none=True)


class LessonBody(_Lesson):
    """A session as the API takes it."""

    starts_at = Moment(required=True)


class SeminarBody(Body):
    """A seminar; organiser_school_id null is the district."""

    title = Line(200, 1, required=True)
    description = Paragraphs(4000, load_default="")
    organiser_school_id = Reference(load_default=None, allow_none=True)


class GuestBody(Body):
    """A teacher without an account."""

    name = Line(200, 1, required=True)
    school_id = Reference(load_default=None, allow_none=True)


class TicketBody(Body):
    """What a ticket shall allow."""

    action = OneOf(("watch", "host"), required=True)
