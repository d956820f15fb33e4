"""A lesson pack, unzipped and opened from file:// with the network off: sound, slides that turn in time, search."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import imageio_ffmpeg
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from config import Settings
from rules.captions import Cue
from rules.renditions import Kind
from rules.rights import Role
from store import captions, people
from store.database import bare_app, new_id, write
from store.files import Files
from store.models import Recording, Rendition, Session, db
from tests.slow import chromium
from tests.slow.firefox import Firefox
from workers import pack, plan, probe

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
SLIDE_S = 3
SLIDES = 4
LATEST_FLIP_S = 0.3
CUES = (Cue(500, 2500, "Здравствуйте, дети"), Cue(6500, 8500, "Молекула воды"), Cue(9500, 11_000, "До свидания"))
WATCH = """(function () {
  window.flips = [];
  var slide = document.getElementById("slide"), voice = document.getElementById("voice");
  new MutationObserver(function () { window.flips.push([Number(slide.getAttribute("data-turn")), voice.currentTime]); })
    .observe(slide, { attributes: true, attributeFilter: ["data-turn"] });
  return true;
})()"""
FOUND = 'document.querySelectorAll("#found button").length'
NOW_S = 'document.getElementById("voice").currentTime'


def film(folder: Path) -> Path:
    """Make a film of four pages, three seconds each, with a tone."""
    for number in range(SLIDES):
        page = Image.new("RGB", (1280, 720), "white")
        draw = ImageDraw.Draw(page)
        for line in range(number + 2):
            draw.rectangle(
                (120, 80 + 110 * line, 500 + 170 * number, 130 + 110 * line), fill=(20, 40 + 50 * number, 90)
            )
        page.save(folder / f"page{number}.png")
    target = folder / "film.mp4"
    arguments = ["-framerate", f"1/{SLIDE_S}", "-i", str(folder / "page%d.png"), "-f", "lavfi", "-i", "sine=330"]
    coding = ["-r", "25", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    ends = ["-t", str(SLIDE_S * SLIDES), str(target)]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-nostdin", "-y", *arguments, *coding, *ends]
    subprocess.run(command, check=True, timeout=240)
    return target


def voice(source: Path) -> Path:
    """Encode the film's sound as the pipeline publishes it."""
    target = source.with_name("voice.opus")
    coding = ["-vn", "-ac", "1", "-c:a", "libopus", "-b:a", "16k", "-frame_duration", "60"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-nostdin", "-y", "-i", str(source), *coding]
    subprocess.run([*command, str(target)], check=True, timeout=240)
    return target


def publish_voice(storage: Files, path: Path, session_id: str) -> None:
    """Make the rows of a recording whose voice is published."""
    stored = storage.put(path, "recordings/rec1/voice.opus")
    moments = {"started_at": NOW, "ended_at": NOW, "created_at": NOW}
    recording = Recording(id="rec1", session_id=session_id, state="published", source_sha256="0" * 64, **moments)
    row = Rendition(id=new_id(), recording_id="rec1", kind=Kind.VOICE_OPUS.value, position=0, preset_version=1)
    row.state, row.created_at, row.key = "published", NOW, stored.key
    row.bytes, row.sha256 = stored.bytes, stored.sha256
    with write() as session:
        session.add(recording)
        session.flush()
        session.add(row)


def book(school_id: str, person_id: str) -> str:
    """Make the row of a lesson."""
    words = {"kind": "open_lesson", "title": "Вода и <лёд>", "subject": "Химия", "grades": "8"}
    hosts = {"host_school_id": school_id, "host_person_id": person_id}
    moments = {"starts_at": NOW, "minutes": 45, "created_at": NOW, "updated_at": NOW}
    row = Session(id=new_id(), channel=1, audience="district", state="ended", **words, **hosts, **moments)
    with write() as session:
        session.add(row)
    return row.id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a lesson of twelve seconds with four slides and Russian captions."""
    folder = tmp_path_factory.mktemp("pack")
    settings = Settings.from_env({"TROPA_DATA": str(folder / "data"), "SECRET_KEY": "s" * 64})
    app = bare_app(settings)
    with app.app_context():
        db.create_all()
        school = people.create_school("Сосновская школа", "Europe/Moscow", NOW)
        host = people.create_person("h@example.org", "Ведущая", "a long password", [(Role.HOST, school.id)], NOW)
        session_id = book(school.id, host.id)
        source = film(folder)
        storage = Files(settings.storage_url)
        publish_voice(storage, voice(source), session_id)
        captions.save("rec1", "ru", CUES, None, None, NOW)
        line = plan.timeline((plan.SegmentFacts(*probe.tracks(source)),))
        lesson = pack.Lesson("rec1", session_id, (source,), line, ())
        path, length_s = pack.make(storage, lesson, folder, lambda done: None)
        assert pack.faults(path, length_s, folder) == []
        again = folder / "again"
        again.mkdir()
        assert pack.make(storage, lesson, again, lambda done: None)[0].read_bytes() == path.read_bytes()
        db.session.remove()
        db.engine.dispose()
    return path


@pytest.fixture(scope="module")
def page(made: Path) -> str:
    """The address of the unzipped player."""
    with zipfile.ZipFile(made) as zipped:
        zipped.extractall(made.with_name("stick"))
    return (made.with_name("stick") / "index.html").as_uri()


def assert_in_time(flips: list[list[float]], turns: list[list[float]]) -> None:
    """Assert that every slide came within 300 ms of its place in the timeline."""
    assert [turn for turn, _at in flips] == [1, 2, 3]
    late = [abs(at_s - turns[int(turn)][0]) for turn, at_s in flips]
    assert max(late) <= LATEST_FLIP_S, late


def test_the_pack_holds_what_its_manifest_says(made: Path) -> None:
    """Every file has its digest, media are stored as they are, and the slides stand where the film has them."""
    with zipfile.ZipFile(made) as zipped:
        manifest = json.loads(zipped.read("manifest.json"))
        for file in manifest["files"]:
            content = zipped.read(file["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
        kinds = {entry.filename: entry.compress_type for entry in zipped.infolist()}
        timeline = json.loads(zipped.read("timeline.json"))
        assert "Молекула воды" in zipped.read("captions/ru.vtt").decode()
        reading = zipped.read("read.html").decode()
    assert kinds["media/voice.webm"] == kinds["slides/001.png"] == zipfile.ZIP_STORED
    assert [at_s for at_s, _slide in timeline["turns"]] == pytest.approx([0, 3, 6, 9], abs=0.3)
    assert reading.count("<img ") == SLIDES and "Молекула воды" in reading and "Вода и &lt;лёд&gt;" in reading


def test_the_pack_plays_in_chromium_without_a_network(page: str) -> None:
    """The sound plays, the slides turn within 300 ms of the timeline, a word is found and jumped to."""
    with sync_playwright() as playwright, chromium.launch(playwright, autoplay=False) as browser:
        context = browser.new_context(locale="ru-RU", offline=True)
        tab = context.new_page()
        faults: list[str] = []
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.goto(page)
        tab.evaluate(WATCH)
        tab.click("#play")
        tab.wait_for_function(f"{NOW_S} > 9.6", timeout=60_000)
        tab.click("#play")
        assert_in_time(tab.evaluate("window.flips"), tab.evaluate("LESSON.turns"))
        tab.fill("#words", "молекула")
        tab.click("#found button")
        tab.wait_for_function(f"Math.abs({NOW_S} - 6.5) < 0.1")
        assert tab.text_content("#line") == "Молекула воды"
        assert tab.text_content("#play") == "Слушать"
        assert "02.03.2026" in tab.text_content("#facts")
        assert tab.text_content("#speed option >> nth=0") == "0,75×"
        tab.set_viewport_size({"width": 360, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth <= 360")
        assert faults == []


def test_a_browser_that_knows_keys_by_number_alone(page: str) -> None:
    """Safari 10 tells no name of a key; its arrows and page keys work all the same."""
    press = """(number) => {
      const event = new Event("keydown", { bubbles: true, cancelable: true });
      event.keyCode = number;
      document.body.dispatchEvent(event);
      return document.getElementById("slide").getAttribute("data-turn");
    }"""
    with sync_playwright() as playwright, chromium.launch(playwright, autoplay=False) as browser:
        tab = browser.new_context(offline=True).new_page()
        tab.goto(page)
        assert [tab.evaluate(press, number) for number in (34, 34, 33)] == ["1", "2", "1"]


def test_the_pack_plays_in_firefox_without_a_network(page: str) -> None:
    """The same in Firefox, whose only way to a network leads to a closed port."""
    away = {"network.proxy.type": 1, "network.proxy.http": "127.0.0.1", "network.proxy.http_port": 9}
    with Firefox({**away, "intl.accept_languages": "en", "network.proxy.no_proxies_on": ""}) as browser:
        browser.goto(page)
        browser.evaluate(WATCH)
        browser.click("#play")
        browser.wait_for(f"{NOW_S} > 9.6", timeout_s=60)
        browser.click("#play")
        assert_in_time(browser.evaluate("window.flips"), browser.evaluate("LESSON.turns"))
        browser.fill("#words", "молекула")
        assert browser.wait_for(FOUND) == 1
        browser.click("#found button")
        browser.wait_for(f"Math.abs({NOW_S} - 6.5) < 0.1")
        assert browser.evaluate('document.getElementById("line").textContent') == "Молекула воды"
        assert browser.evaluate('document.getElementById("play").textContent') == "Play"
        assert browser.evaluate('document.getElementById("speed").options[0].textContent') == "0.75×"
