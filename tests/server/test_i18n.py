"""Times and zones as people here write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from flask import Flask

from server import i18n

NOON = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def bare() -> Flask:
    """An application that knows languages and nothing else."""
    made = Flask("bare")
    i18n.init_app(made, "Asia/Irkutsk")
    return made


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("Europe/Moscow", "MSK (UTC+3)"),
        ("Europe/Kaliningrad", "MSK-1 (UTC+2)"),
        ("Asia/Krasnoyarsk", "MSK+4 (UTC+7)"),
        ("Asia/Kolkata", "MSK+2:30 (UTC+5:30)"),
        ("America/St_Johns", "MSK-6:30 (UTC-3:30)"),
        ("UTC", "MSK-3 (UTC+0)"),
    ],
)
def test_zones_are_written_as_timetables_do(bare: Flask, zone: str, label: str) -> None:
    """A zone is its distance from Moscow and from UTC."""
    with bare.test_request_context(headers={"Cookie": "tropa_language=en"}):
        assert i18n.zone_label(zone, NOON) == label


def test_offset_is_that_of_the_day() -> None:
    """Moscow was UTC+4 in 2012: the label follows the moment it is for."""
    bare = Flask("bare")
    i18n.init_app(bare, "Europe/Moscow")
    with bare.test_request_context(headers={"Cookie": "tropa_language=en"}):
        assert i18n.zone_label("Europe/Moscow", datetime(2012, 6, 1, tzinfo=UTC)) == "MSK (UTC+4)"


def test_moment_is_shown_in_the_viewers_zone(bare: Flask) -> None:
    """A stored UTC time is shown on the viewer's clock, and machines find UTC in the element."""
    with bare.test_request_context():
        shown = i18n.when(NOON)
        assert shown == '<time datetime="2026-11-24T12:30:00Z">24 ноября, 20:30</time>'
        assert i18n.clock(NOON, "Europe/Moscow") == '<time datetime="2026-11-24T12:30:00Z">15:30</time>'
        assert i18n.day(NOON) == "вторник, 24 ноября"


def test_numbers_have_the_languages_comma(bare: Flask) -> None:
    """1,4 in Russian and 1.4 in English."""
    with bare.test_request_context():
        assert i18n.decimal(1.44) == "1,4"
    with bare.test_request_context(headers={"Cookie": "tropa_language=en"}):
        assert i18n.decimal(1.44) == "1.4"


def test_present_zone_is_always_offered(bare: Flask) -> None:
    """A school in a rare zone keeps it when its form is saved."""
    with bare.test_request_context():
        assert "Asia/Chita" in dict(i18n.zone_choices("Asia/Chita"))
        assert "Mars/Olympus" not in dict(i18n.zone_choices("Mars/Olympus"))


@pytest.mark.parametrize("cookie", ["", "de", "ru; en", "../en"])
def test_unknown_languages_are_russian(bare: Flask, cookie: str) -> None:
    """Russian unless English was asked for."""
    with bare.test_request_context(headers={"Cookie": f"tropa_language={cookie}"}):
        assert i18n.current_language() == "ru"
