"""What the API answers with. Times are RFC 3339 in UTC, sizes bytes, rates kbit/s, lengths as the field's name says."""

from __future__ import annotations

from datetime import UTC

from marshmallow import Schema, fields


class Utc(fields.Field):
    """A moment as RFC 3339 in UTC."""

    def _serialize(self, value, attr, obj, **options) -> str | None:
        return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


MOMENT = {"type": "string", "format": "date-time"}


def moment(nullable: bool = False, **options) -> Utc:
    """Make a field for a moment with its OpenAPI type."""
    return Utc(allow_none=nullable, metadata={**MOMENT, **options})


class SchoolShape(Schema):
    """A school with its measured link."""

    id = fields.String()
    name = fields.String()
    place = fields.String()
    timezone = fields.String()
    link_down_kbps = fields.Integer(allow_none=True)
    link_up_kbps = fields.Integer(allow_none=True)


class MembershipShape(Schema):
    """A role at a school, or in the district where school_id is null."""

    id = fields.Integer()
    role = fields.String()
    school_id = fields.String(allow_none=True)


class PersonShape(Schema):
    """Somebody with an account, as those see them who manage people."""

    id = fields.String()
    name = fields.String()
    email = fields.String()
    locale = fields.String()
    timezone = fields.String(allow_none=True, metadata={"description": "null: that of the first school"})
    disabled = fields.Function(lambda person: person.disabled_at is not None, metadata={"type": "boolean"})
    memberships = fields.List(fields.Nested(MembershipShape))


class AddressesShape(Schema):
    """Secret addresses of one's own."""

    calendar = fields.String()
    podcast = fields.String(allow_none=True)
    podcast_kind = fields.String(allow_none=True)


class PasswordResetShape(Schema):
    """A link for a new password, shown this once; mailed says whether a letter was sent too."""

    url = fields.String()
    expires_at = moment()
    mailed = fields.Boolean()


class InvitationShape(Schema):
    """A one-time link that makes an account."""

    id = fields.String()
    role = fields.String()
    school_id = fields.String(allow_none=True)
    name = fields.String()
    email = fields.String()
    created_at = moment()
    expires_at = moment()


class InvitationMadeShape(InvitationShape):
    """An invitation just made; its address is shown this once."""

    url = fields.String()


class SessionShape(Schema):
    """One programme item."""

    id = fields.String()
    seminar_id = fields.String(allow_none=True)
    kind = fields.String()
    title = fields.String()
    subject = fields.String()
    description = fields.String()
    grades = fields.String()
    host_school_id = fields.String()
    host_person_id = fields.String()
    starts_at = moment()
    minutes = fields.Integer()
    channel = fields.Integer()
    audience = fields.String()
    invited = fields.Function(
        lambda session: sorted(row.school_id for row in session.invited),
        metadata={"type": "array", "items": {"type": "string"}},
    )
    state = fields.String()
    sequence = fields.Integer()
    created_at = moment()
    updated_at = moment()
    first_live_at = moment(nullable=True)
    ended_at = moment(nullable=True)


class SessionsShape(Schema):
    """Sessions of a week."""

    monday = fields.Date()
    timezone = fields.String()
    channels = fields.Integer()
    sessions = fields.List(fields.Nested(SessionShape))


class SeminarShape(Schema):
    """A programme of sessions."""

    id = fields.String()
    title = fields.String()
    description = fields.String()
    organiser_school_id = fields.String(allow_none=True)
    created_at = moment()
    updated_at = moment()


class SeminarPageShape(SeminarShape):
    """A seminar with what of it the asker may see."""

    sessions = fields.List(fields.Nested(SessionShape))


class GuestShape(Schema):
    """A teacher without an account; url is the personal link, null once it no longer works."""

    id = fields.String()
    name = fields.String()
    school_id = fields.String(allow_none=True)
    created_at = moment()
    expires_at = moment()
    revoked_at = moment(nullable=True)
    url = fields.String(allow_none=True)


class TicketShape(Schema):
    """A ticket and the addresses that take it as bearer."""

    action = fields.String()
    token = fields.String()
    expires_at = moment()
    whip_url = fields.String(allow_none=True)
    whep_url = fields.String(allow_none=True)


class AttendanceShape(Schema):
    """One stay of one viewer."""

    viewer_key = fields.String()
    name = fields.String()
    school_id = fields.String(allow_none=True)
    joined_at = moment()
    left_at = moment()


class RenditionShape(Schema):
    """One file of a recording; url, bytes and digest are there once it is published."""

    id = fields.String()
    kind = fields.String()
    state = fields.String()
    stage = fields.String()
    percent = fields.Float()
    eta_s = fields.Float(allow_none=True)
    error = fields.String()
    content_type = fields.String()
    bytes = fields.Integer(allow_none=True)
    sha256 = fields.String()
    duration_s = fields.Float(allow_none=True)
    width = fields.Integer(allow_none=True)
    height = fields.Integer(allow_none=True)
    fps = fields.Float(allow_none=True)
    minutes_at_kbps = fields.Dict(keys=fields.String(), values=fields.Integer())
    url = fields.String(allow_none=True)


class GapShape(Schema):
    """An interruption: where in the recording, and how long."""

    at_s = fields.Float()
    seconds = fields.Float()


