"""Tickets: what was signed comes back; nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.tickets import MAX_CHARS, Action, Ticket, TicketError, TicketFault, check, derive, make

KEY = derive("s" * 64, "tickets")
TICKET = Ticket(Action.WATCH, "session1", "person:p1", "Мария Ивановна", "school1", 1000)
ANY = tuple(Action)


def fault(text: str, now_s: float = 0, **wanted) -> TicketFault:
    with pytest.raises(TicketError) as caught:
        check(text, KEY, now_s, **{"actions": ANY, **wanted})
    return caught.value.fault


@given(st.sampled_from(Action), st.text(max_size=16), st.text(max_size=200), st.integers(1, 2**40))
def test_what_was_signed_comes_back(action, session, name, expires_s):
    """Every ticket is read as it was made, whatever is in its texts."""
    ticket = Ticket(action, session, "guest:g", name, "", expires_s)
    text = make(ticket, KEY)
    assert len(text) <= MAX_CHARS
    assert check(text, KEY, 0, actions=[action], session_id=session) == ticket


@given(st.data())
def test_any_changed_character_is_refused(data):
    """A ticket with one character changed is never accepted."""
    text = make(TICKET, KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != text[place]))
    assert fault(text[:place] + other + text[place + 1 :]) in (TicketFault.FORGED, TicketFault.MALFORMED)


@given(st.text(max_size=300))
def test_garbage_is_refused(text):
    """Any text is refused with a reason and no other exception."""
    assert fault(text) in (TicketFault.FORGED, TicketFault.MALFORMED)


@pytest.mark.parametrize("text", ["", "t1", "t1..", "t1.e30", "t2.e30.e30", "t1.e30.!!", "t1." + "e30" * 1000 + ".e30"])
def test_broken_tickets_are_malformed(text):
    """What is no ticket at all is called so."""
    assert fault(text) is TicketFault.MALFORMED


def test_a_ticket_of_another_key_is_forged():
    """Keys of other purposes or secrets sign nothing that is accepted."""
    for key in (derive("s" * 64, "control"), derive("t" * 64, "tickets")):
        assert fault(make(TICKET, key)) is TicketFault.FORGED


def test_a_ticket_ends_at_its_moment():
    """A ticket is good until its moment and not at it."""
    text = make(TICKET, KEY)
    assert check(text, KEY, 999.9, actions=ANY) == TICKET
    assert fault(text, 1000) is TicketFault.EXPIRED


def test_a_ticket_is_for_one_session_and_action():
    """A genuine ticket for something else is refused by what is wrong with it."""
    text = make(TICKET, KEY)
    assert fault(text, session_id="session2") is TicketFault.WRONG_SESSION
    assert fault(text, actions=[Action.HOST]) is TicketFault.WRONG_ACTION


@pytest.mark.parametrize("letter", ["Я", "\x00", "😀"])
def test_a_long_name_is_cut(letter):
    """A name of any length and any characters makes a ticket that is read again."""
    text = make(replace(TICKET, name=letter * 1000), KEY)
    assert check(text, KEY, 0, actions=ANY).name == letter * 200


def test_a_short_key_signs_nothing():
    """A key of less than 32 bytes is a mistake of the program."""
    with pytest.raises(ValueError, match="32 bytes"):
        make(TICKET, b"short")
