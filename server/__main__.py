"""The web process: `python -m server`, with the settings of the environment."""

from __future__ import annotations

import uvicorn

from config import Settings
from server import opening

GRACE_S = 2
"""An events connection never ends by itself, so an orderly stop must not wait for it."""


def configure(settings: Settings) -> uvicorn.Config:
    """Say how the application is served, over TLS where a certificate is set.

    Proxy headers stay off: the application itself believes as many proxies as TROPA_TRUSTED_PROXIES says.
    """
    return uvicorn.Config(
        "server.asgi:app",
        host=settings.host,
        port=settings.port,
        http=opening.Protocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=settings.tls_cert or None,
        ssl_keyfile=settings.tls_key or None,
    )


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    config = configure(Settings.from_env())
    listener = config.bind_socket()
    opening.narrow(listener)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
