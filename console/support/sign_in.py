"""Coming in and going out: by the provider, or with the machine's own password."""

from __future__ import annotations

import json
import logging
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from console.support import access, passwords, sessions
from console.support.access import Viewer, check_form
from console.support.openid import Attempt, Provider, ProviderError
from console.support.sessions import Role
from console.support.state import Support, SupportOf
from console.web.errors import Problem, UnavailableError, WrongInputError
from incidents.ledger import audit

log = logging.getLogger("prebuffer.console")
router = APIRouter()

ATTEMPT_LASTS = timedelta(minutes=10)
TRIES_PER_MINUTE = 10
"""Of one network address, and of one name: enough for cold fingers, too few to guess."""
SEE_OTHER = 303
WRONG = "That is not the password."
NO_WAY_IN = (
    "No way to sign in is set up: set console.issuer and console.client_id, "
    "or PREBUFFER_CONSOLE_PASSWORD to what `prebuffer console password` prints."
)
NOT_PRIVATE = "Passwords and sessions do not go over an open line: reach the console by HTTPS."


@router.get("/sign-in")
def ask(request: Request, support: SupportOf, after: str = "") -> Response:
    """Show how to sign in."""
    return _door(request, support, after)


async def _own_form(request: Request) -> None:
    """Refuse a form that was not shown to this browser."""
    await check_form(request, sessions.form_token(request.cookies.get(access.cookie_name(request, "door"), "")))


@router.post("/sign-in", dependencies=[Depends(_own_form)])
def by_password(
    request: Request,
    support: SupportOf,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    after: Annotated[str, Form()] = "",
) -> Response:
    """Let in who knows the password."""
    kept = support.settings.console.password_hash
    if kept is None or support.provider is not None:
        raise UnavailableError(NO_WAY_IN)
    _slow_down(request, support, name)
    who = " ".join(name.split())
    if not who or len(who) > audit.LONGEST_ACTOR:
        return _door(request, support, after, name, problem="Please say who you are: the audit trail names you.")
    if not passwords.matches(password, kept.get_secret_value()):
        log.warning("A wrong password was tried at the console.")
        return _door(request, support, after, name, problem=WRONG)
    return _let_in(request, support, who, Role.ADMIN, after)


@router.get("/sign-in/provider")
def to_provider(request: Request, support: SupportOf, after: str = "") -> Response:
    """Send a browser to the provider."""
    provider = _provider(support)
    _slow_down(request, support, "")
    attempt = Attempt.fresh()
    try:
        response = RedirectResponse(provider.address(attempt, _return_address(support, request)), SEE_OTHER)
    except ProviderError as error:
        raise UnavailableError(str(error)) from error
    kept = urlsafe_b64encode(json.dumps([attempt.state, attempt.nonce, attempt.verifier, after]).encode()).decode()
    access.set_cookie(request, response, kept, int(ATTEMPT_LASTS.total_seconds()), "attempt")
    return response


@router.get("/sign-in/return")
def from_provider(request: Request, support: SupportOf) -> Response:
    """Let in who the provider vouches for, if a group of theirs has a role."""
    provider = _provider(support)
    _slow_down(request, support, "")
    attempt, after = _attempt(request)
    try:
        claims = provider.claims(attempt, _return_address(support, request), str(request.url), support.clock())
    except ProviderError as error:
        log.warning("A sign-in failed: %s", error)
        return _door(request, support, after, problem=f"{error} Please try again.")
    role = provider.role(claims)
    if role is None:
        return _door(request, support, after, problem="You are in no group that may use this console: ask its admin.")
    return _let_in(request, support, provider.name(claims), role, after)


@router.post("/sign-out")
def sign_out(
    request: Request, support: SupportOf, visitor: Viewer, everywhere: Annotated[str, Form()] = ""
) -> Response:
    """End this session, or every one of this person."""
    with support.doors.write() as connection:
        ended = sessions.end(connection, visitor.session, everywhere=bool(everywhere))
        audit.record(connection, visitor.name, "session.ended", "console", {"sessions": ended}, support.clock())
    response = RedirectResponse(support.templates.link("sign-in"), SEE_OTHER)
    response.delete_cookie(access.cookie_name(request), path="/")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


def _provider(support: Support) -> Provider:
    if support.provider is None:
        raise UnavailableError(NO_WAY_IN)
    return support.provider


def _slow_down(request: Request, support: Support, name: str) -> None:
    address = request.client.host if request.client else ""
    support.limits.take("sign-in address", address, TRIES_PER_MINUTE)
    if name:
        support.limits.take("sign-in name", name[: audit.LONGEST_ACTOR], TRIES_PER_MINUTE)


def _return_address(support: Support, request: Request) -> str:
    """Return where the provider sends a browser back to: our public address, or where this request came to."""
    public = support.settings.web.public_url
    here = f"{request.url.scheme}://{request.url.netloc}"
    root = public.rstrip("/") if public else here
    return f"{root}{'' if public else support.templates.at.removesuffix('/console')}/console/sign-in/return"


def _attempt(request: Request) -> tuple[Attempt, str]:
    try:
        kept = json.loads(urlsafe_b64decode(request.cookies.get(access.cookie_name(request, "attempt"), "")))
        state, nonce, verifier, after = (str(part) for part in kept)
    except (ValueError, TypeError) as error:
        raise WrongInputError("This sign-in began somewhere else, or too long ago: please begin again.") from error
    return Attempt(state, nonce, verifier), after


def _door(request: Request, support: Support, after: str, name: str = "", problem: str | None = None) -> Response:
    """Show the form, with a token that only this browser has."""
    token = request.cookies.get(access.cookie_name(request, "door")) or secrets.token_urlsafe(sessions.TOKEN_BYTES)
    response = support.templates.render(
        "sign_in.html.jinja",
        403 if problem else 200,
        now=support.clock(),
        form_token=sessions.form_token(token),
        after=_inside(support, after),
        name=name[: audit.LONGEST_ACTOR],
        problem=problem or (None if access.is_private(request) else NOT_PRIVATE),
        by_provider=support.provider is not None,
        by_password=support.provider is None and support.settings.console.password_hash is not None,
        no_way_in=NO_WAY_IN,
    )
    access.set_cookie(request, response, token, int(ATTEMPT_LASTS.total_seconds()), "door")
    return response


def _let_in(request: Request, support: Support, name: str, role: Role, after: str) -> Response:
    if not access.is_private(request):
        raise Problem(NOT_PRIVATE, status=403)
    now, lasts = support.clock(), support.settings.console.session
    with support.doors.write() as connection:
        token = sessions.begin(connection, name, role, now, lasts)
        audit.record(connection, name, "session.began", "console", {"role": role.value}, now)
    response = RedirectResponse(_inside(support, after), SEE_OTHER)
    access.set_cookie(request, response, token, int(lasts.total_seconds()))
    for what in ("door", "attempt"):
        response.delete_cookie(access.cookie_name(request, what), path="/")
    return response


def _inside(support: Support, after: str) -> str:
    """Return where to go after signing in: a page of ours, or the overview."""
    at = support.templates.at
    is_ours = after.startswith(f"{at}/") and "\\" not in after and "//" not in after and after.isprintable()
    return after if is_ours else f"{at}/"
