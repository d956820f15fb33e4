"""The link test: begun within limits, measured by the media process or over HTTP, kept for the school, shown."""

from __future__ import annotations

import re

import httpx
import pytest

from rules.linktest import Measured, Way
from server.liveplane import LivePlane
from store import database, linktests
from store.linktests import Limits
from store.models import School, db
from tests.server.fakemedia import CONTROL, FakeMedia

PREFIX = "/api/v1/link-tests"
DOWN = {"state": "done", "way": "udp", "down_kbps": 61, "rtt_ms": 105, "loss_percent": 0.5}
UP = {"state": "done", "way": "udp", "up_kbps": 60}


class FakeTests:
    """A media process that measures at once; without `reports` it answers 503, as when it is full."""

    def __init__(self) -> None:
        self.reports = {"down": DOWN, "up": UP}
        self.stopped: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer the control port's calls of link tests."""
        name = request.url.path.rpartition("/")[2]
        if request.method == "POST":
            direction = "up" if b"sendonly" in request.content else "down"
            if direction not in self.reports:
                return httpx.Response(503, json={"reason": "full"})
            return httpx.Response(201, json={"resource": direction, "answer": "v=0\r\n", "etag": "e"})
        if request.method == "DELETE":
            self.stopped.append(name)
            return httpx.Response(200, json={})
        return httpx.Response(200, json=self.reports[name])


@pytest.fixture
def media(app, settings) -> FakeTests:
    """The application with a media process that measures."""
    fake = FakeTests()
    FakeMedia(settings)  # writes where the control port is
    app.extensions["tropa_liveplane"] = LivePlane(settings, httpx.MockTransport(fake.answer))
    assert CONTROL
    return fake


def begin(client, headers, school_id=None) -> str:
    """Begin a test; return its address."""
    answer = client.post(PREFIX, json={"school_id": school_id}, headers=headers)
    assert answer.status_code == 201, answer.json
    return f"{PREFIX}/{answer.json['id']}"


def measure(client, headers, url: str) -> None:
    """Have both directions measured over the media port."""
    for direction, offer in (("down", "v=0 recvonly"), ("up", "v=0 sendonly")):
        answer = client.post(f"{url}/media", json={"direction": direction, "offer": offer}, headers=headers)
        assert answer.status_code == 201, answer.json


def test_a_result_is_kept_for_the_school(app, district, client, as_api, media):
    """What the media process measured becomes the school's link; the answer says in words what it gets."""
    school, headers = district.schools["sosnovka"], as_api("teacher")
    url = begin(client, headers, school)
    measure(client, headers, url)
    assert client.get(url, headers=headers).json["media"]["down"]["down_kbps"] == 61
    answer = client.post(f"{url}/finish", json={"down_bytes": 10**6, "down_ms": 20}, headers=headers)
    assert answer.status_code == 200
    told = {name: answer.json[name] for name in ("way", "down_kbps", "up_kbps", "rtt_ms", "loss_percent")}
    assert told == {"way": "udp", "down_kbps": 61, "up_kbps": 60, "rtt_ms": 105, "loss_percent": 0.5}
    assert "5 frames a second" in answer.json["verdict"][0]
    with app.app_context():
        row = db.session.get(School, school)
        assert (row.link_down_kbps, row.link_up_kbps) == (61, 60)
    assert media.stopped == ["down", "up"]
    assert client.post(f"{url}/finish", json={}, headers=headers).status_code == 409


def test_over_http_the_browser_is_believed_within_bounds(district, client, as_api, media):
    """Without the media port a download counts as the browser timed it, but not more than was given out."""
    media.reports = {}
    headers = as_api("teacher")
    url = begin(client, headers)
    offer = {"direction": "down", "offer": "v=0"}
    assert client.post(f"{url}/media", json=offer, headers=headers).status_code == 503
    piece = client.get(f"{url}/piece?bytes=32000", headers=headers)
    assert len(piece.data) == 32000 and piece.headers["Cache-Control"] == "no-store"
    lie = {"down_bytes": 64000, "down_ms": 4000, "rtt_ms": 80}
    assert client.post(f"{url}/finish", json=lie, headers=headers).status_code == 409
    truth = {"down_bytes": 32000, "down_ms": 4000, "rtt_ms": 80}
    answer = client.post(f"{url}/finish", json=truth, headers=headers).json
    assert (answer["way"], answer["down_kbps"], answer["rtt_ms"], answer["loss_percent"]) == ("http", 66, 80, None)


