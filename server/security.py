"""Headers, cookies and limits that every answer carries."""

from __future__ import annotations

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings

csrf = CSRFProtect()
# The limits' texts are read from the application's config at each request.
limiter = Limiter(
    key_func=get_remote_address,
    # A fixed window would let twice the limit through at its edge.
    strategy="moving-window",
    application_limits=[lambda: current_app.config["REQUESTS_LIMIT"]],
    # The front door counts by bearer (server/whip.py): after an outage a school knocks each second from one address.
    # Pieces of uploads have a limit of their own (server/tus.py), so that a fast link does not shut out its pages.
    application_limits_exempt_when=lambda: (
        request.path.startswith(("/whip/", "/whep/")) or (request.method == "PATCH" and request.blueprint == "tus")
    ),
)

# No inline script or style anywhere: a template that needs data for a script puts it into a JSON block.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
JSON = "application/json"
HSTS_SECONDS = 30 * 86_400


def init_app(app: Flask, settings: Settings, overrides: dict) -> None:
    """Set cookies' flags, the proxy chain, CSRF and the request limits on the application."""
    secure = is_https(settings)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_NAME="tropa_form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=secure,
        # access.enforce calls csrf.protect itself, after it knows whether a cookie or a bearer token speaks.
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
        MAX_CONTENT_LENGTH=settings.max_body_kb * 1024,
        MAX_FORM_MEMORY_SIZE=settings.max_body_kb * 1024,
        MAX_FORM_PARTS=500,
        RATELIMIT_STORAGE_URI=settings.redis_url or "memory://",
        RATELIMIT_STORAGE_OPTIONS=_redis_timeouts(settings),
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=bool(settings.redis_url),
        RATELIMIT_HEADERS_ENABLED=False,
        RATELIMIT_KEY_PREFIX="tropa:limit",
        REQUESTS_LIMIT=f"{settings.requests_per_minute} per minute",
        LOGIN_LIMIT=f"{settings.login_attempts_per_minute} per minute",
    )
    # Said for each application anew: the limiter is one object and keeps what the one before was told.
    app.config["RATELIMIT_ENABLED"] = True
    app.config.update(overrides)
    csrf.init_app(app)
    limiter.init_app(app)
    hops = settings.trusted_proxies
    if hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=hops)
    hsts = f"max-age={HSTS_SECONDS}" if settings.public_url.startswith("https://") else ""

    @app.after_request
    def add_headers(response: Response) -> Response:
        return _with_headers(response, hsts)


def is_https(settings: Settings) -> bool:
    """Say whether people reach this installation over TLS, so that cookies may be marked Secure."""
    return settings.public_url.startswith("https://") or bool(settings.tls_cert)


def _redis_timeouts(settings: Settings) -> dict[str, float]:
    # A Redis that hangs must cost a page half a second, not its life: the limiter then counts in memory.
    return {"socket_connect_timeout": 0.5, "socket_timeout": 0.5} if settings.redis_url else {}


def _with_headers(response: Response, hsts: str) -> Response:
    headers = response.headers
    if request.blueprint == "tus":
        # A file comes in hundreds of pieces over a slow link, and nothing here is ever shown by a browser.
        headers.setdefault("X-Content-Type-Options", "nosniff")
        return response
    if response.mimetype == "application/sdp" or (request.blueprint == "whip" and response.mimetype == JSON):
        # Nothing that a browser could show; on 24 kbit/s the headers of a page would hold the voice up by 0.2 s, and
        # the live page asks each 12 s what it gets.
        headers.setdefault("X-Content-Type-Options", "nosniff")
        return response
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=()")
    if hsts and request.is_secure:
        headers.setdefault("Strict-Transport-Security", hsts)
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "private, no-cache"
    return response
