"""Say where the service is, once it answers; on the first start also how to become its coordinator."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable

from config import Settings

PAUSE_S = 0.1


def local_url(settings: Settings) -> str:
    """Return the address at which this PC reaches its own web part."""
    return f"{_scheme(settings)}://{_bracketed(_reachable(settings.host))}:{settings.port}"


def base_url(settings: Settings) -> str:
    """Return the address to hand out: the public one where it is set."""
    if settings.public_url:
        return settings.public_url
    if settings.public_ip:
        return f"{_scheme(settings)}://{_bracketed(settings.public_ip)}:{settings.port}"
    return local_url(settings)


def addresses(settings: Settings) -> list[str]:
    """Return every address worth printing, the one to hand out first."""
    found = [base_url(settings)]
    if settings.host in ("0.0.0.0", "::") and not settings.public_url and not settings.public_ip:
        outward = outward_ip()
        if outward:
            found.append(f"{_scheme(settings)}://{outward}:{settings.port}")
    return found


def outward_ip() -> str:
    """Return this PC's address towards the rest of the network, or "" when there is none.

    Connecting a UDP socket sends nothing: it only asks the routing table (192.0.2.1 is RFC 5737 TEST-NET-1).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return probe.getsockname()[0]


def answers(settings: Settings) -> bool:
    """Tell whether the web part answers at /healthz, whatever state it reports."""
    # The certificate names the public host; here only our own loopback is asked whether it is up.
    context = ssl._create_unverified_context() if settings.tls_cert else None
    try:
        with urllib.request.urlopen(f"{local_url(settings)}/healthz", timeout=2, context=context):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a blocking question is answered with yes."""
    # Another process is asked, so there is no event to wait for.
    while not await asyncio.to_thread(holds):  # noqa: ASYNC110
        await asyncio.sleep(PAUSE_S)


def _scheme(settings: Settings) -> str:
    return "https" if settings.tls_cert else "http"


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(url: str) -> bool:
    host = url.split("://", 1)[1].rsplit(":", 1)[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def greet(settings: Settings, first_link: str) -> list[str]:
    """Return the lines that tell a person what to open."""
    urls = addresses(settings)
    lines = [f"Tropa is ready: {'  or  '.join(urls)}"]
    if first_link:
        lines.append(f"First start. This link, good once, makes the first coordinator: {first_link}")
    if not settings.tls_cert and not settings.public_url and any(not _is_loopback(url) for url in urls):
        lines.append(
            "Browsers open the camera only on this PC or over HTTPS: to give lessons from other PCs set TROPA_TLS_CERT "
            "and TROPA_TLS_KEY, or put a TLS proxy in front and set TROPA_PUBLIC_URL."
        )
    lines.append("Ctrl-C stops everything.")
    return lines


def main() -> int:
    """Wait for the web part, then print the greeting."""
    settings = Settings.from_env()
    from store.invitations import first_link_token  # after the settings: it loads the database layer

    asyncio.run(until(lambda: answers(settings)))
    token = first_link_token(settings)
    for line in greet(settings, f"{base_url(settings)}/first/{token}" if token else ""):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
