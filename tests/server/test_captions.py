"""Captions on their pages: sent in, edited by plain forms, found by words, kept when two people edit."""

from __future__ import annotations

import gzip
import io
import re

import pytest

from rules.captions import Cue, checked
from server import captionfile
from server.captionfile import BadFile
from store import captions as store
from store import database
from store.models import Recording, Rendition, db
from tests.server.town import Town

SRT = "1\n00:00:01,000 --> 00:00:03,500\nСложим дроби\n\n2\n00:01:05,000 --> 00:01:08,000\nУ Ёжика знаменатель\n"
HIDDEN = re.compile(r'name="(version|first|count|from_ms|until_ms)" value="([^"]*)"')


def address(town: Town, more: str = "") -> str:
    """Return the address of the sample recording's captions."""
    return f"/recordings/{town.lessons.recording}/captions{more}"


def send(town: Town, content: bytes, *, who: str = "host", **fields: str):
    """Send a file by the form."""
    data = {"language": "en", "file": (io.BytesIO(content), "урок.srt"), **fields}
    return town.client(who).post(address(town), data=data, content_type="multipart/form-data")


def kept(town: Town, language: str) -> tuple[int, tuple[Cue, ...]]:
    """Return the version and cues that are stored; (0, ()) where there are none."""
    with town.app.app_context():
        row = store.track(town.lessons.recording, language)
        return (row.version, store.cues(row)) if row is not None else (0, ())


def put(town: Town, cues: list[Cue], version: int | None = None) -> None:
    """Store Russian captions as somebody else would."""
    with town.app.app_context():
        store.save(town.lessons.recording, "ru", checked(cues), version, None, database.utc_now())


def opened(town: Town, query: str = "") -> dict[str, str]:
    """Open the editor as the host and return its hidden fields."""
    return dict(HIDDEN.findall(town.client("host").get(address(town, f"/ru/edit{query}")).get_data(as_text=True)))


def edit(town: Town, hidden: dict[str, str], rows: list[tuple[str, str, str]], do: str = "save", **more: str):
    """Submit the editor's form."""
    columns = {name: [row[index] for row in rows] for index, name in enumerate(("start", "end", "text"))}
    return town.client("host").post(address(town, "/ru/edit"), data={**hidden, **columns, "do": do, **more})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251"])
