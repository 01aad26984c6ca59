"""The same diagnosis for programs: chatbots, agents' desks, and a packet that a CRM can take in.

Pseudonyms only: no name and no address is known here. Everything comes from the ledger.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from console.web.callers import ServiceOf
from console.web.case import ways
from console.web.errors import NotFoundError
from console.web.state import Web, WebOf
from incidents.model import Cause, Incident, Severity, TroubleKind
from notifiers.diagnosis import Problem, Status, is_known, problems_of
from notifiers.feedback import Question
from notifiers.model import ChannelName, WithheldReason, reference
from notifiers.outbox import State
from notifiers.people import Person, person_of
from notifiers.remedies import Needed
from notifiers.said import Said
from telemetry.contract import Signal

router = APIRouter(tags=["programs"])

UNKNOWN_PERSON = "Nothing was ever found or decided about such a subscriber."
NO_PROBLEM = "Nothing has gone wrong for this subscriber in the last 30 days that we know of."
NO_SUCH_CASE = "This subscriber has no such case in the last 30 days."


class Part(BaseModel):
    """A part of an answer; frozen, and complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(Part):
    """Whose side it is on."""

    cause: Cause = Field(description="service, isp, app, household or account")
    sentence: str = Field(description="The same in plain words, as the subscriber is told, in their language.")
    probability: float = Field(ge=0, le=1, description="How sure the evidence makes us.")
    evidence: list[str] = Field(description="Sentences for agents, in English; do not read them to the subscriber.")


class Advice(Part):
    """What to try."""

    needed: Needed = Field(description="nothing, try (it often helps) or act (it needs them)")
    todo: str
    steps: list[str] = Field(max_length=3, description="In order, the likeliest to help first.")
    next: str = Field(description="What we do, and when the next word comes.")
    article_url: str | None = None
    remedies_version: int = Field(description="Of the catalogue that the advice is from.")


class WiderIncident(Part):
    """The incident that it is part of."""

    incident_id: str
    status: Literal["open", "resolved"]
    severity: Severity
    onset_time: AwareDatetime
    detected_time: AwareDatetime
    resolved_time: AwareDatetime | None = None
    affected_subscribers: int


class Message(Part):
    """What the subscriber was told, or not and why."""

    reference: str
    kind: TroubleKind
    channel: ChannelName
    decided_time: AwareDatetime
    sent_time: AwareDatetime | None = None
    state: State | None = Field(default=None, description="Of the message on its way; null where there is none.")
    withheld_reason: WithheldReason | None = None
    answers: dict[Question, int | str] = Field(description="What they answered; a note is untrusted text.")


class ProblemOut(Part):
    """One problem of one subscriber."""

    reference: str = Field(description="As in the mail and on the card: what the subscriber reads out.")
    status: Status
    problem: Signal
    title: str = Field(description="In their language, as are sentence, todo, steps and next.")
    sentence: str
    since: AwareDatetime
    last_bad_time: AwareDatetime
    last_good_time: AwareDatetime | None = None
    impaired_sessions: int
    sessions: int
    device_type: str | None = None
    error_class: str | None = None
    severity: Severity
    fault: Fault
    advice: Advice
    incident: WiderIncident | None = None
    said: list[Message]


class Diagnosis(Part):
    """What is wrong for one subscriber."""

    subscriber_id: str
    as_of: AwareDatetime
    language: str
    sentence: str = Field(description="The newest problem in a sentence, or that there is none.")
    problems: list[ProblemOut] = Field(description="Of the last 30 days: those that go on first, then the latest.")


class Reach(Part):
    """The ways to reach a person that fit this subscriber; what is null does not fit, or there is none."""

    chat_url: str | None = None
    phone: str | None = None
    reply_address: str
    no_phone: bool = Field(description="They cannot or will not use a telephone: do not call.")


class CasePacket(Part):
    """One case, to be taken in by a support desk; a change of form that breaks a reader gets another number."""

    schema_name: Literal["prebuffer.case/1"] = Field(default="prebuffer.case/1", alias="schema")
    case_id: str = Field(description="The same each time: take a packet in again to bring its case up to date.")
    subscriber_id: str
    as_of: AwareDatetime
    language: str
    country: str | None = None
    timezone: str | None = None
    subject: str
    description: str = Field(description="Plain text of several lines, in the subscriber's language.")
    problem: ProblemOut
    reach: Reach
    case_url: str | None = Field(default=None, description="What the subscriber sees; anybody who has it can open it.")


LanguageOf = Annotated[
    str | None, Query(alias="language", max_length=35, description="A tag such as de; the subscriber's own if absent.")
]


