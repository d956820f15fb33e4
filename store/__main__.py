"""Command line of the store.

`python -m store upgrade` brings the database to the newest migration. `python -m store fold` writes SQLite's journal
into its file, after everything has stopped.
"""

from __future__ import annotations

import sys

from config import SettingError, Settings
from store.database import bare_app, fold, upgrade


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status."""
    if arguments not in (["upgrade"], ["fold"]):
        print("usage: python -m store upgrade|fold", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_env()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments == ["fold"]:
        fold(settings)
    else:
        upgrade(bare_app(settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