def test_over_tcp_the_way_is_the_media_ports_and_the_rate_is_not(client, as_api, media):
    """Where the media port is reached over TCP alone, it tells way and round trip, and HTTP the rate."""
    media.reports["down"] = {"state": "done", "way": "tcp", "rtt_ms": 98}
    headers = as_api("teacher")
    url = begin(client, headers)
    measure(client, headers, url)
    client.get(f"{url}/piece?bytes=32000", headers=headers)
    claims = {"down_bytes": 32000, "down_ms": 4000, "rtt_ms": 500}
    answer = client.post(f"{url}/finish", json=claims, headers=headers).json
    assert (answer["way"], answer["down_kbps"], answer["rtt_ms"]) == ("tcp", 66, 98)
    assert any("UDP port 8443" in text for text in answer["advice"])


def test_an_upload_is_timed_by_how_it_came(district, client, as_api, media):
    """The shell's note of the body's arrival decides; bytes count even where it could not tell."""
    headers = as_api("teacher") | {"Content-Type": "application/octet-stream"}
    url = begin(client, as_api("teacher"))
    arrivals = [(0.5 * i, 4000 * (i + 1)) for i in range(8)]
    options = {"data": bytes(32000), "headers": headers}
    answer = client.post(f"{url}/piece", environ_overrides={"tropa.arrivals": arrivals}, **options)
    assert answer.json["kbps"] == pytest.approx(66, abs=1)
    assert client.post(f"{url}/piece", **options).json == {"kbps": None, "bytes": 32000}
    assert client.post(f"{url}/finish", json={}, headers=as_api("teacher")).json["up_kbps"] == answer.json["kbps"]


def test_bytes_are_bounded(district, client, as_api, media):
    """A test moves so many bytes and no more, and no piece is longer than said at the beginning."""
    headers = as_api("teacher")
    answer = client.post(PREFIX, json={"school_id": None}, headers=headers).json
    url, most = f"{PREFIX}/{answer['id']}", answer["most_bytes"]
    assert client.get(f"{url}/piece?bytes={most + 1}", headers=headers).status_code == 422
    codes = [client.get(f"{url}/piece?bytes={most}", headers=headers).status_code for _ in range(9)]
    assert codes == [200] * 7 + [413] * 2


def test_a_test_is_its_testers_own(district, client, as_api, media):
    """Nobody else sees, ends or finishes a test; who stops it keeps nothing."""
    url = begin(client, as_api("teacher"), district.schools["sosnovka"])
    for who in ("host", "coordinator", "other_teacher"):
        assert client.get(url, headers=as_api(who)).status_code == 404
        assert client.delete(url, headers=as_api(who)).status_code == 404
    assert client.delete(url, headers=as_api("teacher")).status_code == 204
    assert client.post(f"{url}/finish", json={}, headers=as_api("teacher")).status_code == 409
    history = client.get(f"/api/v1/schools/{district.schools['sosnovka']}/link-tests", headers=as_api("teacher"))
    assert history.json == []


def test_for_which_school_one_may_test(district, client, as_api, media):
    """For one's own school or none; a school that is not there is said so."""
    assert (
        client.post(
            PREFIX, json={"school_id": district.schools["sosnovka"]}, headers=as_api("other_teacher")
        ).status_code
        == 403
    )
    assert client.post(PREFIX, json={"school_id": "nosuch"}, headers=as_api("teacher")).status_code == 404
    assert client.post(PREFIX, json={"school_id": None}, headers=as_api("nobody_yet")).status_code == 201


