"""Run a school's own computer: `python -m mirror init|run|status|import|export|verify`, see docs/mirror.md."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from pathlib import Path

from mirror import lan, shapes, status, stick
from mirror.folder import Busy, DiskFull, Folder
from mirror.night import Night
from mirror.origin import Origin, OriginError, check_url
from mirror.quota import Usage, month_of
from mirror.shapes import BadDocument
from mirror.state import State
from mirror.texts import LANGUAGES, Words, size, system_language, words

CONFIG = "mirror.json"
PORT = 8090
FOLDER = Path("lessons")


def arguments(typed: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m mirror", description=__doc__)
    parser.add_argument("--language", choices=tuple(LANGUAGES), default=system_language())
    commands = parser.add_subparsers(dest="command", required=True)
    helps = {
        "init": "join this computer to the server: asks once whether the token is good",
        "run": "fetch at night, show lessons to the school; ends with Ctrl-C",
        "status": "say what is here, what is going on and what is wrong",
        "import": "take lessons from a USB stick; never uses the internet",
        "export": "copy the lessons to a USB stick for another school",
        "verify": "read every file through; damaged pieces are fetched again",
    }
    made = {name: commands.add_parser(name, help=text) for name, text in helps.items()}
    for one in made.values():
        one.add_argument("--folder", type=Path, default=FOLDER, help="where the lessons are kept")
    made["init"].add_argument("--origin", required=True, help="the server's address")
    made["init"].add_argument("--token", required=True, help="made on the school's page for downloads")
    made["run"].add_argument("--port", type=int, default=PORT, help="of the pages for the school")
    made["run"].add_argument("--host", default="0.0.0.0", help="address to listen on")
    for name in ("import", "export"):
        made[name].add_argument("stick", type=Path, help="folder of the USB stick")
    return parser.parse_args(typed)


def main(typed: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it should, 1 when not, 2 when it cannot be meant so."""
    given = arguments(typed)
    t, folder = words(given.language), Folder(given.folder.resolve())
    try:
        return COMMANDS[given.command](given, folder, t)
    except DiskFull:
        _say(t.gettext("The disk is full. What has come is kept; make room and start this again."))
    except Busy:
        _say(t.gettext("Another command is changing the lessons just now. Try again when it has ended."))
    except OSError as error:
        text = t.gettext("%(file)s cannot be read or written: %(why)s.")
        _say(text % {"file": error.filename or folder.root, "why": error.strerror or error})
    except KeyboardInterrupt:
        _say(t.gettext("Stopped. What has come is kept."))
        return 130
    return 1