def test_files_come_in_the_encodings_of_schools(town: Town, encoding: str):
    """Cyrillic is read alike in UTF-8, with its mark, in UTF-16 and in Windows-1251."""
    assert send(town, SRT.encode(encoding)).status_code == 303
    assert [cue.text for cue in kept(town, "en")[1]] == ["Сложим дроби", "У Ёжика знаменатель"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file is empty."),
        (b"\x00\x01\x02\x03", "This is no text"),
        ("просто текст".encode(), "no captions in it"),
        (SRT.replace("00:01:05,000", "00:01:75,000").encode(), "Line 6: The times in this line"),
        (SRT.replace("00:01:08,000", "00:01:00,000").encode(), "Line 6: The caption ends before it begins"),
        (SRT.replace("Сложим", "я" * 501).encode(), "Line 2: A caption has at most 500 characters."),
        (b"x" * (1024 * 1024 + 1), "The file is larger than 1024 KB"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(town: Town, content: bytes, said: str):
    """The page names the line, says that nothing was changed, and what to do."""
    answer = send(town, content)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in text
    assert "Nothing was changed: what was there is kept." in text
    assert kept(town, "en") == (0, ())


def test_a_file_that_is_far_too_large_is_refused_before_it_is_read(town: Town):
    """More than the form may hold is 413, and what is there stays."""
    assert send(town, b"x" * (2 * 1024 * 1024), language="ru", replace="1").status_code == 413
    assert kept(town, "ru")[0] == 1


def test_captions_are_replaced_only_when_that_is_meant(town: Town):
    """A second file in the same language needs its tick; then it takes the place of the first."""
    refused = send(town, SRT.encode(), language="ru")
    assert refused.status_code == 422
    assert "same language: There are captions in this language already." in refused.get_data(as_text=True)
    assert kept(town, "ru")[0] == 1
    assert send(town, SRT.encode(), language="ru", replace="1").status_code == 303
    assert kept(town, "ru")[0] == 2


def test_a_language_that_is_none_is_refused(town: Town):
    """A code without a language behind it is told at its field, and has no editor."""
    assert "Please choose one from the list." in send(town, SRT.encode(), language="qqq").get_data(as_text=True)
    assert town.client("host").get(address(town, "/qqq/edit")).status_code == 404


def test_what_is_downloaded_can_be_sent_in_again(town: Town):
    """WebVTT and SRT that come out are read as the same captions, markup characters too."""
    cues = [Cue(1000, 3500, "a < b & c"), Cue(65_000, 68_000, "две\nстроки")]
    put(town, cues)
    for extension in ("vtt", "srt"):
        answer = town.client("teacher").get(address(town, f"/ru.{extension}?download=1"))
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.mimetype == {"vtt": "text/vtt", "srt": "application/x-subrip"}[extension]
        assert captionfile.read(answer.data) == tuple(cues)


def test_removing_asks_for_the_version_that_was_seen(town: Town):
    """Captions that changed since the page was opened stay."""
    assert town.client("host").post(address(town, "/ru/delete"), data={"version": "7"}).status_code == 409
    assert kept(town, "ru")[0] == 1
    assert town.client("host").post(address(town, "/ru/delete"), data={"version": "1"}).status_code == 303
    assert kept(town, "ru") == (0, ())


def test_the_editor_saves_without_a_script(town: Town):
    """A corrected row, and a new one at the end, are kept; a row left empty is none."""
    answer = edit(town, opened(town), [("0:01", "0:03.5", "Сложим"), ("0:05", "0:06", "две"), ("", "", "")])
    assert answer.status_code == 303
    assert kept(town, "ru") == (2, (Cue(1000, 3500, "Сложим"), Cue(5000, 6000, "две")))


def test_whoever_writes_by_hand_goes_on_at_the_next_row(town: Town):
    """After a row was added at the end the cursor stands in the empty one; after a button, in its row."""
    answer = edit(town, opened(town), [("0:01", "0:03.5", "Сложим"), ("0:05", "0:06", "две")])
    page = town.client("host").get(answer.headers["Location"]).get_data(as_text=True)
    (row,) = re.findall(r'id="c(\d+)"(?:(?!id="c).)*autofocus', page, re.DOTALL)
    assert row == "2"
    assert edit(town, opened(town), [*ROWS], "add:1").headers["Location"].endswith("?page=1&at=2")
    assert edit(town, opened(town), [*ROWS, ("0:08", "0:08.5", "")]).headers["Location"].endswith("/edit?page=1")


ROWS = [("0:01", "0:03", "раз два"), ("0:05", "0:07", "три"), ("0:09", "0:11", "четыре")]


@pytest.mark.parametrize(
    ("do", "texts"),
    [
        ("split:0", ["раз", "два", "три", "четыре"]),
        ("merge:0", ["раз два\nтри", "четыре"]),
        ("add:1", ["раз два", "три", "", "четыре"]),
        ("delete:1", ["раз два", "четыре"]),
        ("merge:2", ["раз два", "три", "четыре"]),
    ],
)
def test_buttons_change_the_rows(town: Town, do: str, texts: list[str]):
    """Split, merge, add and delete work on their row and save the page as it stands."""
    answer = edit(town, opened(town), ROWS, do)
    assert answer.status_code == 303
    assert [cue.text for cue in kept(town, "ru")[1]] == texts


def test_a_blanked_row_does_not_move_the_buttons(town: Town):
    """A button works on the row that it stands at, also when a row before it was emptied."""
    assert edit(town, opened(town), [("", "", ""), *ROWS], "split:1").status_code == 303
    assert [cue.text for cue in kept(town, "ru")[1]] == ["раз", "два", "три", "четыре"]


def test_all_captions_are_shifted(town: Town):
    """A shift moves every caption of every page; one that is no number is refused with the text kept."""
    put(town, [Cue(n * 2000, n * 2000 + 1000, f"слово {n}") for n in range(120)])
    hidden = opened(town)
    refused = edit(town, hidden, ROWS, "shift", shift="nan")
    assert refused.status_code == 422 and "раз два" in refused.get_data(as_text=True)
    rows = [(f"{n * 2 // 60}:{n * 2 % 60:02d}", f"{n * 2 // 60}:{n * 2 % 60 + 1:02d}", f"слово {n}") for n in range(50)]
    assert edit(town, hidden, rows, "shift", shift="1,5").status_code == 303
    made = kept(town, "ru")[1]
    assert len(made) == 120
    assert (made[0].start_ms, made[119].start_ms) == (1500, 239_500)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("ноль", "0:03", "текст мой"), "The time cannot be read"),
        (("0:05", "0:03", "текст мой"), "The caption ends before it begins"),
        (("0:05", "0:06", "я" * 501), "A caption has at most 500 characters."),
        (("0:05", "0:06", "a\x07b"), "control characters"),
    ],
)
def test_a_mistake_keeps_what_was_typed(town: Town, row: tuple[str, str, str], said: str):
    """Nothing is saved, the row is named, and every row stands as it was typed."""
    answer = edit(town, opened(town), [("0:01", "0:02", "верно"), row])
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert said in page and "верно" in page and row[0] in page
    assert kept(town, "ru")[0] == 1


