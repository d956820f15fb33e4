"""Links that leave the site: letters, invitations, calendars."""

from __future__ import annotations

from flask import current_app, request


def public_link(path: str) -> str:
    """Make an absolute address of a local path: by TROPA_PUBLIC_URL, else by the address that the asker used."""
    base = current_app.config["TROPA"].public_url or request.host_url
    return base.rstrip("/") + path
