"""The JSON API under /api/v1, by bearer token (or a login's cookie with a CSRF token); see /api/openapi.json."""

from __future__ import annotations

from importlib import import_module

import flask_smorest
import marshmallow
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, request

from server import access
from server.problems import Problem

BLUEPRINTS = (
    *("me", "schools", "people", "invitations", "sessions", "guests", "seminars", "recordings", "linktests"),
    *("keeping", "downloads", "mirror", "uploads", "slides", "captions"),
)
PREFIX = "/api/v1"
# Endpoints that take something else than JSON.
RAW = ("api-linktests.take", "api-slides.attach", "api-captions.put")


class ProblemSchema(marshmallow.Schema):
    """Problem details (RFC 9457)."""

    type = marshmallow.fields.String()
    title = marshmallow.fields.String()
    status = marshmallow.fields.Integer()
    detail = marshmallow.fields.String()
    errors = marshmallow.fields.Dict(metadata={"description": "What is wrong, by field"})


class TropaApi(flask_smorest.Api):
    """flask-smorest whose errors are answered by server.problems, as everywhere else."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """Leave errors to the application's own handlers."""

    @access.public
    def _openapi_json(self):
        return super()._openapi_json()


def init_app(app: Flask) -> None:
    """Register every part of the API and its description."""
    app.config.update(
        API_TITLE="Tropa",
        API_VERSION="v1",
        OPENAPI_VERSION="3.0.3",
        OPENAPI_URL_PREFIX="/api",
        OPENAPI_JSON_PATH="openapi.json",
    )
    bearer = {"type": "http", "scheme": "bearer", "description": "An API token made at /me"}
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    options = {
        "marshmallow_plugin": plugin,
        "components": {"securitySchemes": {"token": bearer}},
        "security": [{"token": []}],
    }
    api = TropaApi(app, spec_kwargs=options)
    for name in BLUEPRINTS:
        api.register_blueprint(import_module(f"server.api.{name}").blueprint, url_prefix=PREFIX)
    _answer_errors_as_problems(api)
    app.before_request(_require_json)


def _schema_name(schema: marshmallow.Schema | type[marshmallow.Schema]) -> str:
    """Name a schema in the description; the one of a PATCH, where nothing is required, is a Change and not a Body."""
    if isinstance(schema, type):
        return schema.__name__
    name = type(schema).__name__
    return name.replace("Body", "Change") if schema.partial else name


def _answer_errors_as_problems(api: TropaApi) -> None:
    """Say in the description too that errors come as application/problem+json."""
    component = api.spec.components.responses.get("DEFAULT_ERROR", {})
    content = component.get("content", {})
    if "application/json" in content:
        content["application/problem+json"] = content.pop("application/json")


def _require_json() -> None:
    """Refuse a body that does not say it is JSON (it would pass for an empty one), or is nested beyond all measure."""
    if not request.path.startswith(PREFIX) or not request.content_length or request.endpoint in RAW:
        return
    if not request.is_json:
        raise Problem(415, "", slug="not-json")
    try:
        request.get_json()
    except RecursionError:
        raise Problem(400, "", slug="not-json") from None
