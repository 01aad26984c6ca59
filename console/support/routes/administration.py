"""What was changed by whom, the settings as they are, and who is signed in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from config.settings import Settings
from console.support import sessions
from console.support.access import Admin, Lead
from console.support.reading.trail import trail
from console.support.showing import back, framed, show
from console.support.state import SupportOf
from incidents.ledger import audit

router = APIRouter()
Text = Annotated[str, Query(max_length=200)]


@router.get("/trail")
def changes(
    request: Request, support: SupportOf, visitor: Lead, actor: Text = "", subject: Text = "", after: Text = ""
) -> Response:
    """Show every change that a person made."""
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        page = trail(connection, after, actor=actor.strip(), subject=subject.strip())
    return show(
        request,
        support,
        visitor,
        "trail.html.jinja",
        frame,
        page=page,
        actor=actor,
        subject=subject,
        is_first=not after,
    )


@router.get("/settings")
def settings(request: Request, support: SupportOf, visitor: Lead) -> Response:
    """Show what every setting comes to; secrets are stars."""
    now, idle = support.clock(), support.settings.console.idle
    with support.ledger.read() as connection:
        frame = framed(support, connection)
    with support.doors.read() as connection:
        going = sessions.going(connection, now, idle) if visitor.may("admin") else []
    known = list(sections(support.settings))
    return show(request, support, visitor, "settings.html.jinja", frame, sections=known, going=going)


@router.post("/sessions/end")
def end_sessions(support: SupportOf, visitor: Admin, name: Annotated[str, Form()]) -> Response:
    """Sign somebody out everywhere."""
    with support.doors.write() as connection:
        ended = sessions.end_all_of(connection, name)
        detail = {"name": name[: audit.LONGEST_ACTOR], "sessions": ended}
        audit.record(connection, visitor.name, "session.ended_for", "console", detail, support.clock())
    return back(support, "settings", done="signed-out")


def sections(known: Settings) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Return each section of the settings with its keys and what they come to."""
    for name, values in known.model_dump(mode="json").items():
        yield name, list(_flat(values))


def _flat(values: dict[str, Any], inside: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{inside}{key}.")
        else:
            yield f"{inside}{key}", _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(it) for it in value) or "none"
    return "none" if value is None else str(value)
