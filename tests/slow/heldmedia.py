"""The media process with every viewer held to the rung that a file names, wherever that rung is to be had."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from media import flow, layered
from media.__main__ import main
from rules.rungs import Rung, Why

FILE = "held-rung"


def hold(data: Path, rung: str) -> None:
    """Name the rung for the media process with this data folder."""
    written = data / f"{FILE}.new"
    written.write_text(rung, "utf-8")
    written.replace(data / FILE)


def held(standing, costs, _voice, _budget_bps, _mode, _pressure, now_s):
    """Stand in for `rules.rungs.choose`."""
    rung = Rung[(Path(os.environ["TROPA_DATA"]) / FILE).read_text("utf-8")]
    if rung is standing.rung or rung not in costs:
        return standing
    return replace(standing, rung=rung, low_voice=False, why=Why.LINK, since_s=now_s)


if __name__ == "__main__":
    flow.choose = held
    layered.thinned_is_worth = lambda _fps, _whole_fps, _has_it: True
    sys.exit(main())
