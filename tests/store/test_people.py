"""Accounts, roles, logins, tokens, invitations and the first coordinator's link."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from rules.rights import NOBODY, Role, may_administer
from store import guests, invitations, logins, people
from store.database import bare_app
from store.invitations import InvitationRefused, Refusal
from store.models import Invitation, LoginSession, db
from tests.store.conftest import NOW

LATER = NOW + timedelta(hours=1)
FIRST = {"email": "First@Example.org ", "name": "Первая", "password": "a long password"}


def refusal(call) -> Refusal:
    with pytest.raises(InvitationRefused) as caught:
        call()
    return caught.value.reason


def at_once(app, calls) -> list:
    """Run every call at the same moment in a thread of its own; returns results and exceptions."""
    results: list = []
    start = threading.Barrier(len(calls))

    def run(call) -> None:
        with app.app_context():
            start.wait()
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
                results.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    return results


def test_names_of_schools_and_addresses_are_unique(school, host):
    """A second school of one name and a second account of one address are refused by the field's name."""
    with pytest.raises(people.Taken, match="name"):
        people.create_school(school.name, "UTC", NOW)
    with pytest.raises(people.Taken, match="email"):
        people.create_person(host.email.upper(), "X", "a long password", [], NOW)


def test_renaming_a_school_to_anothers_name_is_refused(school):
    """A school keeps its name when the new one is another's."""
    other = people.create_school("Школа № 2", "UTC", NOW)
    facts = {"place": "", "timezone": "UTC", "link_down_kbps": 256, "link_up_kbps": 64}
    with pytest.raises(people.Taken):
        people.update_school(other.id, name=school.name, **facts)
    assert people.school(other.id).name == "Школа № 2"
    assert people.update_school(other.id, name="Школа № 3", **facts).link_up_kbps == 64


def test_passwords_are_checked(host):
    """The right password opens the account under any spelling of the address; a wrong one or unknown address do not."""
    assert people.authenticate(" HOST@example.org", "a long password").id == host.id
    assert people.authenticate("host@example.org", "another password") is None
    assert people.authenticate("nobody@example.org", "a long password") is None


def test_an_unknown_address_costs_a_hash_too(host, monkeypatch):
    """Whether an account exists does not show in the work done."""
    seen = []
    monkeypatch.setattr(people, "verify_password", lambda stored, password: seen.append(stored) or False)
    people.authenticate("nobody@example.org", "x")
    people.authenticate("host@example.org", "x")
    assert [stored.split("$")[1] for stored in seen] == ["argon2id", "argon2id"]


def test_roles_make_the_actor(school, host):
    """An actor has the roles given; a role given twice is held once; a role taken away is gone."""
    people.grant(host.id, Role.LIBRARIAN, school.id)
    people.grant(host.id, Role.LIBRARIAN, school.id)
    actor = people.actor_of_person(host.id)
    assert actor.memberships == {(Role.HOST, school.id), (Role.LIBRARIAN, school.id)}
    librarian = next(m for m in people.person(host.id).memberships if m.role == Role.LIBRARIAN)
    people.revoke_membership(librarian.id)
    assert people.actor_of_person(host.id).memberships == {(Role.HOST, school.id)}


def test_a_role_given_by_many_at_once_is_held_once(app, host, school):
    """Concurrent grants of one role all succeed."""
    person_id, school_id = host.id, school.id
    calls = [lambda: people.grant(person_id, Role.TEACHER, school_id)] * 8
    assert at_once(app, calls) == [None] * 8
    assert len(people.person(person_id).memberships) == 2


def test_a_disabled_person_is_nobody_at_once(host):
    """Disabling ends logins and tokens, and the password opens nothing; enabling brings no old login back."""
    _, cookie = logins.start_login(host.id, "browser", NOW, 30)
    _, token = logins.create_api_token(host.id, "script", NOW)
    people.set_disabled(host.id, True, NOW)
    assert logins.find_login(cookie, NOW) is None
    assert logins.find_api_token(token, NOW) is None
    assert people.authenticate("host@example.org", "a long password") is None
    assert people.actor_of_person(host.id) == NOBODY
    people.set_disabled(host.id, False, NOW)
    assert logins.find_login(cookie, NOW) is None
    assert people.authenticate("host@example.org", "a long password") is not None


