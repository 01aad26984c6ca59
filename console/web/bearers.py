"""Whose signed link was opened, counted against how often a link may be, and the language to answer in."""

from __future__ import annotations

from fastapi import Request

from console.web.errors import NotFoundError, UnavailableError, accepted
from console.web.state import Web
from notifiers.links import BadLinkError, Bearer, Purpose
from notifiers.outbox import load
from notifiers.people import person_of

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
    """Return the language of the notice that the link came with, or of its reader, else what the browser asks for."""
    with web.ledger.read() as connection:
        message = load(connection, bearer.notice_id)
        said = message and message.card.get("language")
        person = None if said else person_of(connection, bearer.subscriber_id)
    if isinstance(said, str):
        return said
    return (person and person.locale) or accepted(request.scope)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form; files are left out."""
    async with request.form(max_files=1, max_fields=50) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}
