"""The routes of captions, for the table in tests/server/routes.py."""

from __future__ import annotations

from tests.server.askers import EDITORS, INSIDERS, Row

C = "/recordings/{recording}/captions"
CUE = {"start": "0:01", "end": "0:03.5", "text": "Сложим дроби"}
BODIES = {
    "captions_form": {"language": "en"},
    "captions_file": "WEBVTT\n\n00:01.000 --> 00:03.500\nСложим дроби\n",
    "captions": {"do": "save", "version": 1, "first": 0, "count": 1, "from_ms": 0, "until_ms": "", **CUE},
    "first_version": {"version": 1},
}
ROWS = [
    Row("GET", "/recordings/<recording_id>/captions", INSIDERS, 200, path=C),
    # A form without a file: tests/server/test_captions.py sends one.
    Row("POST", "/recordings/<recording_id>/captions", EDITORS, 422, "captions_form", C),
    Row(
        "GET",
        "/recordings/<recording_id>/captions/<language>.<any(vtt, srt):extension>",
        INSIDERS,
        200,
        path=f"{C}/ru.vtt",
    ),
    Row("GET", "/recordings/<recording_id>/captions/<language>/edit", EDITORS, 200, path=f"{C}/ru/edit"),
    Row("POST", "/recordings/<recording_id>/captions/<language>/edit", EDITORS, 303, "captions", f"{C}/ru/edit"),
    Row(
        "POST", "/recordings/<recording_id>/captions/<language>/delete", EDITORS, 303, "first_version", f"{C}/ru/delete"
    ),
    Row("GET", "/api/v1/recordings/<recording_id>/captions", INSIDERS, 200, path=f"/api/v1{C}"),
    Row("GET", "/api/v1/recordings/<recording_id>/captions/<language>", INSIDERS, 200, path=f"/api/v1{C}/ru"),
    Row(
        "PUT", "/api/v1/recordings/<recording_id>/captions/<language>", EDITORS, 200, "captions_file", f"/api/v1{C}/ru"
    ),
    Row("DELETE", "/api/v1/recordings/<recording_id>/captions/<language>", EDITORS, 204, path=f"/api/v1{C}/ru"),
]
