"""Say where the demo is and write demo.json, once everything answers and the lesson is on air."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict

import httpx

from config import Settings
from rules import tickets
from supervisor import greeting
from supervisor.demo.sample import Account, Demo, write_private

FILE = "demo.json"


def announce(settings: Settings, accounts: Mapping[str, Account], demo: Demo) -> None:
    """Wait until the lesson is live, then write demo.json and print what to open."""
    asyncio.run(greeting.until(lambda: is_live(settings, demo.live_id)))
    base = greeting.base_url(settings)
    found = facts(base, accounts, demo)
    write_private(settings.data / FILE, found)
    for line in greeting.greet(settings, "")[:-1]:
        print(line)
    print(f"A lesson is live: {found['live']['watch_url']}")
    for role, account in accounts.items():
        print(f"{role}: {account.login}  password {account.password}")
    print(f"All of this for programs: {settings.data / FILE}.  Ctrl-C stops everything.", flush=True)


def facts(base: str, accounts: Mapping[str, Account], demo: Demo) -> dict[str, object]:
    """Return what demo.json holds."""
    return {
        "base_url": base,
        **{name: asdict(account) for name, account in accounts.items()},
        "live": {
            "id": demo.live_id,
            "watch_url": f"{base}/join/{demo.live_join}",
            "whep_url": f"{base}/whep/{demo.live_id}",
            "whep_token": demo.live_watch,
        },
        "idle": {
            "id": demo.idle_id,
            "whip_url": f"{base}/whip/{demo.idle_id}",
            "whip_token": demo.idle_host,
            "whep_url": f"{base}/whep/{demo.idle_id}",
            "whep_token": demo.idle_watch,
        },
    }


def is_live(settings: Settings, session_id: str) -> bool:
    """Ask the live plane's control port whether media of a session arrives (docs/architecture.md)."""
    try:
        control = json.loads((settings.data / "run" / "media.json").read_text("utf-8"))["control"]
        secret = tickets.derive(settings.secret_key, "control").hex()
        answer = httpx.get(
            f"{control}/rooms/{session_id}", headers={"X-Tropa-Control": secret}, timeout=2, trust_env=False
        )
        return answer.is_success and answer.json()["state"] == "live"
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return False
