"""Whether a message is really ours: by its signed link, or by the reference that somebody types in.

The answer says what kind of message we sent and on which day, and nothing about anybody. A typed reference is asked for
a few times a minute only, and every answer takes as long, so that nobody learns from either what was nearly right.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from console.web.bearers import bearer_of, form_of, locale_of
from console.web.callers import count_address
from console.web.errors import accepted
from console.web.state import Web, WebOf
from notifiers.links import Purpose
from notifiers.local_time import zone
from notifiers.model import reference
from notifiers.said import Said, reached, said_in, said_under

router = APIRouter()

TRIES_A_MINUTE = 10
"""References that one network address may try: enough for a person's mistakes, and for a family's."""
ANSWER_S = 0.25
"""How long an answer about a typed reference takes: longer than looking it up does, found or not."""

Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/genuine")
def ask(web: WebOf, request: Request) -> HTMLResponse:
    """Show where a reference can be typed in."""
    count_address(request, web)
    return _page(web, accepted(request.scope))


@router.post("/genuine")
async def look_up(web: WebOf, request: Request, form: Form) -> HTMLResponse:
    """Say whether a reference is one of ours."""
    start = monotonic()
    count_address(request, web)
    web.limits.take("reference", request.client.host if request.client else "", TRIES_A_MINUTE)
    found = await run_in_threadpool(_found, web, form.get("reference", ""))
    await asyncio.sleep(max(0.0, start + ANSWER_S - monotonic()))
    return _page(web, accepted(request.scope), found, asked=True)


@router.get("/genuine/{token}")
def show(web: WebOf, request: Request, token: str) -> HTMLResponse:
    """Say whether the message that a link came with is ours."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.GENUINE, token)
    with web.ledger.read() as connection:
        found = [it for it in said_in(connection, bearer.notice_id) if it.subscriber_id == bearer.subscriber_id]
    return _page(web, locale_of(web, bearer, request), reached(found), asked=True)


def _found(web: Web, typed: str) -> list[Said]:
    with web.ledger.read() as connection:
        return reached(said_under(connection, typed))


def _page(web: Web, language: str | None, found: list[Said] | None = None, *, asked: bool = False) -> HTMLResponse:
    """Return the page; what is typed in is not repeated."""
    return web.pages.render(
        "genuine.html.jinja",
        language=language,
        asked=asked,
        messages=[{"kind": it.kind.value, "channel": it.channel.value, "day": _day_of(it)} for it in found or []],
        reference=reference(found[0].notice_id) if found else None,
        host=web.pages.host,
    )


def _day_of(message: Said) -> object:
    """Return the day on which its reader got it, where they live as far as we know."""
    return (message.sent_time or message.decided_time).astimezone(zone(message.timezone)).date()