@router.get("/subscribers/{subscriber_id:path}/diagnosis")
def diagnose(web: WebOf, _service: ServiceOf, subscriber_id: str, language: LanguageOf = None) -> Diagnosis:
    """Say what is wrong, since when, whose fault it is, what was said, and what to try."""
    now = web.clock()
    person, problems = _found(web, subscriber_id, now)
    shown = [_problem(web, it, person, language) for it in problems]
    tag = web.composer.languages.of(language or person.locale).tag
    sentence = f"{shown[0].title}. {shown[0].sentence}" if shown else NO_PROBLEM
    return Diagnosis(subscriber_id=subscriber_id, as_of=now, language=tag, sentence=sentence, problems=shown)


@router.get("/subscribers/{subscriber_id:path}/case", response_model_exclude_none=False)
def packet(
    web: WebOf,
    _service: ServiceOf,
    subscriber_id: str,
    language: LanguageOf = None,
    wanted: Annotated[str | None, Query(alias="reference", max_length=32)] = None,
) -> CasePacket:
    """Return the packet of one case: that of a reference, or the first of the diagnosis."""
    now = web.clock()
    person, problems = _found(web, subscriber_id, now)
    fitting = [it for it in problems if wanted is None or wanted.upper() in _references(it)]
    if not fitting:
        raise NotFoundError(NO_SUCH_CASE)
    return _packet(web, fitting[0], person, language, now)


@router.get("/schemas/case-1.json", include_in_schema=False)
def schema() -> JSONResponse:
    """Describe a case packet, in JSON Schema."""
    return JSONResponse(CasePacket.model_json_schema(), media_type="application/schema+json")


def _found(web: Web, subscriber_id: str, now: datetime) -> tuple[Person, list[Problem]]:
    with web.ledger.read() as connection:
        problems = problems_of(connection, subscriber_id, now)
        if not problems and not is_known(connection, subscriber_id):
            raise NotFoundError(UNKNOWN_PERSON)
        return person_of(connection, subscriber_id) or Person(subscriber_id), problems


def _references(problem: Problem) -> set[str]:
    return {reference(problem.notice_id), *(reference(it.notice_id) for it in problem.said)}


def _packet(web: Web, problem: Problem, person: Person, language: str | None, now: datetime) -> CasePacket:
    shown = _problem(web, problem, person, language)
    context = problem.context(web.settings.brand.brand, person, locale=language)
    reach = ways(context)
    lines = [shown.title, shown.sentence, shown.advice.todo, *shown.advice.steps, shown.advice.next]
    return CasePacket(
        case_id=problem.notice_id,
        subscriber_id=person.subscriber_id,
        as_of=now,
        language=web.composer.languages.of(context.locale).tag,
        country=person.country,
        timezone=person.timezone,
        subject=f"{shown.title} ({shown.reference})",
        description="\n".join(line for line in lines if line),
        problem=shown,
        reach=Reach(
            chat_url=reach["chat_url"],
            phone=reach["phone"],
            reply_address=str(reach["reply_address"]),
            no_phone=person.no_phone,
        ),
        case_url=web.links.case(problem.notice_id, person.subscriber_id) if web.links else None,
    )


def _problem(web: Web, problem: Problem, person: Person, language: str | None) -> ProblemOut:
    trouble = problem.trouble
    context = problem.context(web.settings.brand.brand, person, locale=language)
    card = web.composer.compose(context).card
    return ProblemOut(
        reference=reference(problem.notice_id),
        status=problem.status,
        problem=trouble.problem,
        title=card["title"],
        sentence=card["body"],
        since=trouble.since,
        last_bad_time=trouble.last_bad_time,
        last_good_time=trouble.last_good_time,
        impaired_sessions=trouble.impaired,
        sessions=trouble.sessions,
        device_type=trouble.device_type,
        error_class=trouble.error_class,
        severity=trouble.severity,
        fault=Fault(
            cause=trouble.verdict.cause,
            sentence=web.composer.side(context),
            probability=trouble.verdict.probability,
            evidence=list(trouble.verdict.evidence),
        ),
        advice=Advice(
            needed=card["needed"],
            todo=card["todo"],
            steps=card["steps"],
            next=card["next"],
            article_url=card["article"]["url"],
            remedies_version=web.composer.remedies.version,
        ),
        incident=_incident(problem.incident) if problem.incident else None,
        said=[_message(it, problem) for it in problem.said],
    )


def _incident(incident: Incident) -> WiderIncident:
    return WiderIncident(
        incident_id=incident.incident_id,
        status="open" if incident.is_open else "resolved",
        severity=incident.severity,
        onset_time=incident.onset_time,
        detected_time=incident.detected_time,
        resolved_time=incident.resolved_time,
        affected_subscribers=incident.affected_subscribers,
    )


def _message(message: Said, problem: Problem) -> Message:
    return Message(
        reference=reference(message.notice_id),
        kind=message.kind,
        channel=message.channel,
        decided_time=message.decided_time,
        sent_time=message.sent_time,
        state=message.state,
        withheld_reason=message.withheld_reason,
        answers=dict(problem.answers.get(message.notice_id, {})),
    )
