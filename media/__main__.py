"""The media process: `python -m media`. Settings come from the environment; SIGINT or SIGTERM stops it in order."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable

from aiohttp import web

from config import SettingError, Settings
from media.control import make_app
from media.metrics import make_metrics
from media.registry import Registry
from media.rtc.addresses import candidate_addresses, listen_host, open_tcp, open_udp
from media.rtc.port import MediaPort
from media.service import Service
from rules.space import Reserve
from rules.tickets import derive

logger = logging.getLogger("media")

STOP_S = 3.0
YOUNG_OBJECTS = 20_000
"""The collector of cycles looks at young objects when there are so many, instead of the usual 700. Cycles come of
sessions alone, and few of them (docs/fanout.md tells what it costs)."""


def main() -> int:
    """Run until told to stop; return the exit status."""
    try:
        settings = Settings.from_env()
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(settings))
    except OSError as error:
        logger.error("cannot start: %s", error)
        return 1
    return 0


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    _raise_file_limit()
    gc.freeze()  # what was imported stays for good
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    host = listen_host(settings.host)
    port = MediaPort(
        _open(open_udp, host, settings), _open(open_tcp, host, settings), time.monotonic, settings.max_viewers
    )
    addresses = candidate_addresses(host, settings.public_ip)
    outbox: list[Registry] = []

    def publish(session: str, event: dict) -> None:
        for registry in outbox:
            registry.publish(session, event)

    service = Service(
        port,
        addresses,
        settings.data / "live",
        settings.max_viewers,
        settings.host_grace_s,
        settings.max_lesson_hours,
        publish,
        Reserve(settings.free_mb * 1_000_000, settings.free_percent),
    )
    await asyncio.to_thread(service.recover)
    runner = web.AppRunner(
        make_app(service, derive(settings.secret_key, "control").hex(), make_metrics(service)), access_log=None
    )
    await runner.setup()
    control = await _listen(runner, settings.media_control)
    node = secrets.token_hex(6)
    tasks = {asyncio.create_task(service.run(), name="rooms")}
    if settings.redis_url:
        outbox.append(
            Registry(
                settings.redis_url,
                node,
                control,
                os.getpid(),
                lambda: service.viewers / settings.max_viewers,
                lambda: list(service.rooms),
            )
        )
        tasks.add(asyncio.create_task(outbox[0].run(), name="registry"))
    port.attach(loop)
    _announce(settings, control, node)
    logger.info("media on UDP and TCP %s, candidates %s, control %s", port.number, ", ".join(addresses), control)
    stop = asyncio.create_task(stopping.wait(), name="stop")
    try:
        done, _ = await asyncio.wait({stop, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            # A task that ends by itself is a fault: its error goes up, and the supervisor starts the process anew.
            await task
    finally:
        await service.stop(STOP_S)
        for task in (stop, *tasks):
            task.cancel()
        await asyncio.gather(stop, *tasks, return_exceptions=True)
        port.detach(loop)
        for registry in outbox:
            await registry.close()
        await runner.cleanup()


def _open(how: Callable[[str, int], socket.socket], host: str, settings: Settings) -> socket.socket:
    """Open one of the two sockets. Raises OSError that names it."""
    try:
        return how(host, settings.media_port)
    except OSError as error:
        kind = "TCP" if how is open_tcp else "UDP"
        raise OSError(f"{kind} port {settings.media_port} on {settings.host} is not free: {error}") from error


def _raise_file_limit() -> None:
    """Take as many files as the system allows: a viewer over TCP is one, and 1,024 is the usual first limit."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _listen(runner: web.AppRunner, where: str) -> str:
    """Open the control port at "host:port"; return its address."""
    host, _, number = where.rpartition(":")
    site = web.TCPSite(runner, host.strip("[]") or "127.0.0.1", int(number))
    await site.start()
    bound = runner.addresses[0]
    name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    return f"http://{name}:{bound[1]}"


def _announce(settings: Settings, control: str, node: str) -> None:
    """Write run/media.json by rename."""
    folder = settings.data / "run"
    folder.mkdir(parents=True, exist_ok=True)
    entry = {"control": control, "node": node, "pid": os.getpid()}
    temporary = folder / f"media.json.{os.getpid()}"
    temporary.write_text(json.dumps(entry), "utf-8")
    temporary.replace(folder / "media.json")


if __name__ == "__main__":
    sys.exit(main())
