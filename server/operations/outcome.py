"""What an operation answers with when it could not be carried out: for a form to show, or the API to return."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from flask_babel import gettext as _

from rules.schedule import Conflict, Suggestion
from server.problems import Problem
from server.slotwords import ClashText, machine_time


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why nothing was changed: errors by field (422), or a clash with what is free instead (409)."""

    status: int
    errors: dict[str, list[str]] = field(default_factory=dict)
    clash: ClashText | None = None
    conflicts: tuple[Conflict, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    message: str = ""
    slug: str = ""

    def problem(self) -> Problem:
        """Return the same as problem details (RFC 9457) for the API."""
        if self.clash is None:
            extra = {"errors": self.errors} if self.errors else {}
            return Problem(self.status, self.message, slug=self.slug or "validation", extra=extra)
        extra = {
            "clashes": [asdict(conflict) for conflict in self.conflicts],
            "suggestions": [machine_time(suggestion.starts_at) for suggestion in self.suggestions],
        }
        return Problem(
            self.status,
            " ".join(self.clash.reasons),
            title=_("This time is taken"),
            todo=_("Choose one of the suggested times."),
            slug="clash",
            extra=extra,
        )


def wrong(field_name: str, text: str) -> Trouble:
    """Return a Trouble with one error of one field."""
    return Trouble(422, errors={field_name: [text]})
