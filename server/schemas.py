"""Checking what comes in: the same marshmallow schemas serve the HTML forms and the API."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields
from werkzeug.datastructures import MultiDict

from rules.idempotency import MAX_KEY_CHARS
from server.i18n import is_zone
from server.timetable import read_day

FIRST_YEAR = 2000
LAST_YEAR = 2100
EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[\w-]+(\.[\w-]+)*")
MAX_EMAIL = 254  # RFC 5321 4.5.3.1.3
MIN_PASSWORD = 8
MAX_PASSWORD = 200

# Control, private and surrogate characters have no place in a text and are refused. Invisible format characters (byte
# order marks, zero-width spaces, bidi overrides) come along when text is pasted and are dropped; but some scripts need
# the joiners.
REFUSED = ("Cc", "Co", "Cs")
JOINERS = "\u200c\u200d"


def clean_text(value: str, *, lines: bool = False) -> str:
    """Bring text to NFC without outer spaces; `lines` keeps line ends and tabs, which else become spaces.

    Raises ValidationError for control characters.
    """
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n").replace("\r", "\n"))
    if any(unicodedata.category(char) in REFUSED and char not in "\n\t" for char in text):
        raise ValidationError(_("Contains characters that cannot be used here (control characters)."))
    text = "".join(char for char in text if unicodedata.category(char) != "Cf" or char in JOINERS).strip()
    if not text.strip(JOINERS):
        return ""
    return text if lines else re.sub(r"\s+", " ", text)


class Line(fields.String):
    """One line of text of at least `least` and at most `most` characters after cleaning."""

    lines = False

    def __init__(self, most: int, least: int = 0, **options) -> None:
        super().__init__(**options)
        self.most, self.least = most, least

    def _deserialize(self, value, attr, data, **options) -> str:
        text = clean_text(super()._deserialize(value, attr, data, **options), lines=self.lines)
        if len(text) < self.least:
            raise ValidationError(_("Please fill this in.") if self.least == 1 else _too_short(self.least))
        if len(text) > self.most:
            raise ValidationError(_too_long(self.most, len(text)))
        return text


class Paragraphs(Line):
    """Text of several lines."""

    lines = True


class Email(Line):
    """An e-mail address, in lower case."""

    def __init__(self, **options) -> None:
        super().__init__(most=MAX_EMAIL, least=1 if options.get("required") else 0, **options)

    def _deserialize(self, value, attr, data, **options) -> str:
        text = super()._deserialize(value, attr, data, **options).lower()
        if text and not EMAIL.fullmatch(text):
            raise ValidationError(_("This is not an e-mail address; one looks like name@school.example."))
        return text


class Password(fields.String):
    """A new password: 8 characters or more, any at all but control characters; spaces count."""

    def _deserialize(self, value, attr, data, **options) -> str:
        text = unicodedata.normalize("NFC", super()._deserialize(value, attr, data, **options))
        if len(text) < MIN_PASSWORD:
            raise ValidationError(_too_short(MIN_PASSWORD))
        if len(text) > MAX_PASSWORD:
            raise ValidationError(_too_long(MAX_PASSWORD, len(text)))
        if any(unicodedata.category(char) == "Cc" for char in text):
            raise ValidationError(_("Contains characters that cannot be used here (control characters)."))
        return text


class Whole(fields.Integer):
    """A whole number from least to most; an empty text is None where allow_none is set."""

    def __init__(self, least: int, most: int, **options) -> None:
        super().__init__(strict=True, **options)
        self.least, self.most = least, most

    def _deserialize(self, value, attr, data, **options) -> int | None:
        text = value.strip() if isinstance(value, str) else value
        if text == "" and self.allow_none:
            return None
        if isinstance(text, str) and not re.fullmatch(r"[+-]?[0-9]{1,12}", text):
            raise ValidationError(_("Please write a whole number."))
        if isinstance(text, bool):
            raise ValidationError(_("Please write a whole number."))
        number = super()._deserialize(int(text) if isinstance(text, str) else text, attr, data, **options)
        if not self.least <= number <= self.most:
            raise ValidationError(_("Must be from %(least)s to %(most)s.", least=self.least, most=self.most))
        return number


class Day(fields.Date):
    """A calendar day between FIRST_YEAR and LAST_YEAR, as a form sends it."""

    def _deserialize(self, value, attr, data, **options) -> date:
        found = read_day(value) if isinstance(value, str) else None
        if found is None:
            raise ValidationError(_("Write the day like 2026-11-23 or 23.11.2026."))
        check_year(found)
        return found


class Moment(fields.AwareDateTime):
    """An RFC 3339 moment with an offset, between FIRST_YEAR and LAST_YEAR."""

    def _deserialize(self, value, attr, data, **options) -> datetime:
        found = super()._deserialize(value, attr, data, **options)
        check_year(found)
        return found


class Zone(fields.String):
    """The name of a time zone; an empty text is None where allow_none is set."""

    def _deserialize(self, value, attr, data, **options) -> str | None:
        name = super()._deserialize(value, attr, data, **options)
        if name == "" and self.allow_none:
            return None
        if not is_zone(name):
            raise ValidationError(_("There is no such time zone; choose one from the list."))
        return name


class OneOf(fields.String):
    """One of fixed words."""

    def __init__(self, choices: tuple[str, ...], **options) -> None:
        super().__init__(**options)
        self.choices = choices

    def _deserialize(self, value, attr, data, **options) -> str:
        text = super()._deserialize(value, attr, data, **options)
        if text not in self.choices:
            raise ValidationError(_("Please choose one from the list."))
        return text


def check_year(value: date | datetime) -> None:
    """Refuse years in which nobody books a lesson: raise ValidationError."""
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValidationError(_("The year must be from %(first)s to %(last)s.", first=FIRST_YEAR, last=LAST_YEAR))


def _too_short(least: int) -> str:
    return ngettext("At least %(num)s character, please.", "At least %(num)s characters, please.", least)


def _too_long(most: int, length: int) -> str:
    limit = ngettext("At most %(num)s character fits here", "At most %(num)s characters fit here", most)
    return _("%(limit)s, and this has %(length)s.", limit=limit, length=length)


MESSAGES = {
    "required": lazy_gettext("Please fill this in."),
    "null": lazy_gettext("Please fill this in."),
    "invalid": lazy_gettext("This value cannot be used here."),
    "invalid_utf8": lazy_gettext("This value cannot be used here."),
    "invalid_awareness": lazy_gettext(
        "Write the time with its offset from UTC, for instance 2026-11-24T10:00:00+07:00."
    ),
    "too_large": lazy_gettext("This value cannot be used here."),
    "unknown": lazy_gettext("There is no such field."),
    "type": lazy_gettext("An object with fields is expected."),
}


class Body(Schema):
    """Base of all schemas: unknown fields are refused (in forms: dropped), messages speak the reader's language."""

    class Meta:
        unknown = RAISE

    error_messages = {key: MESSAGES[key] for key in ("unknown", "type")}

    def on_bind_field(self, field_name: str, field_obj: fields.Field) -> None:
        field_obj.error_messages = {**field_obj.error_messages, **MESSAGES}