def test_two_tests_of_one_school_do_not_run_at_once(district, client, as_api, media):
    """The second is asked to wait; the same person's second replaces the first."""
    school = district.schools["sosnovka"]
    begin(client, as_api("teacher"), school)
    answer = client.post(PREFIX, json={"school_id": school}, headers=as_api("host"))
    assert answer.status_code == 409 and int(answer.headers["Retry-After"]) <= 60
    begin(client, as_api("teacher"), school)


def test_an_hour_has_so_many_tests(app, district, client, as_api, media):
    """Beyond the limit of an hour 429 says when; the results stay."""
    headers = as_api("teacher")
    for _ in range(app.config["TROPA"].link_tests_per_person):
        client.delete(begin(client, headers), headers=headers)
    answer = client.post(PREFIX, json={"school_id": None}, headers=headers)
    assert answer.status_code == 429 and 0 < int(answer.headers["Retry-After"]) <= 3600
    assert client.post(PREFIX, json={"school_id": None}, headers=as_api("host")).status_code == 201


def test_only_the_newest_results_are_kept(app, district):
    """The oldest go first."""
    school = district.schools["sosnovka"]
    with app.app_context():
        for kbps in (10, 20, 30):
            now = database.utc_now()
            row = linktests.begin("person:x", "Имя", school, now, Limits(9, 9, 2))
            linktests.finish(row.id, Measured(kbps, None, 50, 0.0, Way.UDP), now, kept=2)
        assert [row.down_kbps for row in linktests.history(school, 9)] == [30, 20]


@pytest.mark.parametrize(
    "body",
    [
        {"down_bytes": -1},
        {"down_bytes": "x"},
        {"down_ms": "NaN"},
        {"down_ms": "Infinity"},
        {"rtt_ms": 10**12},
        {"more": 1},
        [],
    ],
)
def test_bad_figures_are_refused_in_words(district, client, as_api, media, body):
    """What is no figure is told by field, and the test goes on."""
    headers = as_api("teacher")
    url = begin(client, headers)
    assert client.post(f"{url}/finish", json=body, headers=headers).status_code == 422
    assert client.get(url, headers=headers).json["state"] == "running"


def test_an_endless_offer_is_refused(district, client, as_api, media):
    """An offer of a megabyte is told by field and never reaches the media process."""
    headers = as_api("teacher")
    url = begin(client, headers)
    body = {"direction": "down", "offer": "v=0\r\n" * 20_000}
    answer = client.post(f"{url}/media", json=body, headers=headers)
    assert answer.status_code == 422
    assert "offer" in str(answer.json)


def test_results_are_shown_to_whom_they_concern(app, district, as_role, media):
    """Coordinators see them on the school's page and in the list; the school its own on the page of the test."""
    school = district.schools["sosnovka"]
    with app.app_context():
        now = database.utc_now()
        row = linktests.begin("person:x", "Тамара Петровна", school, now, Limits(9, 9, 9))
        linktests.finish(row.id, Measured(40, 30, 50, 0.0, Way.TCP), now, kept=9)
    for who, path in (
        ("coordinator", f"/schools/{school}"),
        ("teacher", "/link-test"),
        ("host", f"/link-test?school={school}"),
    ):
        assert "Тамара Петровна" in as_role(who).get(path).get_data(as_text=True), (who, path)
    assert "Тамара Петровна" not in as_role("other_teacher").get(f"/link-test?school={school}").get_data(as_text=True)
    listed = as_role("coordinator").get("/schools").get_data(as_text=True)
    assert "1 of 2 schools: voice, slides, a still picture now and then" in listed


def test_the_page_works_without_scripts_as_well_as_it_can(district, as_role):
    """It says that the test needs JavaScript and offers a file to be timed."""
    page = as_role("teacher").get("/link-test").get_data(as_text=True)
    noscript = re.search(r"<noscript>(.*?)</noscript>", page, re.S)[1]
    assert "/link-test/sample" in noscript and "JavaScript" in noscript
    assert len(as_role("teacher").get("/link-test/sample").data) == 100 * 1024
