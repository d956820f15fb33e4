"""Fill the database with the sample district; keep one lesson on air and one room open whenever asked again."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import select

from rules import grades, tickets
from rules.airtime import airtime
from rules.lifecycle import SessionState
from rules.rights import Role
from rules.tickets import Action, Ticket
from store import booking, guests, logins, people, seminars
from store.booking import Booked, Clash, Draft
from store.models import Person, School, Seminar, Session, db
from supervisor.demo import district
from supervisor.demo.district import SampleSession

ACCOUNTS_FILE = "accounts.json"
ACCOUNTS = ("coordinator", "host", "teacher", "school")
GUEST = "Ирина Николаевна"
# Longer than a day of trying things out; a ticket is refused earlier only where its session or bearer is gone.
TICKET_TIME = timedelta(hours=36)
# A demo of yesterday left its lesson where it was; today's begins anew.
STALE = timedelta(hours=8)


class NotADemo(Exception):
    """The data folder holds a district of real people; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """How one of the demo's people gets in: by the form, or over the API."""

    login: str
    password: str
    token: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo shows now: session ids and the tickets to them."""

    live_id: str
    live_join: str
    live_host: str
    live_watch: str
    idle_id: str
    idle_host: str
    idle_watch: str


def fill(folder: Path, now: datetime) -> dict[str, Account]:
    """Make schools, people and this week's programme where they are missing; return the accounts to hand out."""
    kept = _kept_accounts(folder / ACCOUNTS_FILE)
    if not kept and db.session.scalar(select(Person.id).limit(1)) is not None:
        raise NotADemo(
            "This data folder already holds a district of its own, which the demo must not mix with. "
            "Name another folder, for instance: TROPA_DATA=var-demo make demo"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    schools = _schools(now)
    accounts = _people(schools, kept, folder / ACCOUNTS_FILE, now)
    _programme(schools, now)
    return accounts


def on_air(secret_key: str, channels: int, now: datetime) -> Demo:
    """Find or book the lesson that is live now and the room that is open now, and make tickets to them."""
    live = _open_session(district.LIVE, channels, now)
    idle = _open_session(district.IDLE, channels, now)
    guest_id = _guest(live, now)
    expires_s = int((now + TICKET_TIME).timestamp())
    key = tickets.derive(secret_key, "tickets")

    def ticket(action: Action, session_id: str, bearer: str, name: str) -> str:
        return tickets.make(Ticket(action, session_id, bearer, name, "", expires_s), key)

    def host(session_id: str, who: str) -> str:
        person = _person(who)
        return ticket(Action.HOST, session_id, f"person:{person.id}", person.name)

    teacher = _person("teacher")
    return Demo(
        live_id=live,
        live_join=ticket(Action.JOIN, live, f"guest:{guest_id}", GUEST),
        live_host=host(live, district.LIVE.host),
        live_watch=ticket(Action.WATCH, live, f"guest:{guest_id}", GUEST),
        idle_id=idle,
        idle_host=host(idle, district.IDLE.host),
        idle_watch=ticket(Action.WATCH, idle, f"person:{teacher.id}", teacher.name),
    )


def recorded(now: datetime) -> Session:
    """Return last week's lesson, the one that has a recording; booked on the first start."""
    row = db.session.scalar(select(Session).where(Session.title == district.RECORDED.title))
    if row is None:
        zone = next(one.timezone for one in district.SCHOOLS if one.key == _school_of(district.RECORDED.host))
        monday = district.monday_of(now.astimezone(ZoneInfo(zone)).date())
        starts = district.starts_at(district.RECORDED, monday, zone)
        row = db.session.get_one(Session, _book(district.RECORDED, starts, None, starts - timedelta(days=7), 4))
    return row


def email(key: str) -> str:
    """Return a sample person's address; the domain belongs to nobody (RFC 2606)."""
    return f"{key}@tropa.example"


def write_private(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON that only this user may read, all at once or not at all."""
    making = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
        file.flush()
        os.fsync(file.fileno())
    os.replace(making, path)


def _kept_accounts(path: Path) -> dict[str, Account]:
    try:
        return {name: Account(**fields) for name, fields in json.loads(path.read_text("utf-8")).items()}
    except FileNotFoundError:
        return {}


def _schools(now: datetime) -> dict[str, School]:
    known = {row.name: row for row in people.schools()}
    found = {}
    for one in district.SCHOOLS:
        found[one.key] = known.get(one.name) or people.create_school(
            *(one.name, one.timezone, now),
            place=one.place,
            link_down_kbps=one.down_kbps,
            link_up_kbps=one.up_kbps,
        )
    return found


def _people(schools: Mapping[str, School], kept: dict[str, Account], path: Path, now: datetime) -> dict[str, Account]:
    """Make the sample people; passwords are chance and kept beside the demo, for nobody's folder shall share them."""
    for one in district.PEOPLE:
        row = people.person_by_email(email(one.key))
        password = kept[one.key].password if one.key in kept else secrets.token_urlsafe(9)
        if row is None:
            roles = [(one.role, schools[one.school].id if one.school else None)]
            if one.school is None:
                roles.append((Role.ADMINISTRATOR, None))
            row = people.create_person(email(one.key), one.name, password, roles, now)
            if one.timezone is not None:
                people.set_timezone(row.id, one.timezone)
        elif one.key in ACCOUNTS and one.key not in kept:
            people.set_password(row.id, password, now)
        if one.key in ACCOUNTS and (one.key not in kept or logins.find_api_token(kept[one.key].token, now) is None):
            _, token = logins.create_api_token(row.id, "demo", now)
            kept[one.key] = Account(email(one.key), password, token)
            write_private(path, {name: asdict(account) for name, account in kept.items()})
    return {name: kept[name] for name in ACCOUNTS}


def _programme(schools: Mapping[str, School], now: datetime) -> None:
    """Book this week's programme, whatever of it is not yet booked."""
    seminar = db.session.scalar(select(Seminar).where(Seminar.title == district.SEMINAR))
    if seminar is None:
        coordinator = _person("coordinator").id
        seminar = seminars.create_seminar(district.SEMINAR, district.SEMINAR_DESCRIPTION, None, coordinator, now)
    for one in district.PROGRAMME:
        zone = schools[_school_of(one.host)].timezone
        starts = district.starts_at(one, district.monday_of(now.astimezone(ZoneInfo(zone)).date()), zone)
        known = select(Session.id).where(Session.title == one.title, Session.starts_at == starts)
        if db.session.scalar(known) is None:
            # Lessons of this week that are past were booked the week before, as it were.
            _book(one, starts, seminar.id if one.in_seminar else None, min(now, starts - timedelta(days=7)), 4)


def _guest(session_id: str, now: datetime) -> str:
    """Return a guest of a session whose link lasts as long as a fresh ticket does, within half a day."""
    for row in guests.guests(session_id):
        if row.name == GUEST and row.expires_at > now + TICKET_TIME / 2:
            return row.id
    return guests.add_guest(session_id, None, GUEST, _person("coordinator").id, now, now + TICKET_TIME).id


def _open_session(sample: SampleSession, channels: int, now: datetime) -> str:
    """Return the session of this sample that may be on air now: a kept one where there is one, else a new one."""
    query = select(Session).where(Session.title == sample.title, Session.starts_at > now - STALE)
    for row in db.session.scalars(query.order_by(Session.starts_at.desc())):
        if airtime(SessionState(row.state), row.starts_at, row.minutes, now).fault is None:
            return row.id
    seminar = db.session.scalar(select(Seminar.id).where(Seminar.title == district.SEMINAR))
    return _book(sample, district.open_since(now), seminar if sample.in_seminar else None, now, channels)


def _book(sample: SampleSession, starts: datetime, seminar_id: str | None, now: datetime, channels: int) -> str:
    host = _person(sample.host)
    draft = Draft(
        kind=sample.kind,
        title=sample.title,
        subject=sample.subject,
        host_school_id=next(one.school_id for one in host.memberships if one.school_id),
        host_person_id=host.id,
        starts_at=starts,
        minutes=sample.minutes,
        description=sample.description,
        grades=grades.parse(sample.grades),
        seminar_id=seminar_id,
    )
    match booking.book(draft, _person("coordinator").id, now, channels):
        case Booked(session_id=session_id):
            return session_id
        case Clash(suggestions=(nearest, *_)):
            # Somebody booked into the demo; the sample moves, as any lesson would.
            return _book(sample, nearest.starts_at, seminar_id, now, channels)
        case refused:
            raise RuntimeError(f"the sample session «{sample.title}» cannot be booked: {refused}")


def _person(key: str) -> Person:
    row = people.person_by_email(email(key))
    if row is None:
        raise RuntimeError(f"the sample person {email(key)} is gone; remove the data folder and start the demo again")
    return row


def _school_of(key: str) -> str:
    return next(one.school for one in district.PEOPLE if one.key == key)
