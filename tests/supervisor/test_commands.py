"""The command lines of the parts."""

from pathlib import Path

import pytest

from config import Settings
from supervisor import commands
from supervisor.embedded_redis import EmbeddedRedis

SECRET = "s" * 64


def settings(tmp_path: Path, **names: str) -> Settings:
    """Return settings as an installation with these variables has them."""
    return Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": SECRET, **names})


def test_worker_says_as_much_as_it_is_told(tmp_path: Path) -> None:
    """TROPA_LOG_LEVEL reaches the worker."""
    argv = commands.worker(settings(tmp_path, TROPA_LOG_LEVEL="debug"))
    assert argv[argv.index("--loglevel") + 1] == "DEBUG"


@pytest.mark.parametrize("build", [commands.web, commands.media, commands.worker, commands.beat])
def test_no_secret_on_a_command_line(build, tmp_path: Path) -> None:
    """Whoever lists processes learns neither the key nor the Redis password."""
    argv = build(settings(tmp_path, REDIS_URL="redis://:hunter2@127.0.0.1/0"))
    assert not any(SECRET in word or "hunter2" in word for word in argv)


def test_embedded_redis_keeps_its_password_off_the_command_line(tmp_path: Path) -> None:
    """The password goes through standard input, and the server listens on loopback alone."""
    redis = EmbeddedRedis(tmp_path, 6390, "secret-password")
    assert not any("secret-password" in word for word in redis.argv)
    assert b"requirepass secret-password\n" in redis.configuration
    assert b"bind 127.0.0.1\n" in redis.configuration
    assert redis.url == "redis://:secret-password@127.0.0.1:6390/0"
    assert "secret-password" not in repr(redis)
