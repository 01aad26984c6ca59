"""What a lead says of an incident: a review, an owner. The second of two at once is told, and keeps what they typed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.support.access import Lead
from console.support.fields import chosen, cohort_of, moment
from console.support.routes.incident import page
from console.support.showing import back
from console.support.state import SupportOf
from console.web.errors import NotFoundError, Problem, WrongInputError
from incidents import cases, reviews
from incidents.cases import EditedMeanwhileError, ReviewError, UnknownIncidentError
from incidents.model import Cause, Severity
from incidents.reviews import Particulars, ReviewVerdict
from incidents.silences import SilenceKind

router = APIRouter()
CONFLICT, REFUSED = 409, 422
NO_VERDICT = "Choose what it was."
Text = Annotated[str, Form()]
Seen = Annotated[int, Form()]


@router.post("/incidents/{incident_id}/review")
def review(
    request: Request,
    support: SupportOf,
    visitor: Lead,
    incident_id: str,
    seen: Seen,
    verdict: Text = "",
    note: Text = "",
    cause: Text = "",
    severity: Text = "",
    other: Text = "",
    groups: Text = "",
    until: Text = "",
    kind: Text = "",
) -> Response:
    """Record what a lead says, and let it have its effect."""
    fields = {"cause": cause, "severity": severity, "other": other, "groups": groups, "until": until, "kind": kind}
    typed = {"verdict": verdict, "note": note, **fields}
    try:
        said = chosen(ReviewVerdict, verdict, "The verdict")
        if said is None:
            raise WrongInputError(NO_VERDICT)
        particulars = _particulars(said, note, fields)
        with support.ledger.write() as connection:
            now = support.clock()
            reviews.review(connection, incident_id, said, visitor.name, now, seen=seen, particulars=particulars)
    except UnknownIncidentError as error:
        raise NotFoundError(str(error)) from None
    except EditedMeanwhileError as error:
        return page(request, support, visitor, incident_id, CONFLICT, problem=_meanwhile(error), typed=typed)
    except (ReviewError, Problem) as error:
        return page(request, support, visitor, incident_id, REFUSED, problem=_sentence(error), typed=typed)
    return back(support, "incidents", incident_id, done="reviewed")


@router.post("/incidents/{incident_id}/owner")
def owner(
    request: Request, support: SupportOf, visitor: Lead, incident_id: str, seen: Seen, owner: Text = ""
) -> Response:
    """Make somebody the owner of an incident; no name gives it back."""
    try:
        with support.ledger.write() as connection:
            who = owner.strip() or None
            cases.hand_over(connection, incident_id, who, visitor.name, support.clock(), seen=seen)
    except UnknownIncidentError as error:
        raise NotFoundError(str(error)) from None
    except EditedMeanwhileError as error:
        typed = {"owner": owner}
        return page(request, support, visitor, incident_id, CONFLICT, problem=_meanwhile(error), typed=typed)
    return back(support, "incidents", incident_id, done="owner")


def _particulars(verdict: ReviewVerdict, note: str, fields: dict[str, str]) -> Particulars:
    """Return what the verdict needs of the form; what belongs to another verdict was left there, and is left out."""
    needs = {
        ReviewVerdict.WRONG_CAUSE: {"cause": chosen(Cause, fields["cause"], "The cause")},
        ReviewVerdict.WRONG_SEVERITY: {"severity": chosen(Severity, fields["severity"], "The severity")},
        ReviewVerdict.MERGE: {"other": fields["other"].strip() or None},
        ReviewVerdict.SPLIT: {"other": fields["other"].strip() or None, "cohorts": _cohorts(fields["groups"])},
        ReviewVerdict.EXPECTED_EVENT: {
            "until": moment(fields["until"], "The end of the event"),
            "kind": chosen(SilenceKind, fields["kind"], "The kind of event") or SilenceKind.OTHER,
        },
    }
    return Particulars(note=note, **needs.get(verdict, {}))  # type: ignore[arg-type]


def _cohorts(text: str) -> tuple[dict[str, str], ...]:
    """Return groups as people write them: one a paragraph."""
    paragraphs = text.replace("\r\n", "\n").split("\n\n")
    return tuple(group for paragraph in paragraphs if (group := cohort_of(paragraph)))


def _meanwhile(error: EditedMeanwhileError) -> str:
    return f"{error} What you typed is still below."


def _sentence(error: Exception) -> str:
    return error.sentence if isinstance(error, Problem) else str(error)