def test_two_editors_lose_nothing(town: Town):
    """The second one's text stays in the form, the first one's is kept; saving again replaces that part alone."""
    put(town, [Cue(n * 2000, n * 2000 + 1000, f"слово {n}") for n in range(120)])
    hidden = opened(town, "?page=2")
    assert (hidden["first"], hidden["count"], hidden["from_ms"], hidden["until_ms"]) == ("50", "50", "100000", "200000")
    # Somebody else adds one before and corrects one within.
    others = [Cue(500, 900, "новое"), *(Cue(n * 2000, n * 2000 + 1000, f"их {n}") for n in range(120))]
    put(town, others)
    answer = edit(town, hidden, [("1:40", "1:41", "моё слово")])
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert "моё слово" in page and "их 50" in page and "их 99" in page and "их 49" not in page
    assert kept(town, "ru")[1] == tuple(sorted(others, key=lambda cue: cue.start_ms))
    again = edit(town, dict(HIDDEN.findall(page)), [("1:40", "1:41", "моё слово")])
    assert again.status_code == 303
    texts = [cue.text for cue in kept(town, "ru")[1]]
    assert len(texts) == 121 - 50 + 1
    assert "новое" in texts and "их 49" in texts and "их 100" in texts and "моё слово" in texts


@pytest.mark.parametrize("name", ["version", "first", "count", "from_ms"])
def test_a_form_that_did_not_come_whole_changes_nothing(town: Town, name: str):
    """Hidden fields that are missing or no numbers are refused."""
    for value in ("", "-1", "x", "9" * 30):
        assert edit(town, {**opened(town), name: value}, ROWS).status_code == 422
    assert edit(town, {**opened(town), "count": "2"}, ROWS).status_code == 422
    assert kept(town, "ru")[0] == 1


def test_a_full_page_of_the_editor_is_light(town: Town):
    """Fifty captions of two lines with sheet come to 14 KB compressed."""
    words = ("урок", "дробь", "числитель", "знаменатель", "сложим", "вычтем", "умножим", "тетрадь", "доска", "пример")
    texts = [" ".join(words[(n * k + k) % len(words)] for k in range(1, 10)) for n in range(120)]
    put(town, [Cue(n * 2137, n * 2137 + 1811, text) for n, text in enumerate(texts)])
    page = town.client("host").get(address(town, "/ru/edit?page=2")).data
    assert page.count(b'class="cue"') == 50
    sheet = town.client("host").get("/static/tropa.css").data
    assert len(gzip.compress(page, 6)) + len(gzip.compress(sheet, 6)) <= 14 * 1024


def test_the_library_finds_spoken_words(town: Town):
    """A word of the captions, ё or not, finds the recording with its line, its time and a link to the moment."""
    put(town, [Cue(1000, 3000, "Сложим дроби"), Cue(65_000, 68_000, "У Ёжика знаменатель")])
    page = town.client("teacher").get("/library?words=ежика знамен").get_data(as_text=True)
    assert f"/recordings/{town.lessons.recording}?at=65#player" in page
    assert "1:05</a>" in page and "У Ёжика знаменатель" in page
    assert "Сложим дроби" not in page
    assert "No recordings" not in page
    assert town.lessons.recording not in town.client("teacher").get("/library?words=ежика+космос").get_data(
        as_text=True
    )
    found = town.app.test_client().get(
        "/api/v1/recordings?words=ежика", headers={"Authorization": f"Bearer {town.district.tokens['teacher']}"}
    )
    assert found.json["total"] == 1


def test_nobody_finds_words_of_lessons_that_are_not_for_them(town: Town):
    """Captions open no door: another school finds nothing."""
    assert town.lessons.recording not in town.client("other_teacher").get("/library?words=сложим").get_data(
        as_text=True
    )


def test_a_players_film_has_its_captions(town: Town):
    """The page of a recording shows tracks in its film, and begins where the search says."""
    with town.app.app_context(), database.write() as session:
        film = session.query(Rendition).filter_by(recording_id=town.lessons.recording, kind="video_small").one()
        film.state, film.key, film.bytes, film.published_at = "published", "recordings/x/film.webm", 10, film.created_at
    page = town.client("teacher").get(f"/recordings/{town.lessons.recording}?at=65").get_data(as_text=True)
    assert f'<track kind="captions" src="{address(town, "/ru.vtt")}" srclang="ru" label="Русский" default>' in page
    assert re.search(r'<source src="[^"]+#t=65"', page)
    assert "#t=" not in town.client("teacher").get(f"/recordings/{town.lessons.recording}?at=-5").get_data(as_text=True)