def test_the_last_administrator_stays(coordinator):
    """The only administrator can neither be disabled nor lose the role."""
    with pytest.raises(people.LastAdministrator):
        people.set_disabled(coordinator.id, True, NOW)
    role = next(m for m in coordinator.memberships if m.role == Role.ADMINISTRATOR)
    with pytest.raises(people.LastAdministrator):
        people.revoke_membership(role.id)
    assert may_administer(people.actor_of_person(coordinator.id))


def test_logins_are_found_ended_and_run_out(host):
    """A login is found by its cookie until it is ended or over; only its owner ends it."""
    row, cookie = logins.start_login(host.id, "browser " * 100, NOW, 1)
    assert logins.find_login(cookie, LATER).person.id == host.id
    assert db.session.get(LoginSession, row.id).last_seen_at == LATER
    assert logins.find_login(cookie, NOW + timedelta(days=1)) is None
    assert logins.find_login(cookie + "x", NOW) is None
    assert not logins.end_login(row.id, "somebody else", NOW)
    assert logins.end_login(row.id, host.id, NOW)
    assert logins.find_login(cookie, NOW) is None
    assert logins.logins(host.id, NOW) == []


def test_a_new_password_ends_other_logins(host):
    """After a change of password only the browser that changed it stays logged in."""
    mine, cookie = logins.start_login(host.id, "mine", NOW, 30)
    _, other = logins.start_login(host.id, "other", NOW, 30)
    people.set_password(host.id, "a new password", NOW, keep_login_id=mine.id)
    assert logins.find_login(cookie, NOW) is not None
    assert logins.find_login(other, NOW) is None
    assert people.authenticate("host@example.org", "a new password") is not None


def test_api_tokens_are_found_until_revoked_or_over(host):
    """A token works until its end or until its owner revokes it; the database has only its hash."""
    row, text = logins.create_api_token(host.id, "script", NOW, expires_at=LATER)
    assert row.token_sha256 != text
    assert logins.find_api_token(text, NOW).person.id == host.id
    assert logins.find_api_token(text, LATER) is None
    assert logins.revoke_api_token(row.id, host.id, NOW)
    assert logins.find_api_token(text, NOW) is None


def test_an_invitation_makes_an_account_once(school, coordinator):
    """An accepted invitation gives its role and is used up."""
    _, token = invitations.invite(Role.TEACHER, school.id, coordinator.id, NOW, 14, name="Учитель")
    assert invitations.find_invitation(token, NOW).school.id == school.id
    made = invitations.accept_invitation(token, NOW, email="t@example.org", name="Учитель", password="a long password")
    assert people.actor_of(made).memberships == {(Role.TEACHER, school.id)}
    assert refusal(lambda: invitations.find_invitation(token, NOW)) is Refusal.USED


def test_an_invitation_for_a_known_address_is_not_used_up(school, coordinator, host):
    """A taken address refuses the account, keeps the invitation, and the account's owner can then use it."""
    _, token = invitations.invite(Role.LIBRARIAN, school.id, coordinator.id, NOW, 14)
    with pytest.raises(people.Taken):
        invitations.accept_invitation(token, NOW, email=host.email, name="X", password="a long password")
    person = invitations.accept_invitation_as(token, NOW, host.id)
    assert (Role.LIBRARIAN, school.id) in people.actor_of(person).memberships


def test_invitations_end(school, coordinator):
    """An expired, a revoked and an unknown invitation are refused by their reasons and not listed."""
    _, expired = invitations.invite(Role.HOST, school.id, coordinator.id, NOW - timedelta(days=15), 14)
    row, revoked = invitations.invite(Role.HOST, school.id, coordinator.id, NOW, 14)
    assert [open_.id for open_ in invitations.invitations(NOW, school.id)] == [row.id]
    assert invitations.revoke_invitation(row.id, NOW)
    assert refusal(lambda: invitations.find_invitation(expired, NOW)) is Refusal.EXPIRED
    assert refusal(lambda: invitations.find_invitation(revoked, NOW)) is Refusal.REVOKED
    assert refusal(lambda: invitations.find_invitation("x" * 43, NOW)) is Refusal.UNKNOWN
    assert invitations.invitations(NOW) == []


