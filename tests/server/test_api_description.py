"""The description of the API names each shape once, and nothing complains while it is made."""

from __future__ import annotations

import re
import warnings

from server.app import create_app


def test_every_shape_has_a_name_of_its_own(settings) -> None:
    """No two schemas share a name (which apispec tells apart by a number, with a warning)."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Multiple schemas resolved to the name")
        made = create_app(settings, TESTING=True)
    names = made.test_client().get("/api/openapi.json").json["components"]["schemas"]
    assert len(names) > 20
    assert not [name for name in names if re.search(r"\d$", name)]


def test_every_operation_says_what_it_answers(app) -> None:
    """Each names an answer that is no error, and says in a sentence what it is for."""
    paths = app.test_client().get("/api/openapi.json").json["paths"]
    found = [
        (method, path, operation)
        for path, item in paths.items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
    assert len(found) > 60
    for method, path, operation in found:
        assert any(code.startswith("2") for code in operation["responses"]), f"{method} {path}"
        assert operation.get("summary", "").endswith("."), f"{method} {path}"
