"""Did it help? One tap in a mail opens the page with that answer marked; a second one, on the page, gives it.

Opening a link answers nothing, for mail scanners open links. The app, whose taps are a person's, answers at once.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, select
from starlette.responses import HTMLResponse

from console.web.bearers import BAD_LINK, bearer_of, form_of, locale_of
from console.web.callers import CallerOf, count_address
from console.web.errors import NotFoundError, WrongInputError
from console.web.state import Web, WebOf
from incidents.ledger.schema import notices
from incidents.ledger.store import writing
from notifiers.feedback import MOST_NOTE, SCALES, AnswerError, Answers, Question, Verdict, answer, answers_of
from notifiers.links import Bearer, Purpose

router = APIRouter()

Form = Annotated[dict[str, str], Depends(form_of)]
SCALED = (Question.CSAT, Question.NPS)
NO_CARD = "There is no such card."


class Feedback(BaseModel):
    """What a reader says of a card; what is left out stays as it is, null takes an answer back."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict | None = None
    csat: int | None = Field(default=None, ge=1, le=5)
    nps: int | None = Field(default=None, ge=0, le=10)
    note: str | None = Field(default=None, max_length=MOST_NOTE)

    @property
    def answers(self) -> Answers:
        """The same by question."""
        said: dict[Question, int | str | None] = {
            Question(name): getattr(self, name) for name in self.model_fields_set if name != "verdict"
        }
        return said | dict(_of_verdict(self.verdict) if "verdict" in self.model_fields_set else {})

    @classmethod
    def of(cls, said: Answers) -> Feedback:
        """Sort what stands in the ledger."""
        kept = {question.value: said.get(question) for question in (*SCALED, Question.NOTE)}
        return cls.model_validate({"verdict": Verdict.of(said), **kept})


@router.get("/feedback/{token}")
def show(web: WebOf, request: Request, token: str) -> HTMLResponse:
    """Show the questions with what was answered, or with the answer that was tapped marked; nothing is stored."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.FEEDBACK, token)
    with web.ledger.read() as connection:
        _check(connection, bearer)
        said = answers_of(connection, bearer.notice_id)
    tapped = request.query_params.get("answer", "")
    verdict = Verdict(tapped) if tapped in set(Verdict) else Verdict.of(said)
    return _page(web, request, bearer, said, verdict)


@router.post("/feedback/{token}")
def give(web: WebOf, request: Request, token: str, form: Form) -> HTMLResponse:
    """Store answers over those that were given before."""
    bearer = bearer_of(web, Purpose.FEEDBACK, token)
    with writing(web.ledger.engine).begin() as connection:
        _check(connection, bearer)
        try:
            answer(connection, bearer.notice_id, _said(form), web.clock())
        except AnswerError as error:
            raise WrongInputError(str(error)) from None
        said = answers_of(connection, bearer.notice_id)
    return _page(web, request, bearer, said, Verdict.of(said), done=True)


@router.put("/inbox/v1/cards/{card_id}/feedback", tags=["inbox"])
def give_of_card(web: WebOf, caller: CallerOf, card_id: str, wanted: Feedback) -> Feedback:
    """Store what the app's user says of a card, and return all that they said of it."""
    with writing(web.ledger.engine).begin() as connection:
        if not _is_theirs(connection, card_id, caller.subscriber_id):
            raise NotFoundError(NO_CARD)
        answer(connection, card_id, wanted.answers, web.clock())
        return Feedback.of(answers_of(connection, card_id))


def _check(connection: Connection, bearer: Bearer) -> None:
    """Refuse a link that was signed for a notice that is not here, or not this person's."""
    if not _is_theirs(connection, bearer.notice_id, bearer.subscriber_id):
        raise NotFoundError(BAD_LINK)


def _is_theirs(connection: Connection, notice_id: str, subscriber_id: str) -> bool:
    whose = connection.scalar(select(notices.c.subscriber_id).where(notices.c.notice_id == notice_id))
    return whose == subscriber_id


def _said(form: dict[str, str]) -> Answers:
    """Return what a form says; a question that it does not ask stays as it is, an empty answer takes one back."""
    said: dict[Question, int | str | None] = {}
    if "verdict" in form:
        if form["verdict"] not in set(Verdict):
            raise WrongInputError("The answer is yes, no or no_problem.")
        said |= dict(_of_verdict(Verdict(form["verdict"])))
    for question in SCALED:
        if question.value in form:
            said[question] = _number(question, form[question.value])
    if "note" in form:
        said[Question.NOTE] = form["note"]
    if not said:
        raise WrongInputError("Nothing was answered.")
    return said


def _of_verdict(verdict: Verdict | None) -> Answers:
    return verdict.answers if verdict else {Question.HELPED: None, Question.NO_PROBLEM: None}


def _number(question: Question, text: str) -> int | None:
    if text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2):
        raise WrongInputError(f"An answer to {question.value} is a number.")
    return int(text)


def _page(
    web: Web, request: Request, bearer: Bearer, said: Answers, verdict: Verdict | None, *, done: bool = False
) -> HTMLResponse:
    asked = [question for question in SCALED if question is Question.CSAT or web.settings.web.ask_nps]
    return web.pages.render(
        "feedback.html.jinja",
        language=locale_of(web, bearer, request),
        done=done,
        verdict=verdict and verdict.value,
        scales={question.value: list(SCALES[question]) for question in asked},
        said={question.value: it for question, it in said.items()},
        most_note=MOST_NOTE,
        case_url=web.links and web.links.case(bearer.notice_id, bearer.subscriber_id),
    )
