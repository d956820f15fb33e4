"""Take the picture of the live room that README.md shows, from the demo: `python -m tests.slow.picture`."""

from __future__ import annotations

import json

from playwright.sync_api import sync_playwright

from tests.slow.chromium import launch
from tests.slow.livestage import RECORD_CONNECTIONS, wait_playing
from tests.slow.stack import ROOT, Stack, wait_until

PATIENCE_S = 90
TARGET = ROOT / "docs" / "live-room.png"


def main() -> None:
    """Start the demo, wait until the first page of the lesson is drawn, and take the picture in Russian."""
    with Stack(mode="demo") as demo, sync_playwright() as playwright:
        facts = demo.data / "demo.json"
        wait_until(facts.exists, PATIENCE_S, "demo.json")
        browser = launch(playwright)
        page = browser.new_page(locale="ru-RU", viewport={"width": 900, "height": 790})
        page.add_init_script(RECORD_CONNECTIONS)
        page.goto(json.loads(facts.read_text("utf-8"))["live"]["watch_url"])
        wait_playing(page, PATIENCE_S)
        drawn = "(async () => (await new Promise((r) => setTimeout(r, 8000)), true))()"
        page.evaluate(drawn)
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