def init(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Join: ask the origin once, then keep address and token."""
    try:
        url = check_url(given.origin)
    except ValueError:
        _say(t.gettext("This is no address of a server; one looks like https://tropa.example"))
        return 2
    spent: list[int] = []
    try:
        answer = Origin(url, given.token, spent.append).get_json("/api/v1/mirror")
        subscription = shapes.subscription(answer.document)
    except OriginError as error:
        _say(t.gettext("Nothing was changed: %(why)s.") % {"why": t.gettext(error.text)})
        return 1
    except BadDocument:
        _say(t.gettext("Nothing was changed: what the server says cannot be true. Is this version of Tropa too old?"))
        return 1
    folder.make()
    state = State.load(folder)
    state.subscribe(folder, subscription, answer.document, answer.etag)
    if answer.date is not None:
        state.usage = Usage(month_of(answer.date, subscription.zone), state.usage.wire_bytes + sum(spent))
        state.contact(answer.date)
    state.save(folder)
    folder.write(CONFIG, {"version": 1, "origin": url, "token": given.token}, 0o600)
    total = sum(one.bytes for one in subscription.files)
    text = t.ngettext(
        "Joined: %(school)s. %(num)d file to fetch, %(size)s.",
        "Joined: %(school)s. %(num)d files to fetch, %(size)s.",
        len(subscription.files),
    )
    _say(text % {"school": subscription.school, "num": len(subscription.files), "size": size(t, total)})
    where = "" if given.folder == FOLDER else f" --folder {shlex.quote(str(given.folder))}"
    _say(t.gettext("Now start it: %(command)s") % {"command": f"python -m mirror run{where}"})
    return 0


def run(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Fetch and serve until told to stop."""
    config = _config(folder, t)
    if config is None:
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    folder.make()
    stop = threading.Event()
    night = Night(folder, config[0], config[1], stop=stop)
    # A daemon: it may hang in a read for seconds, and being killed costs nothing by design.
    worker = threading.Thread(target=night.run, name="night", daemon=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    worker.start()
    try:
        lan.serve(
            folder,
            given.host,
            given.port,
            lambda port: _say(
                t.gettext("Lessons for the school: http://%(host)s:%(port)d")
                % {"host": lan.own_address(), "port": port}
            ),
        )
    except OSError as error:
        _say(
            t.gettext("Port %(port)d cannot be used: %(why)s. Choose another: --port")
            % {"port": given.port, "why": error.strerror or error}
        )
        return 1
    finally:
        stop.set()
        worker.join(2.0)
    return 0


def show_status(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Print the mirror's state."""
    if _config(folder, t) is None:
        return 2
    for line in status.lines(folder, t):
        _say(line)
    return 0


def take(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Import from a stick."""
    if not given.stick.is_dir():
        _say(t.gettext("There is no folder %(name)s. Is the stick plugged in?") % {"name": given.stick})
        return 2
    folder.make()
    done = stick.take(folder, State.load(folder), given.stick, _say)
    arrived = t.ngettext(
        "%(num)d lesson file arrived and was verified.",
        "%(num)d lesson files arrived and were verified.",
        len(done.arrived),
    )
    _say(arrived % {"num": len(done.arrived)})
    if done.known:
        _say(t.ngettext("%(num)d was here already.", "%(num)d were here already.", done.known) % {"num": done.known})
    for title in done.damaged:
        _say(
            t.gettext("Not whole on the stick: %(title)s. Its good pieces are kept, the rest is fetched at night.")
            % {"title": title}
        )
    return 0


def give(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Export to a stick."""
    if not given.stick.is_dir():
        _say(t.gettext("There is no folder %(name)s. Is the stick plugged in?") % {"name": given.stick})
        return 2
    copied, there = stick.give(folder, given.stick, _say)
    _say(t.ngettext("%(num)d file was copied.", "%(num)d files were copied.", copied) % {"num": copied})
    if there:
        _say(
            t.ngettext("%(num)d was on the stick already.", "%(num)d were on the stick already.", there)
            % {"num": there}
        )
    return 0


def check(given: argparse.Namespace, folder: Folder, t: Words) -> int:
    """Read everything through."""
    folder.make()
    damaged: list[str] = []

    def tell(title: str, pieces: int) -> None:
        damaged.append(title)
        text = t.ngettext(
            "Damaged: %(title)s, %(num)d piece; it is fetched again at night.",
            "Damaged: %(title)s, %(num)d pieces; they are fetched again at night.",
            pieces,
        )
        _say(text % {"title": title, "num": pieces})

    checked = stick.verify(folder, tell)
    _say(
        t.ngettext("%(num)d file was read, %(bad)d damaged.", "%(num)d files were read, %(bad)d damaged.", checked)
        % {"num": checked, "bad": len(damaged)}
    )
    return 1 if damaged else 0


COMMANDS = {"init": init, "run": run, "status": show_status, "import": take, "export": give, "verify": check}


def _config(folder: Folder, t: Words) -> tuple[str, str] | None:
    """Return the origin's address and the token, None (and say so) where this folder has not joined."""
    found = folder.read(CONFIG) or {}
    url, token = found.get("origin"), found.get("token")
    if isinstance(url, str) and isinstance(token, str):
        return url, token
    _say(
        t.gettext("The folder %(folder)s has not joined a server yet. See: python -m mirror init --help")
        % {"folder": folder.root}
    )
    return None


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
