"""What is wrong for one person, as an agent says it: whose side it is on, why we think so, and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from console.support.state import Support
from notifiers.diagnosis import Problem, problems_of
from notifiers.model import reference
from notifiers.people import Person, person_of

AGENTS_LANGUAGE = "en"


@dataclass(frozen=True)
class Diagnosis:
    """One problem of one person, and what an agent says of it.

    Parameters
    ----------
    problem
        As the ledger knows it.
    side, todo, next
        Sentences: whose side it is on, what the person does, what we do.
    steps
        What to try, the likeliest to help first.
    """

    problem: Problem
    side: str
    todo: str
    steps: tuple[str, ...]
    next: str

    @property
    def reference(self) -> str:
        """What the person reads out of a notice about it."""
        return reference(self.problem.notice_id)

    @property
    def document(self) -> dict[str, Any]:
        """The same as JSON."""
        trouble = self.problem.trouble
        return {
            "reference": self.reference,
            "status": self.problem.status.value,
            "problem": trouble.problem.value,
            "since": trouble.since.isoformat(),
            "last_bad_time": trouble.last_bad_time.isoformat(),
            "impaired_sessions": trouble.impaired,
            "sessions": trouble.sessions,
            "cause": trouble.verdict.cause.value,
            "probability": trouble.verdict.probability,
            "evidence": list(trouble.verdict.evidence),
            "incident_id": None if self.problem.incident is None else self.problem.incident.incident_id,
            "side": self.side,
            "todo": self.todo,
            "steps": list(self.steps),
            "next": self.next,
        }


def diagnosed(support: Support, connection: Connection, subscriber_id: str) -> list[Diagnosis]:
    """Return what is wrong for a person: what goes on first, then the latest; of the last 30 days."""
    found = problems_of(connection, subscriber_id, support.clock())
    if not found:
        return []
    person = person_of(connection, subscriber_id) or Person(subscriber_id)
    return [_diagnosis(support, problem, person) for problem in found]


def _diagnosis(support: Support, problem: Problem, person: Person) -> Diagnosis:
    context = problem.context(support.settings.brand.brand, person, locale=AGENTS_LANGUAGE)
    card = support.composer.compose(context).card
    return Diagnosis(problem, support.composer.side(context), card["todo"], tuple(card["steps"]), card["next"])
