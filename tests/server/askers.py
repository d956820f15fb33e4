"""Who asks in the table of routes, and what a row of it says."""

from __future__ import annotations

from dataclasses import dataclass, field

PEOPLE = (
    "administrator",
    "coordinator",
    "school_coordinator",
    "host",
    "teacher",
    "librarian",
    "other_host",
    "other_teacher",
    "nobody_yet",
)
ROLES = ("nobody", "guest", *PEOPLE)

EVERYONE = frozenset(ROLES)
PERSONS = frozenset(PEOPLE)
MEMBERS = PERSONS - {"nobody_yet"}
DISTRICT = frozenset({"administrator", "coordinator"})
COORDINATORS = DISTRICT | {"school_coordinator"}
BOOKERS = COORDINATORS | {"host", "other_host"}
# The sample lesson is Sosnovka's for itself alone.
INSIDERS = COORDINATORS | {"host", "teacher", "librarian"}
EDITORS = COORDINATORS | {"host"}
# The sample upload is the host's, for Sosnovka.
SENDERS = COORDINATORS | {"host"}
NOBODY: frozenset[str] = frozenset()
REFUSED = {302, 401, 403, 404}
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = TUS | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


@dataclass(frozen=True)
class Row:
    """One route: who may use it and what they get; everybody else gets one of REFUSED (302: to the login)."""

    method: str
    rule: str
    who: frozenset[str]
    ok: int
    body: str = ""
    path: str = ""
    refused: frozenset[int] = field(default_factory=lambda: frozenset(REFUSED))
    headers: dict[str, str] = field(default_factory=dict, hash=False)
