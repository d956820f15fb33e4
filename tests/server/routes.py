"""Every route with who may use it: the table that test_every_route walks as every asker."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.server.lessons import Lessons, lesson_draft, next_lesson_start

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


def bodies(lessons: Lessons, district) -> dict[str, dict]:
    """Return what the rows name as body."""
    draft = lesson_draft(district)
    lesson = {
        "kind": "webinar",
        "title": "Новый урок",
        "subject": "Физика",
        "grades": "7",
        "host_school_id": draft.host_school_id,
        "host_person_id": draft.host_person_id,
        "minutes": 30,
        "audience": "district",
    }
    school = {"name": "Новая школа", "timezone": "Asia/Krasnoyarsk"}
    return {
        "": {},
        "lesson_form": {**lesson, "date": next_lesson_start().strftime("%Y-%m-%d"), "time": "16:40"},
        "lesson": {**lesson, "starts_at": next_lesson_start().replace(hour=9).isoformat()},
        "title": {"title": "Другое название"},
        "seminar": {"title": "Семинар", "organiser_school_id": draft.host_school_id},
        "guest": {"name": "Учитель", "school_id": draft.host_school_id},
        "school": school,
        "place": {"place": "Сосновка"},
        "disable": {"disabled": True},
        "role": {"role": "teacher", "school_id": draft.host_school_id},
        "role_form": {"role": "teacher", "place": draft.host_school_id},
        "watch": {"action": "watch"},
        "host": {"action": "host"},
        "profile": {"name": "Имя", "locale": "ru", "timezone": "Asia/Omsk"},
        "label": {"label": "проба"},
        "school_form": {**school, "name": "Сосновская школа"},
        "language": {"language": "en"},
        "feed": {"kind": "voice_aac"},
        "terms": {"night_from": "22:00", "night_to": "06:00", "monthly_mb": 2000},
        "report": {"month": "2026-11", "month_bytes": 0},
        "link_test": {"school_id": draft.host_school_id},
        "upload_words": {"title": "Урок о реках", "description": "О реках и озёрах"},
        "policy": {"refused": "30"},
        "days": {"refused": 30},
        "times_form": {"version": "0", "at": "0:05", "page": "2", "title": "Начало"},
        "times": {"version": 0, "pages": [{"at_ms": 5000, "page": 2}], "chapters": []},
        "keep_form": {"keep": "1"},
        "keep": {"keep": True},
        "last": {"last_copy": "1"},
        "link_offer": {"direction": "down", "offer": "v=0"},
    }


MIRROR_FILE = "/api/v1/mirror/files/{rendition}"
S, M, G, R, U = "{session}", "{seminar}", "{guest}", "{recording}", "{upload}"
F = "{rendition}"
TABLE = [
    Row("GET", "/static/<path:name>", EVERYONE, 200, path="/static/tropa.css"),
    Row("GET", "/favicon.ico", EVERYONE, 200),
    Row("GET", "/", EVERYONE, 200),
    Row("GET", "/healthz", EVERYONE, 200),
    Row("GET", "/metrics", EVERYONE, 200),
    Row("GET", "/login", frozenset({"nobody", "guest"}), 200),
    Row("POST", "/login", NOBODY, 200, refused=frozenset({302, 422})),
    Row("POST", "/logout", EVERYONE, 302),
    Row("POST", "/language", EVERYONE, 302, "language"),
    Row("GET", "/first/<token>", NOBODY, 200, path="/first/x", refused=frozenset({410, 404})),
    Row("POST", "/first/<token>", NOBODY, 200, path="/first/x", refused=frozenset({410, 404})),
    Row("GET", "/invite/<token>", NOBODY, 200, path="/invite/x", refused=frozenset({410, 404})),
    Row("POST", "/invite/<token>", NOBODY, 200, path="/invite/x", refused=frozenset({410, 404})),
    Row("GET", "/me", PERSONS, 200),
    Row("POST", "/me/profile", PERSONS, 302, "profile"),
    Row("POST", "/me/password", PERSONS, 422),
    Row("POST", "/me/logins/<login_id>/end", NOBODY, 302, path="/me/logins/x/end"),
    Row("POST", "/me/tokens", PERSONS, 200, "label"),
    Row("POST", "/me/tokens/<token_id>/revoke", NOBODY, 302, path="/me/tokens/x/revoke"),
    Row("POST", "/me/calendar", PERSONS, 302),
    Row("GET", "/schools", COORDINATORS, 200),
    Row("GET", "/storage", COORDINATORS, 200),
    Row("POST", "/storage", DISTRICT, 303, "policy"),
    Row("GET", "/schools/new", DISTRICT, 200),
    Row("POST", "/schools/new", DISTRICT, 302, "school"),
    Row("GET", "/schools/<school_id>", COORDINATORS, 200, path="/schools/{school}"),
    Row("POST", "/schools/<school_id>", COORDINATORS, 302, "school_form", "/schools/{school}"),
    Row("GET", "/people", COORDINATORS, 200),
    Row("GET", "/people/<person_id>", COORDINATORS, 200, path="/people/{teacher}"),
    Row("POST", "/people/<person_id>/roles", COORDINATORS, 302, "role_form", "/people/{teacher}/roles"),
    Row(
        "POST",
        "/people/<person_id>/roles/<int:membership_id>/remove",
        COORDINATORS,
        302,
        path="/people/{teacher}/roles/{membership}/remove",
    ),
    Row(
        "POST",
        "/people/<person_id>/<any(disable, enable):what>",
        COORDINATORS,
        302,
        path="/people/{teacher}/disable",
    ),
    Row("POST", "/people/<person_id>/reset", COORDINATORS, 200, path="/people/{teacher}/reset"),
    Row("GET", "/reset/<token>", NOBODY, 200, path="/reset/x", refused=frozenset({410, 404})),
    Row("POST", "/reset/<token>", NOBODY, 200, path="/reset/x", refused=frozenset({410, 404})),
    Row("GET", "/invitations", COORDINATORS, 200),
    Row("POST", "/invitations", COORDINATORS, 200, "role_form"),
    Row("POST", "/invitations/<invitation_id>/revoke", NOBODY, 302, path="/invitations/x/revoke"),
    Row("GET", "/week", PERSONS, 200),
    Row("GET", "/sessions/new", BOOKERS, 200),
    Row("POST", "/sessions/new", EDITORS, 303, "lesson_form"),
    Row("GET", "/sessions/<session_id>", INSIDERS | {"guest"}, 200, path=f"/sessions/{S}"),
    Row("GET", "/sessions/<session_id>.ics", INSIDERS | {"guest"}, 200, path=f"/sessions/{S}.ics"),
    Row("GET", "/sessions/<session_id>/edit", EDITORS, 200, path=f"/sessions/{S}/edit"),
    Row("POST", "/sessions/<session_id>/edit", EDITORS, 303, "edit_form", f"/sessions/{S}/edit"),
    Row("GET", "/sessions/<session_id>/cancel", EDITORS, 200, path=f"/sessions/{S}/cancel"),
    Row("POST", "/sessions/<session_id>/cancel", EDITORS, 303, path=f"/sessions/{S}/cancel"),
    Row("GET", "/sessions/<session_id>/guests", EDITORS, 200, path=f"/sessions/{S}/guests"),
    Row("POST", "/sessions/<session_id>/guests", EDITORS, 303, "guest", f"/sessions/{S}/guests"),
    Row(
        "POST",
        "/sessions/<session_id>/guests/<guest_id>/revoke",
        EDITORS,
        303,
        path=f"/sessions/{S}/guests/{G}/revoke",
    ),
    Row("GET", "/sessions/<session_id>/live", INSIDERS | {"guest"}, 200, path=f"/sessions/{S}/live"),
    Row("GET", "/sessions/<session_id>/host", EDITORS, 200, path=f"/sessions/{S}/host"),
    # Whoever may gets as far as the media process, which does not run here.
    Row("POST", "/sessions/<session_id>/end", EDITORS, 503, path=f"/sessions/{S}/end"),
    Row("GET", "/join/<ticket>", EVERYONE, 200, path="/join/{guest_ticket}"),
    Row("GET", "/seminars", PERSONS, 200),
    Row("GET", "/seminars/new", COORDINATORS, 200),
    Row("POST", "/seminars/new", COORDINATORS, 303, "seminar"),
    Row("GET", "/seminars/<seminar_id>", INSIDERS, 200, path=f"/seminars/{M}"),
    Row("GET", "/seminars/<seminar_id>.ics", INSIDERS, 200, path=f"/seminars/{M}.ics"),
    Row("GET", "/seminars/<seminar_id>/edit", COORDINATORS, 200, path=f"/seminars/{M}/edit"),
    Row("POST", "/seminars/<seminar_id>/edit", COORDINATORS, 303, "seminar", f"/seminars/{M}/edit"),
    Row("GET", "/link-test", PERSONS | {"guest"}, 200),
    Row("GET", "/link-test/sample", PERSONS | {"guest"}, 200),
    Row("GET", "/calendar/<secret>.ics", NOBODY, 200, path="/calendar/wrong.ics"),
    Row("GET", "/library", PERSONS, 200),
    Row("GET", "/recordings/<recording_id>", INSIDERS, 200, path=f"/recordings/{R}"),
    Row("GET", "/recordings/<recording_id>/progress", INSIDERS, 200, path=f"/recordings/{R}/progress"),
    Row("POST", "/recordings/<recording_id>/retry", EDITORS, 303, path=f"/recordings/{R}/retry"),
    Row("POST", "/recordings/<recording_id>/cancel", EDITORS, 303, path=f"/recordings/{R}/cancel"),
    Row("POST", "/recordings/<recording_id>/keep", EDITORS, 303, "keep_form", f"/recordings/{R}/keep"),
    Row("GET", "/recordings/<recording_id>/slides", EDITORS, 200, path=f"/recordings/{R}/slides"),
    Row("POST", "/recordings/<recording_id>/slides", EDITORS, 303, "times_form", f"/recordings/{R}/slides"),
    Row("POST", "/recordings/<recording_id>/slides/remove", EDITORS, 303, path=f"/recordings/{R}/slides/remove"),
    # There are no slides: tests/server/test_slides.py sends some.
    Row(
        "POST",
        "/recordings/<recording_id>/slides/deck",
        NOBODY,
        303,
        path=f"/recordings/{R}/slides/deck",
        refused=frozenset(REFUSED | {422}),
    ),
    Row("GET", "/recordings/<recording_id>/slides/<int:number>", NOBODY, 200, path=f"/recordings/{R}/slides/1"),
    Row("GET", "/api/v1/recordings/<recording_id>/slides", EDITORS, 200, path=f"/api/v1/recordings/{R}/slides"),
    Row("PUT", "/api/v1/recordings/<recording_id>/slides", EDITORS, 200, "times", f"/api/v1/recordings/{R}/slides"),
    Row(
        "PUT",
        "/api/v1/recordings/<recording_id>/slides/deck",
        NOBODY,
        202,
        path=f"/api/v1/recordings/{R}/slides/deck",
        refused=frozenset(REFUSED | {415}),
    ),
    Row(
        "DELETE",
        "/api/v1/recordings/<recording_id>/slides/deck",
        EDITORS,
        204,
        path=f"/api/v1/recordings/{R}/slides/deck",
    ),
    Row("GET", "/recordings/<recording_id>/remove/<file_id>", EDITORS, 200, path=f"/recordings/{R}/remove/{F}"),
    Row("POST", "/recordings/<recording_id>/remove/<file_id>", EDITORS, 303, "last", f"/recordings/{R}/remove/{F}"),
    # Nothing was removed there, and there is no source: tests/server/test_keeping.py asks where there is.
    Row(
        "POST",
        "/recordings/<recording_id>/remake/<rendition_id>",
        NOBODY,
        303,
        path=f"/recordings/{R}/remake/{F}",
        refused=frozenset(REFUSED | {409}),
    ),
    Row("GET", "/recordings/<recording_id>/source/<int:number>", NOBODY, 200, path=f"/recordings/{R}/source/1"),
    Row("GET", "/uploads/<upload_id>/original", SENDERS, 200, path="/uploads/{refused_upload}/original"),
    Row("GET", "/files/<rendition_id>/<path:name>", INSIDERS, 308, path="/files/{rendition}/x"),
    # Tickets and tokens speak for themselves there: tests/server/test_whip.py asks with them.
    Row("POST", "/whip/<session_id>", NOBODY, 201, path=f"/whip/{S}", refused=frozenset({401})),
    Row("POST", "/whep/<session_id>", NOBODY, 201, path=f"/whep/{S}", refused=frozenset({401})),
    Row("PATCH", "/whip/<session_id>/<resource>", NOBODY, 204, path=f"/whip/{S}/x", refused=frozenset({401})),
    Row("PATCH", "/whep/<session_id>/<resource>", NOBODY, 204, path=f"/whep/{S}/x", refused=frozenset({401})),
    Row("DELETE", "/whip/<session_id>/<resource>", NOBODY, 200, path=f"/whip/{S}/x", refused=frozenset({401})),
    Row("DELETE", "/whep/<session_id>/<resource>", NOBODY, 200, path=f"/whep/{S}/x", refused=frozenset({401})),
    Row("GET", "/uploads/", BOOKERS, 200),
    Row("POST", "/uploads/form", NOBODY, 303, refused=frozenset({401, 403, 422})),
    Row("GET", "/uploads/<upload_id>/edit", SENDERS, 200, path=f"/uploads/{U}/edit"),
    Row("POST", "/uploads/<upload_id>/edit", SENDERS, 303, "upload_words", f"/uploads/{U}/edit"),
    Row("POST", "/uploads/<upload_id>/remove", SENDERS, 303, path=f"/uploads/{U}/remove"),
    Row("POST", "/uploads/<upload_id>/retry", SENDERS, 303, path="/uploads/{refused_upload}/retry"),
    Row(
        "POST",
        "/uploads/",
        EDITORS,
        201,
        headers=TUS | {"Upload-Length": "1000", "Upload-Metadata": "session {session_base64}"},
        refused=frozenset({401, 403, 422}),
    ),
    Row("PATCH", "/uploads/<upload_id>", SENDERS, 204, path=f"/uploads/{U}", headers=CHUNK),
    Row("DELETE", "/uploads/<upload_id>", SENDERS, 204, path=f"/uploads/{U}", headers=TUS),
    Row("GET", "/api/openapi.json", EVERYONE, 200),
    Row("GET", "/manifests/<rendition_id>.json", INSIDERS, 200, path="/manifests/{rendition}.json"),
    Row("GET", "/manifests/<rendition_id>.meta4", INSIDERS, 200, path="/manifests/{rendition}.meta4"),
    # Whoever knows an address: tests/server/test_feeds.py asks with one.
    Row("GET", "/feed/<secret>.xml", NOBODY, 200, path="/feed/wrong.xml"),
    Row("GET", "/feed/<secret>/<rendition_id>/<path:name>", NOBODY, 200, path="/feed/wrong/{rendition}/x"),
    Row("POST", "/me/feed", PERSONS, 302, "feed"),
    Row("POST", "/me/feed/<any(renew, remove):what>", NOBODY, 302, path="/me/feed/renew"),
    Row("GET", "/schools/<school_id>/downloads", INSIDERS, 200, path="/schools/{school}/downloads"),
    Row("POST", "/schools/<school_id>/downloads", INSIDERS, 303, "terms", "/schools/{school}/downloads"),
    Row("POST", "/schools/<school_id>/mirrors", INSIDERS, 200, "label", "/schools/{school}/mirrors"),
    Row(
        "POST",
        "/schools/<school_id>/mirrors/<mirror_id>/revoke",
        NOBODY,
        303,
        path="/schools/{school}/mirrors/x/revoke",
    ),
    Row("GET", "/api/v1/schools/<school_id>/downloads", INSIDERS, 200, path="/api/v1/schools/{school}/downloads"),
    Row(
        "PUT",
        "/api/v1/schools/<school_id>/downloads",
        INSIDERS,
        200,
        "terms",
        "/api/v1/schools/{school}/downloads",
    ),
    Row("GET", "/api/v1/schools/<school_id>/mirrors", INSIDERS, 200, path="/api/v1/schools/{school}/mirrors"),
    Row("POST", "/api/v1/schools/<school_id>/mirrors", INSIDERS, 201, "label", "/api/v1/schools/{school}/mirrors"),
    Row(
        "DELETE",
        "/api/v1/schools/<school_id>/mirrors/<mirror_id>",
        NOBODY,
        204,
        path="/api/v1/schools/{school}/mirrors/x",
    ),
    Row("GET", "/api/v1/recordings/<recording_id>/arrivals", EDITORS, 200, path=f"/api/v1/recordings/{R}/arrivals"),
    # A school's own computer comes with its school's token: tests/server/test_mirror_api.py.
    Row("GET", "/api/v1/mirror", NOBODY, 200, refused=frozenset({401})),
    Row("GET", "/api/v1/mirror/files/<rendition_id>", NOBODY, 200, path=MIRROR_FILE, refused=frozenset({401})),
    Row(
        "GET",
        "/api/v1/mirror/files/<rendition_id>/manifest",
        NOBODY,
        200,
        path=f"{MIRROR_FILE}/manifest",
        refused=frozenset({401}),
    ),
    Row("POST", "/api/v1/mirror/report", NOBODY, 200, "report", refused=frozenset({401})),
    Row("GET", "/api/v1/me", PERSONS, 200),
    Row("GET", "/api/v1/schools", MEMBERS, 200),
    Row("POST", "/api/v1/schools", DISTRICT, 201, "school"),
    Row("GET", "/api/v1/schools/<school_id>", MEMBERS, 200, path="/api/v1/schools/{school}"),
    Row("PATCH", "/api/v1/schools/<school_id>", COORDINATORS, 200, "place", "/api/v1/schools/{school}"),
    Row("GET", "/api/v1/people", COORDINATORS, 200),
    Row("GET", "/api/v1/people/<person_id>", COORDINATORS, 200, path="/api/v1/people/{teacher}"),
    Row("PATCH", "/api/v1/people/<person_id>", COORDINATORS, 200, "disable", "/api/v1/people/{teacher}"),
    Row(
        "POST",
        "/api/v1/people/<person_id>/password-reset",
        COORDINATORS,
        201,
        path="/api/v1/people/{teacher}/password-reset",
    ),
    Row(
        "POST",
        "/api/v1/people/<person_id>/memberships",
        COORDINATORS,
        201,
        "role",
        "/api/v1/people/{teacher}/memberships",
    ),
    Row(
        "DELETE",
        "/api/v1/people/<person_id>/memberships/<int:membership_id>",
        COORDINATORS,
        204,
        path="/api/v1/people/{teacher}/memberships/{membership}",
    ),
    Row("GET", "/api/v1/invitations", COORDINATORS, 200),
    Row("POST", "/api/v1/invitations", COORDINATORS, 201, "role"),
    Row("DELETE", "/api/v1/invitations/<invitation_id>", NOBODY, 204, path="/api/v1/invitations/x"),
    Row("GET", "/api/v1/sessions", PERSONS, 200),
    Row("POST", "/api/v1/sessions", EDITORS, 201, "lesson"),
    Row("GET", "/api/v1/sessions/<session_id>", INSIDERS, 200, path=f"/api/v1/sessions/{S}"),
    Row(
        "PATCH",
        "/api/v1/sessions/<session_id>",
        NOBODY,
        200,
        "title",
        f"/api/v1/sessions/{S}",
        refused=frozenset({401, 403, 404, 428}),
    ),
    Row("POST", "/api/v1/sessions/<session_id>/cancel", EDITORS, 200, path=f"/api/v1/sessions/{S}/cancel"),
    Row("POST", "/api/v1/sessions/<session_id>/tickets", INSIDERS, 201, "watch", f"/api/v1/sessions/{S}/tickets"),
    Row("POST", "/api/v1/sessions/<session_id>/tickets", EDITORS, 201, "host", f"/api/v1/sessions/{S}/tickets"),
    Row("GET", "/api/v1/sessions/<session_id>/attendance", EDITORS, 200, path=f"/api/v1/sessions/{S}/attendance"),
    Row("GET", "/api/v1/sessions/<session_id>/recordings", INSIDERS, 200, path=f"/api/v1/sessions/{S}/recordings"),
    Row("GET", "/api/v1/sessions/<session_id>/guests", EDITORS, 200, path=f"/api/v1/sessions/{S}/guests"),
    Row("POST", "/api/v1/sessions/<session_id>/guests", EDITORS, 201, "guest", f"/api/v1/sessions/{S}/guests"),
    Row(
        "DELETE",
        "/api/v1/sessions/<session_id>/guests/<guest_id>",
        EDITORS,
        204,
        path=f"/api/v1/sessions/{S}/guests/{G}",
    ),
    Row("GET", "/api/v1/seminars", PERSONS, 200),
    Row("POST", "/api/v1/seminars", COORDINATORS, 201, "seminar"),
    Row("GET", "/api/v1/seminars/<seminar_id>", INSIDERS, 200, path=f"/api/v1/seminars/{M}"),
    Row("PATCH", "/api/v1/seminars/<seminar_id>", COORDINATORS, 200, "title", f"/api/v1/seminars/{M}"),
    Row("POST", "/api/v1/link-tests", INSIDERS | {"guest"}, 201, "link_test"),
    # A test is its tester's own: tests/server/test_linktest.py asks as one.
    Row("GET", "/api/v1/link-tests/<test_id>", NOBODY, 200, path="/api/v1/link-tests/x"),
    Row("DELETE", "/api/v1/link-tests/<test_id>", NOBODY, 204, path="/api/v1/link-tests/x"),
    Row("POST", "/api/v1/link-tests/<test_id>/media", NOBODY, 201, "link_offer", "/api/v1/link-tests/x/media"),
    Row("GET", "/api/v1/link-tests/<test_id>/piece", NOBODY, 200, path="/api/v1/link-tests/x/piece?bytes=0"),
    Row("POST", "/api/v1/link-tests/<test_id>/piece", NOBODY, 200, path="/api/v1/link-tests/x/piece"),
    Row("POST", "/api/v1/link-tests/<test_id>/finish", NOBODY, 200, path="/api/v1/link-tests/x/finish"),
    Row(
        "GET",
        "/api/v1/schools/<school_id>/link-tests",
        INSIDERS,
        200,
        path="/api/v1/schools/{school}/link-tests",
    ),
    Row("GET", "/api/v1/recordings", PERSONS, 200),
    Row("GET", "/api/v1/recordings/<recording_id>", INSIDERS, 200, path=f"/api/v1/recordings/{R}"),
    Row("GET", "/api/v1/storage", COORDINATORS, 200),
    Row("PATCH", "/api/v1/storage", DISTRICT, 200, "days"),
    Row("POST", "/api/v1/recordings/<recording_id>/keep", EDITORS, 200, "keep", f"/api/v1/recordings/{R}/keep"),
    Row(
        "DELETE",
        "/api/v1/recordings/<recording_id>/files/<file_id>",
        EDITORS,
        200,
        path=f"/api/v1/recordings/{R}/files/{F}?last_copy=1",
    ),
    Row(
        "POST",
        "/api/v1/recordings/<recording_id>/files/<file_id>/remake",
        NOBODY,
        202,
        path=f"/api/v1/recordings/{R}/files/{F}/remake",
        refused=frozenset(REFUSED | {409}),
    ),
    Row("POST", "/api/v1/recordings/<recording_id>/retry", EDITORS, 202, path=f"/api/v1/recordings/{R}/retry"),
    Row("POST", "/api/v1/recordings/<recording_id>/cancel", EDITORS, 202, path=f"/api/v1/recordings/{R}/cancel"),
    Row("GET", "/api/v1/uploads", PERSONS, 200),
    Row("GET", "/api/v1/uploads/<upload_id>", SENDERS, 200, path=f"/api/v1/uploads/{U}"),
    Row("PATCH", "/api/v1/uploads/<upload_id>", SENDERS, 200, "upload_words", f"/api/v1/uploads/{U}"),
    Row("POST", "/api/v1/uploads/<upload_id>/retry", SENDERS, 202, path="/api/v1/uploads/{refused_upload}/retry"),
]
