"""What can go wrong between a caller and us, each answered with a sentence: problem+json (RFC 9457) or a page.

::

    Problem
    ├── NotAllowedError     401    no token, or one that we do not believe
    ├── NotFoundError       404    no such thing, or none that this caller may see
    ├── TooLongError        413    a body longer than we read
    ├── WrongInputError     422    a value that we cannot use; says which
    ├── TooManyError        429    too often; says when to come back
    └── UnavailableError    503    the ledger, or a part that is not set up
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from traceback import format_tb
from typing import ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.pages import IN_GENERAL

log = logging.getLogger("prebuffer.web")

PROBLEM_JSON = "application/problem+json"
LEDGER_GONE = "We cannot look that up just now; please try again shortly."
BROKEN = "Something broke here. It was written down; please try again later."
NOTHING_HERE = "There is nothing at this address."
TOO_MANY = "Too many requests: try again in %(seconds)s s."
RETRY_LEDGER_S = 5
"""Longer than a ledger's restart usually keeps its callers waiting for a lock."""


class Problem(HTTPException):  # RFC 9457's word
    """A request is refused. The sentence goes to the caller: nothing personal and no secret in it.

    Parameters
    ----------
    sentence
        In English; a page says it in its reader's language, where ``templates/pages/problem.html.jinja`` lists it.
    status
        Of the answer; the type's own if None.
    retry_after_s
        When to come back.
    values
        What ``%(name)s`` in the sentence stands for.
    """

    status: ClassVar[int] = 400

    def __init__(
        self, sentence: str, *, status: int | None = None, retry_after_s: int | None = None, **values: int
    ) -> None:
        self.sentence = sentence % values if values else sentence
        super().__init__(status or self.status, self.sentence)
        self.key = sentence
        self.values = values
        self.retry_after_s = retry_after_s


class NotAllowedError(Problem):
    """We do not know who asks."""

    status: ClassVar[int] = 401


class NotFoundError(Problem):
    """There is no such thing for this caller."""

    status: ClassVar[int] = 404


class TooLongError(Problem):
    """The body is longer than we read."""

    status: ClassVar[int] = 413

    def __init__(self, most: int) -> None:
        super().__init__("The request is longer than %(most)s bytes.", most=most)


class WrongInputError(Problem):
    """A value cannot be used."""

    status: ClassVar[int] = 422


class TooManyError(Problem):
    """The caller asks too often."""

    status: ClassVar[int] = 429

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(TOO_MANY, retry_after_s=retry_after_s, seconds=retry_after_s)


class UnavailableError(Problem):
    """We cannot answer now."""

    status: ClassVar[int] = 503


def install(app: FastAPI) -> None:
    """Let `app` answer every failure with a sentence."""
    app.add_exception_handler(Problem, lambda request, error: refusal(request.scope, error))
    app.add_exception_handler(HTTPException, lambda request, error: refusal(request.scope, _of_http(error)))
    app.add_exception_handler(RequestValidationError, lambda request, error: refusal(request.scope, _of_input(error)))
    app.add_exception_handler(SQLAlchemyError, _of_ledger)


class LastResort:
    """Answers 500 with a sentence where something inside broke, and logs which type of error it was.

    The error's text is not logged: it may hold what a caller sent.

    Parameters
    ----------
    app
        What is inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Problem as error:
            await refusal(scope, error)(scope, receive, send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            where = "".join(format_tb(error.__traceback__))
            log.error("A fault in Prebuffer: %s\n%s", type(error).__name__, where)  # noqa: TRY400 - not its text
            problem = Problem(BROKEN, status=500)
            await refusal(scope, problem)(scope, receive, send)


def refusal(scope: Scope, error: Exception) -> Response:
    """Return the answer to a refused request: a page for a browser's reader, else problem+json."""
    problem = error if isinstance(error, Problem) else Problem(IN_GENERAL)
    headers = {}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status_code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if wants_page(scope):
        page: Response = scope["app"].state.web.pages.problem(
            problem.status_code, problem.key, headers, accepted(scope), problem.values
        )
        return page
    content = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.sentence,
    }
    return JSONResponse(content, problem.status_code, headers, PROBLEM_JSON)


def problem_of(error: Exception) -> Problem:
    """Return what is said of any error that a route let through: for an app that shows it in its own way."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _of_input(error)
    if isinstance(error, SQLAlchemyError):
        log.error("The ledger failed: %s", type(error).__name__)
        return UnavailableError(LEDGER_GONE, retry_after_s=RETRY_LEDGER_S)
    return _of_http(error)


def wants_page(scope: Scope) -> bool:
    """Tell whether a person reads the answer: their browser asks for HTML by name."""
    accepts = [value for name, value in scope["headers"] if name == b"accept"]
    return "app" in scope and any(b"text/html" in value for value in accepts)


def accepted(scope: Scope) -> str | None:
    """Return the language that a browser asks for first."""
    found = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"]
    return found[0].partition(",")[0].partition(";")[0].strip() if found else None


def _of_http(error: Exception) -> Problem:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Problem(_SENTENCES.get(status, f"{HTTPStatus(status).phrase}."), status=status)


_SENTENCES = {
    404: NOTHING_HERE,
    405: "This address does not answer that kind of request.",
}


def _of_input(error: Exception) -> Problem:
    """Say which value is wrong and why, without repeating it."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    said = [f"{'.'.join(str(part) for part in it['loc'][1:]) or 'the body'}: {it['msg']}" for it in found[:3]]
    return WrongInputError("; ".join(said)[:500] + ".")


def _of_ledger(request: Request, error: Exception) -> Response:
    return refusal(request.scope, problem_of(error))
