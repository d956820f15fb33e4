"""`python -m supervisor run|demo`: everything that one PC needs, in the foreground, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable

import redis

from config import SettingError, Settings
from supervisor import commands, greeting, preflight
from supervisor.embedded_redis import EmbeddedRedis
from supervisor.guardian import Guardian
from supervisor.processes import Part, Supervisor, die_with_parent

MODES = ("run", "demo")


def main(arguments: list[str]) -> int:
    """Run one mode to its end; 0 after an orderly stop, 2 when it could not start."""
    if len(arguments) != 1 or arguments[0] not in MODES:
        print(f"usage: python -m supervisor {'|'.join(MODES)}", file=sys.stderr)
        return 2
    demo = arguments[0] == "demo"
    if os.environ.get("TROPA_STOP_WITH_PARENT"):
        die_with_parent(signal.SIGTERM)
    environment = {name: value for name, value in os.environ.items() if name != "TROPA_STOP_WITH_PARENT"}
    if demo:
        environment.setdefault("TROPA_HOST", "127.0.0.1")
        environment.setdefault("TROPA_TIMEZONE", "Asia/Krasnoyarsk")  # where the sample district lies
    try:
        settings = Settings.from_env(environment)
        preflight.check_tls(settings)
        lock = preflight.lock_data(settings.data)
        guardian = Guardian()
        try:
            return _start(settings, environment, guardian, demo)
        finally:
            guardian.dismiss()
            os.close(lock)
    except (SettingError, preflight.NotReady) as error:
        print(f"Tropa did not start. {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _start(settings: Settings, environment: dict[str, str], guardian: Guardian, demo: bool) -> int:
    """Prepare what the parts need, then keep them alive until asked to stop."""
    preflight.check_ports(settings)
    environment = environment | handed_on(settings)
    preflight.migrate(settings, environment)
    if demo:
        preflight.run_step(("-m", "supervisor.demo", "prepare"), environment, "The demo could not be prepared:")
    stages, environment = plan(settings, environment, demo)
    asyncio.run(_serve(stages, environment, guardian))
    preflight.fold(environment)
    return 0


async def _serve(stages: list[list[Part]], environment: dict[str, str], guardian: Guardian) -> None:
    await Supervisor(stages, environment, guardian).run()


def handed_on(settings: Settings) -> dict[str, str]:
    """Return what every part must see alike, whatever folder it is started in."""
    return {"TROPA_DATA": str(settings.data), "TROPA_HOST": settings.host, "PYTHONUNBUFFERED": "1"}


def plan(settings: Settings, environment: dict[str, str], demo: bool) -> tuple[list[list[Part]], dict[str, str]]:
    """Return the stages in starting order and the environment of the parts."""
    stages: list[list[Part]] = []
    if not settings.redis_url:
        embedded = EmbeddedRedis.prepare(settings.data / "redis")
        environment = environment | {"REDIS_URL": embedded.url}

        def ready() -> Awaitable[None]:
            return greeting.until(lambda: _redis_answers(embedded.url))

        redis_part = Part(
            "redis", embedded.argv, embedded.configuration, ready, longest_pause_s=5, chatter=embedded.CHATTER
        )
        stages.append([redis_part])

    def python(arguments: tuple[str, ...]) -> tuple[str, ...]:
        return (sys.executable, *arguments)

    stages.append(
        [
            # Lessons and pages go before files: on a small PC encoding takes what they leave of the processor.
            Part("worker", python(commands.worker(settings)), stop_grace_s=4, niceness=5),
            Part("beat", python(commands.beat(settings)), stop_grace_s=2, niceness=5),
        ]
    )
    # A lesson waits for no one: the live plane is stopped with time to seal its recordings, and is back within seconds.
    stages.append([Part("media", python(commands.media(settings)), stop_grace_s=5, longest_pause_s=5)])
    stages.append([Part("web", python(commands.web(settings)), stop_grace_s=4)])
    if demo:
        # Killed, not asked: asked to stop, the encoder ends the lesson (WHIP DELETE) that the next start goes on with.
        host = Part(
            "host",
            python(("-m", "supervisor.demo", "host")),
            stop_grace_s=0,
            longest_pause_s=1,
            follows="media",
        )
        stages.append([host, Part("tropa", python(("-m", "supervisor.demo", "announce")), once=True)])
    else:
        stages.append([Part("tropa", python(("-m", "supervisor.greeting")), once=True)])
    return stages, environment


def _redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
