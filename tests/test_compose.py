"""docker-compose.yml says what the supervisor does, and cannot be started with a secret that everybody knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from config import Settings
from supervisor import commands

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")
SECRETS = {"SECRET_KEY": "s" * 64, "POSTGRES_PASSWORD": "p" * 32, "REDIS_PASSWORD": "r" * 32}
NEEDED = {**SECRETS, "TROPA_SITE": "tropa.example", "TROPA_PUBLIC_IP": "192.0.2.7"}
OURS = ("web", "media", "worker", "beat")
# The keys that our services use; a misspelt one must not slip in.
SERVICE_KEYS = {
    *("build", "command", "configs", "depends_on", "environment", "healthcheck", "image", "ports", "restart"),
    *("stop_grace_period", "volumes"),
}


class Missing(KeyError):
    """A variable that the file demands is not set."""


def load(environment: dict[str, str]) -> dict:
    """Return the file as Docker Compose reads it: variables filled in, anchors and merges resolved.

    Compose specification, "Interpolation": ${A:-default}, ${A:?error}, and $$ for a dollar sign.
    """

    def fill(found: re.Match[str]) -> str:
        value = environment.get(found["name"], "")
        if value or found["kind"] is None:
            return value
        if found["kind"] == "?":
            raise Missing(found["name"])
        return found["text"]

    def walk(node: object) -> object:
        if isinstance(node, dict):
            return {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value) for value in node]
        if isinstance(node, str):
            return VARIABLE.sub(fill, node).replace("$$", "$")
        return node

    return walk(yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8")))


@pytest.fixture
def compose() -> dict:
    """Return the file with everything set that it demands."""
    return load(NEEDED)


@pytest.mark.parametrize("name", OURS)
def test_command_is_what_the_supervisor_runs(compose: dict, name: str) -> None:
    """The command of each part is built in one place; the file repeats it word for word."""
    service = compose["services"][name]
    settings = Settings.from_env(service["environment"])
    assert tuple(service["command"]) == ("python", *getattr(commands, name)(settings))


def test_migration_runs_before_every_part(compose: dict) -> None:
    """No part starts on tables of another version."""
    assert tuple(compose["services"]["migrate"]["command"]) == ("python", *commands.MIGRATE)
    for name in OURS:
        condition = compose["services"][name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_nothing_needed_has_a_default(name: str) -> None:
    """Without a secret, a site or an address Docker Compose refuses to start."""
    with pytest.raises(Missing, match=name):
        load({key: value for key, value in NEEDED.items() if key != name})


def test_settings_in_the_file_exist(compose: dict) -> None:
    """Every variable given to our parts is a setting of docs/settings.md."""
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.MULTILINE))
    for name in OURS:
        assert set(compose["services"][name]["environment"]) <= documented


def test_live_port_is_published_over_both_protocols(compose: dict) -> None:
    """The port that browsers are told is the one that is open, as UDP and as TCP; nothing else of ours is."""
    services = load({**NEEDED, "TROPA_MEDIA_PORT": "9443"})["services"]
    assert services["media"]["ports"] == ["9443:9443/udp", "9443:9443/tcp"]
    assert services["media"]["environment"]["TROPA_MEDIA_PORT"] == "9443"
    assert {name for name, service in services.items() if "ports" in service} == {"proxy", "media"}


def test_every_lasting_service_is_watched_and_restarted(compose: dict) -> None:
    """Every service that lasts has a health check and comes back after a failure."""
    for name, service in compose["services"].items():
        if name != "migrate":
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name


def test_names_hang_together(compose: dict) -> None:
    """Volumes, configurations and dependencies that are used exist, and no service has an unknown key."""
    for name, service in compose["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        for dependency in service.get("depends_on", {}):
            assert dependency in compose["services"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]
    dockerfile = compose["services"]["web"]["build"]["dockerfile"]
    assert (ROOT / dockerfile).is_file()


def test_parts_share_the_data_folder(compose: dict) -> None:
    """What the recorder writes is what the worker reads and the web part sends."""
    for name in OURS:
        assert "data:/data" in compose["services"][name]["volumes"]


def test_the_proxy_hands_on_to_the_web_part(compose: dict) -> None:
    """The proxy knows the web part by name and port, and is believed as the one proxy in front."""
    caddyfile = (ROOT / "deploy/Caddyfile").read_text("utf-8")
    environment = compose["services"]["web"]["environment"]
    assert f"reverse_proxy web:{environment['TROPA_PORT']}" in caddyfile
    assert environment["TROPA_TRUSTED_PROXIES"] == "1"
    assert environment["TROPA_PUBLIC_URL"] == "https://tropa.example"