class RecordingShape(Schema):
    """What was recorded of a session."""

    id = fields.String()
    session_id = fields.String()
    state = fields.String()
    failure = fields.String()
    started_at = moment()
    ended_at = moment()
    duration_s = fields.Float(allow_none=True)
    gaps = fields.List(fields.Nested(GapShape))
    origin = fields.String(metadata={"description": "live, or upload"})
    notes = fields.List(fields.Dict(), metadata={"description": "What to know of it: a code with figures"})
    plan = fields.List(fields.String(), metadata={"description": "Why the small files are as they are, in sentences"})
    best = fields.String(
        metadata={"description": "The best file for the asker's school, in words; empty where there is none"}
    )
    kept = fields.Boolean(metadata={"description": "Nothing of it goes by itself"})
    source_removed_at = moment(nullable=True)
    renditions = fields.List(fields.Nested(RenditionShape))


class RecordingsShape(Schema):
    """A page of the library."""

    total = fields.Integer()
    page = fields.Integer()
    recordings = fields.List(fields.Nested(RecordingShape))


class LinkTestBegunShape(Schema):
    """A test that has begun."""

    id = fields.String()
    school_id = fields.String(allow_none=True)
    most_bytes = fields.Integer(metadata={"description": "how long one piece may be"})


class SdpShape(Schema):
    """An SDP answer."""

    answer = fields.String()


class LinkDirectionShape(Schema):
    """How the measurement of one direction over the media port stands; empty where there is none."""

    state = fields.String(metadata={"enum": ["running", "done", "failed"]})
    way = fields.String(metadata={"enum": ["", "udp", "tcp"]})
    down_kbps = fields.Integer()
    up_kbps = fields.Integer()
    rtt_ms = fields.Integer()
    loss_percent = fields.Float()


class LinkMediaShape(Schema):
    """Both directions."""

    down = fields.Nested(LinkDirectionShape)
    up = fields.Nested(LinkDirectionShape)


class LinkTestProgressShape(Schema):
    """How a test stands."""

    id = fields.String()
    state = fields.String(metadata={"enum": ["running", "done", "stopped"]})
    media = fields.Nested(LinkMediaShape)


class LinkUploadShape(Schema):
    """How an upload came; kbps is null where its pieces were too few to tell."""

    kbps = fields.Integer(allow_none=True)
    bytes = fields.Integer()


class LinkFigureShape(Schema):
    """One figure in words."""

    name = fields.String()
    value = fields.String()


class LinkTestShape(Schema):
    """A kept result; rates are those of IP packets. 2000 kbit/s stands for that or more."""

    id = fields.String()
    school_id = fields.String(allow_none=True)
    name = fields.String(metadata={"description": "who tested"})
    started_at = moment()
    way = fields.String(metadata={"enum": ["udp", "tcp", "http"]})
    down_kbps = fields.Integer(allow_none=True)
    up_kbps = fields.Integer(allow_none=True)
    rtt_ms = fields.Integer(allow_none=True)
    loss_percent = fields.Float(allow_none=True)
    verdict = fields.List(fields.String(), metadata={"description": "what the link gets, in the asker's language"})
    advice = fields.List(fields.String())
    figures = fields.List(fields.Nested(LinkFigureShape))


class TermsShape(Schema):
    """What a school downloads by; empty and null leave a field open."""

    night_from = fields.String()
    night_to = fields.String()
    rate_kbps = fields.Integer(allow_none=True)
    monthly_mb = fields.Integer(allow_none=True)
    kinds = fields.List(fields.String())
    subjects = fields.List(fields.String())
    grades = fields.String()


class MirrorShape(Schema):
    """A school's computer that fetches by itself; month_bytes on the wire in `month`, `said` is what troubles it."""

    id = fields.String()
    name = fields.String()
    created_at = moment()
    last_seen_at = moment(nullable=True)
    month = fields.String()
    month_bytes = fields.Integer()
    said = fields.String()


class MirrorMadeShape(Schema):
    """A computer just let in; its token is shown this once."""

    id = fields.String()
    name = fields.String()
    token = fields.String()


class ReportKeptShape(Schema):
    """The files whose receipts were kept, and those that the server knows otherwise, or not at all."""

    kept = fields.List(fields.String())
    unknown = fields.List(fields.String())


class ArrivedShape(Schema):
    """A file that has arrived and was verified; way is "net" or "usb"."""

    kind = fields.String()
    way = fields.String()
    verified_at = moment()
    sha256 = fields.String()


class ArrivalShape(Schema):
    """A school that a recording is for, with the files that have arrived there."""

    school_id = fields.String()
    school = fields.String()
    files = fields.List(fields.Nested(ArrivedShape))


class UploadShape(Schema):
    """A file that somebody sends; state as rules/lifecycle.py says, `failure` a code and `reason` its words."""

    id = fields.String()
    url = fields.String(metadata={"description": "Where tus goes on"})
    person_id = fields.String()
    school_id = fields.String()
    session_id = fields.String(allow_none=True)
    recording_id = fields.String(allow_none=True)
    filename = fields.String()
    filetype = fields.String()
    fingerprint = fields.String()
    title = fields.String()
    subject = fields.String()
    grades = fields.String()
    description = fields.String()
    held_at = moment(nullable=True)
    length = fields.Integer()
    offset = fields.Integer()
    sha256 = fields.String()
    state = fields.String()
    failure = fields.String()
    reason = fields.String()
    created_at = moment()
    updated_at = moment()
    expires_at = moment()


class CaptionTrackShape(Schema):
    """A recording's captions in one language; version rises with every change."""

    language = fields.String()
    version = fields.Integer()
    cues = fields.Integer()
    updated_at = moment()
    url = fields.String()
