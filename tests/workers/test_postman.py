"""Letters: where they go, and what stands in them."""

from datetime import UTC, datetime

import pytest

from config import SettingError
from store.models import OutboxMail
from workers import postman


def mail(**changes):
    """An outbox row that is not in any database."""
    row = {
        "id": 7,
        "to_address": "anna@school.example",
        "subject": "Приглашение: открытый урок",
        "body": "Здравствуйте!\n",
        "created_at": datetime(2026, 3, 2, 9, tzinfo=UTC),
    }
    return OutboxMail(**(row | changes))


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", ("mail.example", 25, "", "", False)),
        ("smtp://a%40b:p%2Fw@mail.example:587", ("mail.example", 587, "a@b", "p/w", False)),
        ("smtps://u:p@mail.example", ("mail.example", 465, "u", "p", True)),
    ],
)
def test_the_setting_names_the_server(url, server):
    """Ports default by scheme; user and password may hold any character, percent-encoded."""
    assert postman.parse_url(url) == postman.MailServer(*server)


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp://mail.example:99999"])
def test_a_setting_that_names_no_server_is_refused_by_name(url):
    """The error says which setting and what is expected, and does not repeat the password."""
    with pytest.raises(SettingError, match=r"SMTP_URL.*expected"):
        postman.parse_url(url)


def test_a_letter_sent_twice_is_the_same_letter():
    """Delivery is at least once; the same Message-ID lets mail programs see that it is a repeat."""
    first, second = (postman.letter(mail(), "tropa@centre.example") for _ in range(2))
    assert first["Message-ID"] == second["Message-ID"] == "<outbox-7-1772442000@centre.example>"
    assert first["Subject"] == "Приглашение: открытый урок"
    assert first.get_content().strip() == "Здравствуйте!"
    assert first["Auto-Submitted"] == "auto-generated"


def test_a_subject_cannot_smuggle_in_a_header():
    """A line break in a subject is refused, not sent."""
    with pytest.raises(ValueError, match=r"linefeed|newline|carriage"):
        postman.letter(mail(subject="a\r\nBcc: everyone@school.example"), "tropa@centre.example")
