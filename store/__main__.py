"""Command line of the store: `python -m store upgrade` brings the database to the newest migration."""

from __future__ import annotations

import sys

from config import SettingError, Settings
from store.database import bare_app, upgrade


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    if arguments != ["upgrade"]:
        print("usage: python -m store upgrade", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_env()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    upgrade(bare_app(settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
