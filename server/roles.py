"""The interface's words for roles."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from rules.rights import Role
from store.models import School

ROLES = {
    Role.COORDINATOR: _l("coordinator"),
    Role.HOST: _l("host"),
    Role.TEACHER: _l("teacher"),
    Role.LIBRARIAN: _l("librarian"),
    Role.ADMINISTRATOR: _l("administrator"),
}


def role_at(role: str, school: School | None) -> str:
    """Write a role and where it is held: "host, Sosnovka school" or "coordinator, whole district"."""
    return _("%(role)s, %(place)s", role=ROLES[Role(role)], place=school.name if school else _("whole district"))
