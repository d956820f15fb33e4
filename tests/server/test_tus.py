"""tus at /uploads/ as clients speak it: through the shell, by token and by login, with errors that they understand."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from flask import Flask

from server import problems, tus
from server.asgi import ROUTES
from server.intake import Limits
from server.shell import Shell
from server.uploading import Uploads
from store import database, uploads
from store.models import Person, Upload
from tests.server.test_shell import Client, Reply

FILE = bytes(range(256)) * 8
CHUNK = {"Content-Type": "application/offset+octet-stream"}


def metadata(**values: str) -> str:
    """Write Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())


class Sender(Client):
    """A tus client of one of the district's people."""

    def __init__(self, app, token: str) -> None:
        super().__init__(app)
        self.token = token

    async def tus(self, method: str, path: str, *pieces: bytes, leave: bool = False, **headers: object) -> Reply:
        """Send one request; underscores in headers' names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        known = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {self.token}"}
        return await self.ask(path, *pieces, method=method, headers=known | named, leave=leave)

    async def announce(self, length: int = len(FILE), **values: str) -> str:
        """Create an upload and return its address."""
        reply = await self.tus("POST", "/uploads/", Upload_Length=length, Upload_Metadata=metadata(**values))
        assert reply.status == 201, reply.body
        return reply.headers["location"]


@pytest.fixture
def site(app: Flask, district) -> Iterator[Uploads]:
    """The application in its shell, behind the uploads."""
    settings = app.config["TROPA"]
    shell = Shell(app, Limits(1000, ROUTES), lambda _key: None)
    yield Uploads(app, settings, shell)
    shell.close()


@pytest.fixture
def sender(site: Uploads, district) -> Sender:
    """A host with an API token."""
    return Sender(site, district.tokens["host"])


def row_of(app: Flask, url: str) -> Upload:
    """Load the row behind an address."""
    with app.app_context():
        return uploads.find(url.rpartition("/")[2])


async def test_what_is_spoken_is_told_to_everybody(site: Uploads):
    """OPTIONS needs no login and no version."""
    reply = await Client(site).ask("/uploads/", method="OPTIONS")
    assert reply.status == 204
    assert reply.headers["tus-version"] == "1.0.0"
    said = set(reply.headers["tus-extension"].split(","))
    assert said == {"creation", "creation-with-upload", "termination", "checksum", "expiration"}
    assert {"sha1", "sha256", "md5"} <= set(reply.headers["tus-checksum-algorithm"].split(","))
    assert int(reply.headers["tus-max-size"]) == 16_000_000_000


async def test_a_file_is_announced_sent_and_handed_over(sender: Sender, app: Flask):
    """From the first word to the last byte: the row says what the workers need."""
    url = await sender.announce(filename="Урок 📐.mp4", filetype="video/mp4", description="О дробях")
    first = await sender.tus("PATCH", url, FILE[:500], Upload_Offset=0, **CHUNK)
    assert (first.status, first.headers["upload-offset"]) == (204, "500")
    assert first.headers["upload-expires"].endswith("GMT")
    await sender.tus("PATCH", url, FILE[500:900], Upload_Offset=500, leave=True, **CHUNK)
    asked = await sender.tus("HEAD", url)
    assert (asked.status, asked.headers["upload-offset"], asked.headers["upload-length"]) == (200, "900", "2048")
    assert asked.headers["cache-control"] == "no-store"
    last = await sender.tus("PATCH", url, FILE[900:], Upload_Offset=900, **CHUNK)
    assert (last.status, last.headers["upload-offset"]) == (204, "2048")
    row = row_of(app, url)
    assert (row.state, row.sha256) == ("received", hashlib.sha256(FILE).hexdigest())
    assert (row.title, row.filename, row.description) == ("Урок 📐", "Урок 📐.mp4", "О дробях")
    assert uploads.part_path(app.config["TROPA"], row.id).read_bytes() == FILE
    said = {"Upload_Offset": 2048, "Content_Length": 0, **CHUNK}
    assert (await sender.tus("PATCH", url, b"", **said)).status == 204
    assert (await sender.tus("PATCH", url, b"x", **said | {"Content_Length": 1})).status == 413
    late = await sender.tus("PATCH", url, FILE[900:], Upload_Offset=900, **CHUNK)
    assert (late.status, late.headers["upload-offset"]) == (409, "2048")
    assert (await sender.tus("DELETE", url)).status == 409


async def test_a_file_may_come_with_its_announcement(sender: Sender, app: Flask):
    """creation-with-upload, whole."""
    reply = await sender.tus("POST", "/uploads/", FILE, Upload_Length=len(FILE), Content_Length=len(FILE), **CHUNK)
    assert (reply.status, reply.headers["upload-offset"]) == (201, str(len(FILE)))
    assert row_of(app, reply.headers["location"]).state == "received"


async def test_an_empty_file_is_there_at_once(sender: Sender, app: Flask):
    """Whether anything can be made of it is for the workers to say, who find a file."""
    row = row_of(app, await sender.announce(0, filename="пусто.mp4"))
    assert row.state == "received"
    assert uploads.part_path(app.config["TROPA"], row.id).read_bytes() == b""


async def test_a_wrong_checksum_is_460_and_costs_one_piece(sender: Sender):
    """What came before it stays, and the same piece may be sent again."""
    url = await sender.announce()
    await sender.tus("PATCH", url, FILE[:1000], Upload_Offset=0, **CHUNK)
    digests = [base64.b64encode(hashlib.md5(piece).digest()).decode() for piece in (b"no", FILE[1000:])]
    wrong = await sender.tus(
        "PATCH", url, FILE[1000:], Upload_Offset=1000, Upload_Checksum=f"md5 {digests[0]}", **CHUNK
    )
    assert (wrong.status, wrong.headers["upload-offset"]) == (460, "1000")
    assert json.loads(wrong.body)["type"] == "urn:tropa:problem:checksum"
    right = await sender.tus(
        "PATCH", url, FILE[1000:], Upload_Offset=1000, Upload_Checksum=f"md5 {digests[1]}", **CHUNK
    )
    assert right.status == 204


async def test_a_wrong_offset_is_409_with_the_real_one(sender: Sender):
    """The header tells a client where to go on without asking again."""
    url = await sender.announce()
    await sender.tus("PATCH", url, FILE[:10], Upload_Offset=0, **CHUNK)
    for at, more in ((20, 1), (2000, 100), ("9" * 20, 1)):
        reply = await sender.tus("PATCH", url, FILE[:more], Upload_Offset=at, Content_Length=more, **CHUNK)
        assert (reply.status, reply.headers["upload-offset"], json.loads(reply.body)["offset"]) == (409, "10", 10)


async def test_what_is_too_long_is_answered_without_waiting_for_more(sender: Sender, monkeypatch):
    """Of undeclared length and come to its end: there is nothing left to read and drop."""
    dropped = []

    async def drain(receive) -> None:
        dropped.append(await receive())

    monkeypatch.setattr("server.receiving.drain", drain)
    url = await sender.announce(10)
    reply = await sender.tus("PATCH", url, b"x" * 6, b"y" * 6, Upload_Offset=0, **CHUNK)
    assert (reply.status, dropped) == (413, [])
    assert (await sender.tus("HEAD", url)).headers["upload-offset"] == "0"
    await sender.tus("PATCH", url, b"x" * 12, b"more", Upload_Offset=0, **CHUNK)
    assert [message["body"] for message in dropped] == [b"more"]


async def test_metadata_are_told_as_they_were_written(sender: Sender, app: Flask):
    """Unknown keys too, and whatever was changed on the page since."""
    written = metadata(name="урок.mp4", relativePath="видео/урок.mp4") + ",is_confidential"
    reply = await sender.tus("POST", "/uploads/", Upload_Length=5, Upload_Metadata=written)
    url = reply.headers["location"]
    with app.app_context():
        uploads.describe(url.rpartition("/")[2], database.utc_now(), {"title": "Другое"})
    assert (await sender.tus("HEAD", url)).headers["upload-metadata"] == written
    assert "upload-metadata" not in (await sender.tus("HEAD", await sender.announce())).headers


async def test_a_request_that_goes_on_keeps_its_upload(sender: Sender, app: Flask):
    """Begun in the last minute and at work for hours: neither rows nor bytes may go meanwhile."""
    url = await sender.announce()
    soon = database.utc_now() + timedelta(seconds=30)
    with app.app_context():
        uploads.progress(url.rpartition("/")[2], 0, soon, timedelta())
    await sender.tus("PATCH", url, FILE[:5], Upload_Offset=0, leave=True, **CHUNK)
    with app.app_context():
        uploads.progress(url.rpartition("/")[2], 5, soon, timedelta())
    await sender.tus("PATCH", url, Upload_Offset=5, **CHUNK)
    assert row_of(app, url).expires_at > soon + timedelta(days=6)


@pytest.mark.parametrize("pieces", [(FILE,), (FILE[:9],)])
async def test_an_announcement_with_bytes_of_a_file_that_was_begun_says_where_it_goes_on(sender: Sender, pieces):
    """The bytes from its beginning are there already."""
    url = await sender.announce(fingerprint="2048-1-a")
    await sender.tus("PATCH", url, FILE[:700], Upload_Offset=0, **CHUNK)
    told = {"Upload_Length": 2048, "Upload_Metadata": metadata(fingerprint="2048-1-a"), **CHUNK}
    reply = await sender.tus("POST", "/uploads/", *pieces, **told)
    assert (reply.status, reply.headers["location"], reply.headers["upload-offset"]) == (201, url, "700")


async def test_damaged_bytes_of_an_announcement_leave_an_address_to_go_on_at(sender: Sender):
    """460 with Location: the file need not be announced again."""
    wrong = base64.b64encode(hashlib.sha1(b"other").digest()).decode()
    told = {"Upload_Length": 2048, "Upload_Checksum": f"sha1 {wrong}", **CHUNK}
    reply = await sender.tus("POST", "/uploads/", FILE[:9], **told)
    assert reply.status == 460
    assert (await sender.tus("HEAD", reply.headers["location"])).headers["upload-offset"] == "0"


async def test_refusals_of_headers_are_in_one_language(sender: Sender, app: Flask, district):
    """What happened and why, without English in Russian."""
    with app.app_context(), database.write() as session:
        session.get_one(Person, district.people["host"]).locale = "ru"
    reply = await sender.tus("POST", "/uploads/", Upload_Length="x")
    said = json.loads(reply.body)["detail"]
    assert said.startswith("Заголовок Upload-Length не годится: это не целое число байтов. Ничего не изменено.")


@pytest.mark.parametrize(
    ("status", "method", "headers"),
    [
        (412, "PATCH", {"Tus-Resumable": "0.2.2", "Upload-Offset": 0, **CHUNK}),
        (415, "PATCH", {"Upload-Offset": 0, "Content-Type": "video/mp4"}),
        (400, "PATCH", {"Upload-Offset": "x", **CHUNK}),
        (400, "PATCH", {**CHUNK}),
        (400, "PATCH", {"Upload-Offset": 0, "Upload-Checksum": "crc32 AAAA", **CHUNK}),
        (413, "PATCH", {"Upload-Offset": 0, "Content-Length": 3000, **CHUNK}),
        (405, "GET", {}),
    ],
)
async def test_what_cannot_be_understood_is_refused_and_changes_nothing(sender: Sender, status, method, headers):
    """Every refusal is problem details, never a 5xx."""
    url = await sender.announce()
    reply = await sender.tus(method, url, b"abc", **headers)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert (await sender.tus("HEAD", url)).headers["upload-offset"] == "0"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (400, {}),
        (400, {"Upload-Length": "-1"}),
        (400, {"Upload-Length": 5, "Upload-Metadata": "filename !!"}),
        (400, {"Upload-Length": 5, "Upload-Concat": "partial"}),
        (400, {"Upload-Defer-Length": 1}),
        (413, {"Upload-Length": 16_000_000_001}),
        (413, {"Upload-Length": "9" * 20}),
        (422, {"Upload-Length": 5, "Upload-Metadata": metadata(title="x" * 300)}),
        (422, {"Upload-Length": 5, "Upload-Metadata": metadata(session="nosuch")}),
    ],
)
async def test_an_announcement_that_cannot_be_used_is_refused(sender: Sender, app: Flask, status, headers):
    """Nothing is kept of it."""
    reply = await sender.tus("POST", "/uploads/", **headers)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    with app.app_context():
        assert uploads.promised_bytes() == 0


@pytest.mark.parametrize("asked_for", [True, False])
async def test_a_file_that_was_whole_when_the_server_was_killed_is_handed_over(sender, app, site, asked_for):
    """The row knows nothing of the last bytes yet; by the client that asks for the offset, or by the next start."""
    url, other = await sender.announce(), await sender.announce()
    part, mark = uploads.paths(uploads.folder(app.config["TROPA"]), url.rpartition("/")[2])
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(FILE)
    mark.write_text(json.dumps({"committed": len(FILE), "boot": "", "checked": False}))
    if asked_for:
        asked = await sender.tus("HEAD", url)
        assert (asked.status, asked.headers["upload-offset"]) == (200, str(len(FILE)))
        assert "x-tropa-upload" not in asked.headers
    else:
        await site.complete()
    row = row_of(app, url)
    assert row_of(app, other).state == "receiving"
    assert (row.state, row.sha256) == ("received", hashlib.sha256(FILE).hexdigest())


async def test_methods_may_be_named_in_a_header(sender: Sender):
    """For proxies that let through nothing but GET and POST."""
    url = await sender.announce()
    reply = await sender.tus("POST", url, FILE[:5], Upload_Offset=0, X_HTTP_Method_Override="PATCH", **CHUNK)
    assert (reply.status, reply.headers["upload-offset"]) == (204, "5")


async def test_the_same_file_again_goes_on_where_it_was(sender: Sender):
    """Known by its fingerprint and length, a file is never begun twice by one person."""
    url = await sender.announce(fingerprint="2048-1-a")
    await sender.tus("PATCH", url, FILE[:700], Upload_Offset=0, **CHUNK)
    reply = await sender.tus("POST", "/uploads/", Upload_Length=2048, Upload_Metadata=metadata(fingerprint="2048-1-a"))
    assert (reply.status, reply.headers["location"], reply.headers["upload-offset"]) == (201, url, "700")
    assert await sender.announce(fingerprint="2048-1-b") != url


async def test_a_removed_upload_is_gone_with_its_file(sender: Sender, app: Flask):
    """Termination."""
    url = await sender.announce()
    await sender.tus("PATCH", url, FILE[:700], Upload_Offset=0, **CHUNK)
    assert (await sender.tus("DELETE", url)).status == 204
    assert (await sender.tus("HEAD", url)).status == 404
    assert list(uploads.folder(app.config["TROPA"]).iterdir()) == []


async def test_whoever_still_sends_what_was_removed_is_told_so(sender: Sender, app: Flask, district):
    """Termination ends the request that writes; another connection, as 423 would say, there is none."""
    upload_id = (await sender.announce()).rpartition("/")[2]
    order, taken = tus.Order(upload_id, 0, len(FILE)), tus.Taken(tus.Result.REPLACED, 20)
    with app.test_request_context(headers={"Authorization": f"Bearer {district.tokens['host']}"}):
        with pytest.raises(problems.Problem) as locked:
            tus.ended(order, taken, created=False)
        assert uploads.remove(upload_id)
        with pytest.raises(problems.Problem) as gone:
            tus.ended(order, taken, created=False)
    assert (locked.value.code, gone.value.code) == (423, 404)


async def test_an_expired_upload_is_410_and_what_was_written_stays(sender: Sender, app: Flask):
    """Nobody went on for too long; the words are still in the list."""
    url = await sender.announce(title="Дроби")
    with app.app_context():
        later = database.utc_now() + timedelta(days=8)
        assert uploads.expire(later) == [url.rpartition("/")[2]]
    assert (await sender.tus("HEAD", url)).status == 410
    reply = await sender.tus("PATCH", url, FILE[:5], Upload_Offset=0, **CHUNK)
    assert json.loads(reply.body)["type"] == "urn:tropa:problem:expired"
    assert row_of(app, url).title == "Дроби"


async def test_a_full_disk_is_507_and_the_upload_stays(sender: Sender, app: Flask, monkeypatch: pytest.MonkeyPatch):
    """Neither a new file nor a piece of an old one is begun without room; afterwards it goes on."""
    url = await sender.announce()
    await sender.tus("PATCH", url, FILE[:500], Upload_Offset=0, **CHUNK)
    with monkeypatch.context() as patch:
        patch.setattr("store.space.shutil.disk_usage", lambda _path: SimpleNamespace(total=10**9, free=0))
        new = await sender.tus("POST", "/uploads/", Upload_Length=5)
        piece = await sender.tus("PATCH", url, FILE[500:], Upload_Offset=500, **CHUNK)
    assert (new.status, piece.status) == (507, 507)
    assert json.loads(piece.body)["type"] == "urn:tropa:problem:no-room"
    assert (await sender.tus("PATCH", url, FILE[500:], Upload_Offset=500, **CHUNK)).status == 204


async def test_unfinished_uploads_of_a_person_have_a_limit(sender: Sender, app: Flask, monkeypatch):
    """The one beyond it is refused with what to do."""
    monkeypatch.setattr("server.operations.uploads.uploads.announce", _too_many)
    reply = await sender.tus("POST", "/uploads/", Upload_Length=5)
    assert (reply.status, json.loads(reply.body)["type"]) == (429, "urn:tropa:problem:too-many-uploads")


def _too_many(*_args: object) -> None:
    raise uploads.TooMany


async def test_a_login_needs_the_pages_token_as_forms_do(site: Uploads, as_role, app: Flask):
    """A cookie alone, which another site might make a browser send, begins nothing."""
    browser = as_role("host")
    token = browser.csrf("/uploads/")
    cookies = "; ".join(f"{name}={browser.client.get_cookie(name).value}" for name in ("tropa_login", "tropa_form"))
    asked = {"Tus-Resumable": "1.0.0", "Upload-Length": 5, "Cookie": cookies, "Host": "localhost"}
    bare = await Client(site).ask("/uploads/", method="POST", headers=asked)
    assert (bare.status, json.loads(bare.body)["type"]) == (400, "urn:tropa:problem:csrf")
    full = await Client(site).ask("/uploads/", method="POST", headers=asked | {"X-CSRFToken": token})
    assert full.status == 201, full.body


async def test_somebody_elses_upload_does_not_exist(site: Uploads, sender: Sender, district):
    """Another school's host gets 404, a coordinator of the school may go on with it."""
    url = await sender.announce()
    assert (await Sender(site, district.tokens["other_host"]).tus("HEAD", url)).status == 404
    stranger = await Sender(site, district.tokens["other_host"]).tus("PATCH", url, b"x", Upload_Offset=0, **CHUNK)
    assert stranger.status == 404
    coordinator = Sender(site, district.tokens["school_coordinator"])
    assert (await coordinator.tus("PATCH", url, FILE[:9], Upload_Offset=0, **CHUNK)).status == 204
