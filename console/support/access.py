"""The one door: every page says which role it needs, and everything that changes something proves where it came from.

::

    Problem
    ├── SignedOutError      401    nobody is signed in, or not any more
    ├── NotYoursError       403    this role may not do that
    └── StrayFormError      403    the form was not one of ours, or of another session
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Request
from starlette.responses import Response

from console.support import sessions
from console.support.sessions import SEEN_EVERY, Role, Session
from console.support.state import SupportOf
from console.web.errors import Problem

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
FIELD, HEADER = "form_token", "x-form-token"


class SignedOutError(Problem):
    """Nobody is signed in."""

    status: ClassVar[int] = 401

    def __init__(self) -> None:
        super().__init__("Please sign in.")


class NotYoursError(Problem):
    """The role may not do that."""

    status: ClassVar[int] = 403


class StrayFormError(Problem):
    """The form was not made for this session."""

    status: ClassVar[int] = 403

    def __init__(self) -> None:
        super().__init__("This form is not one of ours, or you have signed in anew since: open its page again.")


@dataclass(frozen=True)
class Visitor:
    """Who is looking at a page, and what their forms must carry."""

    session: Session
    form_token: str

    @property
    def name(self) -> str:
        """As the audit trail names them."""
        return self.session.name

    def may(self, role: str) -> bool:
        """Whether they may do what needs a role."""
        return self.session.role.includes(Role(role))


def at_least(role: Role) -> Callable[..., Coroutine[Any, Any, Visitor]]:
    """Return a dependency that lets in who has at least this role, and forms that are theirs."""

    async def door(request: Request, visitor: Annotated[Visitor, Depends(_visitor)]) -> Visitor:
        if not visitor.session.role.includes(role):
            raise NotYoursError(f"This needs the role {role.value}; you are signed in as {visitor.session.role.value}.")
        if request.method not in SAFE_METHODS:
            await check_form(request, visitor.form_token)
        return visitor

    return door


async def check_form(request: Request, wanted: str) -> None:
    """Refuse a form that does not carry the token of its session, or that another site posted."""
    form = await request.form()
    given = request.headers.get(HEADER) or str(form.get(FIELD, ""))
    is_foreign = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
    if is_foreign or not wanted or not secrets.compare_digest(given.encode(), wanted.encode()):
        raise StrayFormError


def _visitor(request: Request, support: SupportOf) -> Visitor:
    """Return who holds the cookie of a session."""
    token = request.cookies.get(cookie_name(request), "")
    now, idle = support.clock(), support.settings.console.idle
    with support.doors.read() as connection:
        session = sessions.find(connection, token, now, idle) if token else None
    if session is None:
        raise SignedOutError
    if session.seen_time + SEEN_EVERY <= now:
        support.presence.note(session, now)
    return Visitor(session, sessions.form_token(token))


def is_private(request: Request) -> bool:
    """Whether nobody on the way can read what is sent: by HTTPS, or inside this machine."""
    return request.url.scheme == "https" or request.url.hostname in LOOPBACK


def cookie_name(request: Request, what: str = "session") -> str:
    """Return a cookie's name; by HTTPS its prefix makes the browser keep other hosts and paths away from it."""
    return f"__Host-prebuffer-{what}" if request.url.scheme == "https" else f"prebuffer-{what}"


def set_cookie(request: Request, response: Response, value: str, seconds: int, what: str = "session") -> None:
    """Give the browser a cookie that no script and no other site can use."""
    response.set_cookie(
        cookie_name(request, what),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https" or request.url.hostname not in LOOPBACK,
        httponly=True,
        samesite="lax",
    )


Viewer = Annotated[Visitor, Depends(at_least(Role.VIEWER))]
Lead = Annotated[Visitor, Depends(at_least(Role.LEAD))]
Admin = Annotated[Visitor, Depends(at_least(Role.ADMIN))]