class Form:
    """An HTML form as it came: what was typed, what it means, what is wrong, so that it can be shown again filled in.

    `typed` holds the texts as they came, `data` the checked result (empty when something is wrong),
    `errors` field → texts.
    """

    def __init__(
        self, schema: Schema, typed: Mapping[str, object] | None = None, labels: Mapping[str, str] | None = None
    ) -> None:
        self.schema = schema
        self.typed = MultiDict(typed or {})
        self.labels = dict(labels or {})
        self.errors: dict[str, list[str]] = {}
        self.data: dict = {}
        self.message = ""
        self.names = set(schema.fields)

    def check(self, submitted: MultiDict) -> bool:
        """Take over a submitted form and check it; tell whether it can be used."""
        self.typed = MultiDict(submitted)
        raw = {}
        for name, one in self.schema.fields.items():
            if isinstance(one, fields.List):
                raw[name] = submitted.getlist(name)
            elif isinstance(one, fields.Boolean):
                raw[name] = name in submitted
            elif name in submitted:
                raw[name] = submitted[name]
        try:
            self.data = self.schema.load(raw, unknown=EXCLUDE)
        except ValidationError as error:
            self.errors = flat(error.messages)
        return not self.errors

    @property
    def key(self) -> str:
        """Return the form's idempotency key, "" where it has none that can be used."""
        key = str(self.typed.get("idempotency_key", ""))
        return key if len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable() else ""

    def refuse(self, name: str, text: str) -> None:
        """Add an error found later (an address already taken) to a field, or to the form where name is empty."""
        self.errors.setdefault(name, []).append(text)

    def value(self, name: str) -> str:
        """Return a field's text as typed, without what HTML cannot show."""
        return str(self.typed.get(name, "") if self.typed.get(name) is not None else "").replace("\0", "")

    def all(self, name: str) -> list[str]:
        """Return all texts of a field that may stand several times."""
        return [str(value) for value in self.typed.getlist(name)]

    def label(self, name: str) -> str:
        """Return the words that the page uses for a field."""
        return str(self.labels.get(name, name))


def flat(messages: object, prefix: str = "") -> dict[str, list[str]]:
    """Bring marshmallow's nested messages to field → texts, nested fields as "a.0.b"."""
    if isinstance(messages, Mapping):
        found: dict[str, list[str]] = {}
        for key, inner in messages.items():
            name = "" if key == "_schema" else str(key)
            found.update(flat(inner, ".".join(part for part in (prefix, name) if part)))
        return found
    if isinstance(messages, (list, tuple)):
        return {prefix: [str(text) for text in messages]}
    return {prefix: [str(messages)]}
