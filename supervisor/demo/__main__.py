"""`python -m supervisor.demo prepare|host|announce`: the demo's steps, each started by the supervisor."""

from __future__ import annotations

import sys

from config import Settings
from store.database import bare_app, utc_now
from supervisor.demo import announce, archive, host, sample


def main(arguments: list[str]) -> int:
    """Run one step; 1 with one sentence where the data folder is no demo's."""
    settings = Settings.from_env()
    folder = settings.data / "demo"
    app = bare_app(settings)
    with app.app_context():
        now = utc_now()
        if arguments == ["prepare"]:
            # What an earlier run announced is no longer so.
            (settings.data / announce.FILE).unlink(missing_ok=True)
            try:
                sample.fill(folder, now)
            except sample.NotADemo as error:
                print(error, file=sys.stderr)
                return 1
            sample.on_air(settings.secret_key, settings.channels, now)
        elif arguments == ["host"]:
            host.publish(settings, folder, sample.on_air(settings.secret_key, settings.channels, now))
        elif arguments == ["announce"]:
            accounts = sample.fill(folder, now)
            announce.announce(settings, accounts, sample.on_air(settings.secret_key, settings.channels, now))
            # Last, as its files keep the processor busy for a while.
            archive.keep(settings.data, folder, sample.recorded(now))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