def test_of_many_who_accept_at_once_one_is_let_in(app, school, coordinator):
    """An invitation works once also when eight people use it at the same moment."""
    _, token = invitations.invite(Role.TEACHER, school.id, coordinator.id, NOW, 14)

    def accept(n: int):
        email = f"t{n}@example.org"
        return invitations.accept_invitation(token, NOW, email=email, name="T", password="a long password").id

    results = at_once(app, [lambda n=n: accept(n) for n in range(8)])
    assert sum(isinstance(result, str) for result in results) == 1, results
    assert all(isinstance(result, InvitationRefused) for result in results if not isinstance(result, str)), results
    assert len(people.persons()) == 2


def test_the_first_link_makes_the_first_coordinator_and_no_second(app, settings):
    """The newest first link works while nobody coordinates, once; then it is refused and no other is made."""
    stale = invitations.first_link_token(settings, NOW)
    token = invitations.first_link_token(settings, NOW)
    assert refusal(lambda: invitations.check_first_link(stale, NOW)) is Refusal.REVOKED
    invitations.check_first_link(token, NOW)
    made = invitations.accept_first(token, NOW, **FIRST)
    assert made.email == "first@example.org"
    assert people.actor_of(made).memberships == {(Role.COORDINATOR, None), (Role.ADMINISTRATOR, None)}
    assert refusal(lambda: invitations.accept_first(token, NOW, **FIRST)) is Refusal.USED
    assert invitations.first_link_token(settings, NOW) is None


def test_a_first_link_is_worthless_once_somebody_coordinates(app, settings, school):
    """A link that nobody used stops working when a coordinator comes into being in another way."""
    token = invitations.first_link_token(settings, NOW)
    people.create_person("c@example.org", "К", "a long password", [(Role.COORDINATOR, school.id)], NOW)
    assert refusal(lambda: invitations.check_first_link(token, NOW)) is Refusal.USED


def test_of_many_first_coordinators_at_once_one_is_made(app, settings):
    """The first link works once also when eight people use it at the same moment."""
    token = invitations.first_link_token(settings, NOW)
    calls = [
        lambda n=n: invitations.accept_first(token, NOW, email=f"c{n}@x.org", name="К", password="a long password").id
        for n in range(8)
    ]
    results = at_once(app, calls)
    assert sum(isinstance(result, str) for result in results) == 1, results
    assert len(people.persons()) == 1


def test_a_first_link_is_no_invitation(app, settings):
    """The two sorts of links cannot be used for one another."""
    token = invitations.first_link_token(settings, NOW)
    assert refusal(lambda: invitations.find_invitation(token, NOW)) is Refusal.UNKNOWN
    _, other = invitations.invite(Role.TEACHER, None, None, NOW, 14)
    assert refusal(lambda: invitations.check_first_link(other, NOW)) is Refusal.UNKNOWN


def test_the_supervisor_needs_no_application(settings):
    """A first link can be made from settings alone, and is then good for the web process."""
    token = invitations.first_link_token(settings, NOW)
    with bare_app(settings).app_context():
        invitations.check_first_link(token, NOW)
        assert db.session.query(Invitation).count() == 1
        db.session.remove()
        db.engine.dispose()


def test_guests_come_in_until_revoked_or_over(app):
    """An unknown guest is nobody."""
    assert people.actor_of_guest("unknown", NOW) == NOBODY
    assert guests.guest("unknown") is None
    assert not guests.revoke_guest("unknown", NOW)


def test_possible_hosts_are_of_the_school_or_the_district(school, host, coordinator):
    """A teacher of the school and a host of another one cannot host; nor can who is disabled."""
    other = people.create_school("Школа № 2", "UTC", NOW)
    people.create_person("a@example.org", "А", "a long password", [(Role.HOST, other.id)], NOW)
    people.create_person("b@example.org", "Б", "a long password", [(Role.TEACHER, school.id)], NOW)
    assert {row.id for row in people.possible_hosts(school.id)} == {host.id, coordinator.id}
    people.set_disabled(host.id, True, NOW)
    assert {row.id for row in people.possible_hosts(school.id)} == {coordinator.id}