def test_changed_captions_have_the_pack_made_anew(town: Town):
    """A published pack stays where it is and waits to be made again."""
    with town.app.app_context(), database.write() as session:
        recording = session.get(Recording, town.lessons.recording)
        recording.state = "published"
        made = {row.kind: row for row in recording.renditions}
        pack = made.get("pack")
        if pack is None:
            voice = made["voice_opus"]
            pack = Rendition(
                id=database.new_id(),
                recording_id=recording.id,
                kind="pack",
                position=9,
                preset_version=1,
                created_at=voice.created_at,
                state="waiting",
            )
            session.add(pack)
        pack.state, pack.key, pack.bytes, pack.sha256 = "published", "recordings/x/pack.zip", 10, "0" * 64
        pack.published_at, pack.content_type = pack.created_at, "application/zip"
        pack_id = pack.id
    assert edit(town, opened(town), ROWS).status_code == 303
    with town.app.app_context():
        again = db.session.get(Rendition, pack_id)
        assert again.state == "waiting" and again.is_available


class TestApi:
    """Captions over the API."""

    def ask(self, town: Town, method: str, content: bytes = b"", language: str = "ru", **headers: str):
        """Send a request as the host."""
        headers["Authorization"] = f"Bearer {town.district.tokens['host']}"
        path = f"/api/v1{address(town, '/' + language)}"
        kind = "text/vtt" if content else None
        return town.app.test_client().open(path, method=method, data=content, headers=headers, content_type=kind)

    def test_a_track_comes_and_goes_as_webvtt(self, town: Town):
        """PUT keeps, GET returns the same with an ETag, DELETE removes."""
        assert self.ask(town, "PUT", SRT.encode(), "tt").json["cues"] == 2
        got = self.ask(town, "GET", language="tt")
        assert got.mimetype == "text/vtt" and got.data.startswith(b"WEBVTT") and got.headers["ETag"] == '"1"'
        assert self.ask(town, "DELETE", language="tt").status_code == 204
        assert self.ask(town, "GET", language="tt").status_code == 404

    def test_if_match_protects_others_work(self, town: Town):
        """Another version's tag is 409 for PUT and DELETE, the right one goes through, weak too."""
        for method, content in (("PUT", SRT.encode()), ("DELETE", b"")):
            answer = self.ask(town, method, content, **{"If-Match": '"9"'})
            assert answer.status_code == 409 and answer.json["type"] == "urn:tropa:problem:changed-meanwhile"
        assert self.ask(town, "PUT", SRT.encode(), **{"If-Match": 'W/"1"'}).json["version"] == 2

    def test_bad_files_name_their_line(self, town: Town):
        """A file that cannot be used is 422 with the line as a number, and nothing changes."""
        answer = self.ask(town, "PUT", SRT.replace(" --> 00:01:08,000", " -> 00:01:08,000").encode())
        assert answer.status_code == 422 and answer.json["line"] == 6
        assert kept(town, "ru")[0] == 1
        assert self.ask(town, "PUT", SRT.encode(), "qqq").status_code == 404
        assert self.ask(town, "PUT", b"x" * (1024 * 1024 + 1)).status_code == 413

    def test_the_list_says_what_there_is(self, town: Town):
        """Each track with language, version and number of captions."""
        headers = {"Authorization": f"Bearer {town.district.tokens['teacher']}"}
        (one,) = town.app.test_client().get(f"/api/v1{address(town)}", headers=headers).json
        assert (one["language"], one["version"], one["cues"]) == ("ru", 1, 1)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\xff\xfe\x00\xd8", b"WEBVTT\n\n-->", b"1\n-->\n", b"\x98"])
def test_garbage_is_a_bad_file(content: bytes):
    """Whatever comes is refused as a file, not by a crash."""
    with pytest.raises(BadFile):
        captionfile.read(content)


def test_captions_without_a_word_are_not_offered(town: Town):
    """An editor that was saved empty puts no blank track into the player and no empty file on the page."""
    page = f"/recordings/{town.lessons.recording}"
    assert "WebVTT" in town.client("teacher").get(page).get_data(as_text=True)
    assert edit(town, opened(town), []).status_code == 303
    assert kept(town, "ru")[1] == ()
    assert "WebVTT" not in town.client("teacher").get(page).get_data(as_text=True)
