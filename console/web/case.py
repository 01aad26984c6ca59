"""A person's case behind its signed link: what we know, for them and for whoever helps them, so that nobody asks again.

It names nobody and holds no evidence about others; an agent who was handed the link sees what the person sees, and the
same in the words of the support desk. The evidence is in the console and in `console.web.diagnosis`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from console.web.bearers import bearer_of, locale_of
from console.web.callers import count_address
from console.web.errors import NotFoundError
from console.web.state import WebOf
from notifiers.context import NoticeContext
from notifiers.diagnosis import Problem, problem_behind
from notifiers.links import Purpose
from notifiers.local_time import known_zone, zone
from notifiers.model import reference
from notifiers.people import Person, person_of
from notifiers.said import Said, reached

router = APIRouter()


@router.get("/case/{token}")
def show(web: WebOf, request: Request, token: str) -> HTMLResponse:
    """Show what we know about somebody's problem, and the ways to reach a person that fit them."""
    count_address(request, web)
    bearer = bearer_of(web, Purpose.CASE, token)
    with web.ledger.read() as connection:
        problem = problem_behind(connection, bearer.notice_id, bearer.subscriber_id, web.clock())
        person = person_of(connection, bearer.subscriber_id) or Person(bearer.subscriber_id)
    if problem is None:
        raise NotFoundError(TOO_OLD)
    language = locale_of(web, bearer, request)
    context = problem.context(web.settings.brand.brand, person, locale=language)
    return web.pages.render(
        "case.html.jinja",
        language=language,
        problem=problem,
        card=web.composer.compose(context).card,
        zone_known=known_zone(person.timezone) is not None,
        moments=_moments(problem, person.timezone),
        said=[_line(it, person.timezone) for it in reached(problem.said)],
        reach=ways(context),
        feedback_url=web.links and web.links.feedback(bearer.notice_id, bearer.subscriber_id),
    )


TOO_OLD = "This case is closed: nothing has gone wrong for you in the last 30 days that we know of."


def ways(context: NoticeContext) -> dict[str, str | None]:
    """Return how this person reaches another one: what works in their country and for them, with the case in it."""
    brand = context.brand
    found = brand.reach(context.country, no_phone=context.no_phone)
    subject = quote(reference(context.notice_id))
    return {
        "chat_url": context.urls()["chat"],
        "phone": found.phone,
        "reply_address": brand.reply_address,
        "mail_url": f"mailto:{quote(brand.reply_address, safe='@')}?subject={subject}",
    }


def _moments(problem: Problem, timezone: str | None) -> dict[str, datetime | None]:
    """Return when it began, was last seen, and was over, by the person's clock."""
    trouble = problem.trouble
    over = problem.incident.resolved_time if problem.incident else None
    times = {"since": trouble.since, "last": trouble.last_bad_time, "over": over}
    return {name: it and it.astimezone(zone(timezone)) for name, it in times.items()}


def _line(message: Said, timezone: str | None) -> dict[str, Any]:
    when = (message.sent_time or message.decided_time).astimezone(zone(timezone))
    return {"when": when, "kind": message.kind.value, "channel": message.channel.value}
