"""What `python -m server` serves. Events and file bytes live here, everything else in Flask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from config import Settings
from server import onair, slides, uploads
from server.app import create_app
from server.intake import Limits
from server.outgoing import opener
from server.shell import Shell
from server.target import OriginForm
from server.uploading import Uploads

# A WHIP or WHEP offer is a few KB of SDP.
SIGNALLING_BYTES = 64 * 1024
# Around the one file of the form for browsers without scripts.
FORM_BYTES = uploads.FORM_BYTES + 64 * 1024
# Around the file of the captions' form.
AROUND_CAPTIONS_BYTES = 64 * 1024
ROUTES = (("/whip/", SIGNALLING_BYTES), ("/whep/", SIGNALLING_BYTES), (uploads.FORM_PATH, FORM_BYTES))


def build(settings: Settings) -> Starlette:
    """Put the shell around Flask; what must not pass through Flask at all comes first among the routes."""
    flask_app = create_app(settings)
    events, feed = onair.build(flask_app, settings)
    decks = [(path, slides.deck_bytes(settings)) for path in slides.DECK_PATHS]
    captions_bytes = max(settings.max_body_kb, settings.captions_kb) * 1024 + AROUND_CAPTIONS_BYTES
    captions = [(path, captions_bytes) for path in ("/recordings/*/captions", "/api/v1/recordings/*/captions")]
    limits = Limits(settings.max_body_kb * 1024, (*ROUTES, *decks, *captions))
    shell = Shell(flask_app, limits, opener(settings))
    front = Uploads(flask_app, settings, shell)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        feed.start()
        completing = asyncio.create_task(front.complete())
        yield
        completing.cancel()
        await asyncio.gather(completing, return_exceptions=True)
        await feed.stop()
        shell.close()

    routes = [Mount("/events", app=events), Mount("", app=front)]
    return Starlette(routes=routes, middleware=[Middleware(OriginForm)], lifespan=lifespan)


def __getattr__(name: str) -> Starlette:
    # Made when uvicorn asks for it, so that importing this module needs no environment.
    if name != "app":
        raise AttributeError(name)
    return build(Settings.from_env())
