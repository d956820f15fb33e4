"""Settings: a frozen value read once from the environment; the only reader of os.environ."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SECRET_FILE = "secret_key"


class SettingError(ValueError):
    """A setting that cannot be used; the text says which, why, and what to write instead."""


def _int(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    raw = env.get(name, "").strip()
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        raise SettingError(f"{name}={raw!r} is not a whole number; expected {low} to {high}") from None
    if not low <= value <= high:
        raise SettingError(f"{name}={value} is out of range; expected {low} to {high}")
    return value


def _text(env: Mapping[str, str], name: str, default: str) -> str:
    return env.get(name, "").strip() or default


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an installation may set. Names and defaults are listed in docs/settings.md."""

    host: str
    port: int
    media_port: int
    public_ip: str
    public_url: str
    data: Path
    database_url: str
    redis_url: str
    storage_url: str
    smtp_url: str
    mail_from: str
    media_control: str
    tls_cert: str
    tls_key: str
    trusted_proxies: int
    channels: int
    max_viewers: int
    host_grace_s: int
    max_lesson_hours: int
    login_days: int
    invitation_days: int
    max_body_kb: int
    login_attempts_per_minute: int
    requests_per_minute: int
    upload_days: int
    max_upload_gb: int
    uploads_per_person: int
    link_tests_per_person: int
    link_tests_per_school: int
    link_tests_kept: int
    deck_mb: int
    deck_pages: int
    captions_kb: int
    worker_processes: int
    small_video_mb: int
    cache_mb: int
    free_mb: int
    free_percent: int
    default_timezone: str
    log_level: str
    secret_key: str = field(repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read and check every setting; make the data folder and the secret on first use.

        Raises SettingError naming the setting, the value and the accepted range.
        """
        env = os.environ if env is None else env
        data = Path(_text(env, "TROPA_DATA", "var")).resolve()
        return cls(
            host=_text(env, "TROPA_HOST", "0.0.0.0"),
            port=_int(env, "TROPA_PORT", 8080, 1, 65535),
            media_port=_int(env, "TROPA_MEDIA_PORT", 8443, 1, 65535),
            public_ip=_text(env, "TROPA_PUBLIC_IP", ""),
            public_url=_text(env, "TROPA_PUBLIC_URL", "").rstrip("/"),
            data=data,
            database_url=_text(env, "DATABASE_URL", f"sqlite:///{data / 'tropa.db'}"),
            redis_url=_text(env, "REDIS_URL", ""),
            storage_url=_text(env, "STORAGE_URL", f"file://{data / 'files'}"),
            smtp_url=_text(env, "SMTP_URL", ""),
            mail_from=_text(env, "TROPA_MAIL_FROM", "tropa@localhost"),
            media_control=_text(env, "TROPA_MEDIA_CONTROL", "127.0.0.1:0"),
            tls_cert=_text(env, "TROPA_TLS_CERT", ""),
            tls_key=_text(env, "TROPA_TLS_KEY", ""),
            trusted_proxies=_int(env, "TROPA_TRUSTED_PROXIES", 0, 0, 5),
            channels=_int(env, "TROPA_CHANNELS", 4, 1, 200),
            max_viewers=_int(env, "TROPA_MAX_VIEWERS", 400, 1, 20000),
            host_grace_s=_int(env, "TROPA_HOST_GRACE_S", 600, 5, 7200),
            max_lesson_hours=_int(env, "TROPA_MAX_LESSON_HOURS", 8, 1, 24),
            login_days=_int(env, "TROPA_LOGIN_DAYS", 30, 1, 365),
            invitation_days=_int(env, "TROPA_INVITATION_DAYS", 14, 1, 90),
            max_body_kb=_int(env, "TROPA_MAX_BODY_KB", 256, 64, 1_048_576),
            login_attempts_per_minute=_int(env, "TROPA_LOGIN_ATTEMPTS_PER_MINUTE", 10, 1, 10_000),
            requests_per_minute=_int(env, "TROPA_REQUESTS_PER_MINUTE", 1200, 10, 1_000_000),
            upload_days=_int(env, "TROPA_UPLOAD_DAYS", 7, 1, 365),
            max_upload_gb=_int(env, "TROPA_MAX_UPLOAD_GB", 16, 1, 1000),
            uploads_per_person=_int(env, "TROPA_UPLOADS_PER_PERSON", 20, 1, 1000),
            link_tests_per_person=_int(env, "TROPA_LINK_TESTS_PER_PERSON", 10, 1, 1000),
            link_tests_per_school=_int(env, "TROPA_LINK_TESTS_PER_SCHOOL", 20, 1, 1000),
            link_tests_kept=_int(env, "TROPA_LINK_TESTS_KEPT", 50, 1, 1000),
            deck_mb=_int(env, "TROPA_DECK_MB", 30, 1, 1000),
            deck_pages=_int(env, "TROPA_DECK_PAGES", 300, 1, 2000),
            captions_kb=_int(env, "TROPA_CAPTIONS_KB", 1024, 16, 10_240),
            worker_processes=_int(env, "TROPA_WORKER_PROCESSES", 0, 0, 64),
            small_video_mb=_int(env, "TROPA_SMALL_VIDEO_MB", 0, 0, 100_000),
            cache_mb=_int(env, "TROPA_CACHE_MB", 10_000, 100, 10_000_000),
            free_mb=_int(env, "TROPA_FREE_MB", 1000, 1, 10_000_000),
            free_percent=_int(env, "TROPA_FREE_PERCENT", 1, 0, 50),
            default_timezone=_text(env, "TROPA_TIMEZONE", "Europe/Moscow"),
            log_level=_text(env, "TROPA_LOG_LEVEL", "INFO").upper(),
            secret_key=_secret(env, data),
        )


def _secret(env: Mapping[str, str], data: Path) -> str:
    """Return SECRET_KEY, or the one kept in the data folder, made with mode 600 on the first start."""
    given = env.get("SECRET_KEY", "").strip()
    if given:
        if len(given) < 32:
            raise SettingError("SECRET_KEY is shorter than 32 characters; use for instance 64 random hex digits")
        return given
    path = data / SECRET_FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        # O_EXCL: of several processes that start at once exactly one makes the key, the others read it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        kept = path.read_text("ascii").strip()
        if len(kept) < 32:
            raise SettingError(f"{path} is damaged (shorter than 32 characters); restore it from a backup") from None
        return kept
    except OSError as error:
        raise SettingError(
            f"TROPA_DATA={data} cannot be written ({error.strerror}); name a folder of this user"
        ) from None
    made = secrets.token_hex(32)
    with os.fdopen(fd, "w") as file:
        file.write(made)
    return made
