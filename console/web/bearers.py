"""Whose signed link was opened, counted against how often a link may be, and the language to answer in."""

from __future__ import annotations

from fastapi import Request
from sqlalchemy import select

from console.web.errors import NotFoundError, UnavailableError, accepted
from console.web.state import Web
from incidents.ledger.schema import outbox
from notifiers.links import BadLinkError, Bearer, Purpose

BAD_LINK = "This link is not complete. Open it from the message again, or copy all of it."


def bearer_of(web: Web, purpose: Purpose, token: str) -> Bearer:
    """Return whose link it is.

    Raises
    ------
    NotFoundError
        If it is not one of ours.
    TooManyError
        If it is opened too often.
    """
    if web.links is None:
        raise UnavailableError("Links are not set up here.")
    try:
        bearer = web.links.read(purpose, token)
    except BadLinkError:
        raise NotFoundError(BAD_LINK) from None
    web.limits.take("link", bearer.subscriber_id, web.settings.web.requests_per_minute)
    return bearer


def locale_of(web: Web, bearer: Bearer, request: Request) -> str | None:
    """Return the language of the notice that the link came with, else the first that the browser asks for."""
    query = select(outbox.c.card).where(outbox.c.notice_id == bearer.notice_id).limit(1)
    with web.ledger.read() as connection:
        card = connection.scalar(query) or {}
    language = card.get("language")
    return language if isinstance(language, str) else accepted(request.scope)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; files are left out."""
    async with request.form(max_files=1, max_fields=50) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
