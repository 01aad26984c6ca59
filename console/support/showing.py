"""What every page needs before it is shown: who looks, what must not be missed, and what was just done."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlalchemy import Connection
from starlette.responses import RedirectResponse, Response

from console.support.access import Visitor
from console.support.reading.overview import Frame, frame
from console.support.state import Support

SEE_OTHER = 303


def show(
    request: Request,
    support: Support,
    visitor: Visitor,
    template: str,
    frame_of: Frame,
    status: int = 200,
    **values: Any,  # noqa: ANN401 - a template's variables are of any type
) -> Response:
    """Return a page of the console.

    Parameters
    ----------
    request, support, visitor
        As the route got them.
    template
        A file in ``templates/console``.
    frame_of
        From `framed`, read in the same transaction as the rest.
    status
        Of the answer.
    values
        What the template may say.
    """
    return support.templates.render(
        template,
        status,
        now=support.clock(),
        visitor=visitor,
        frame=frame_of,
        form_token=visitor.form_token,
        here=request.url.path,
        done=request.query_params.get("done", ""),
        **values,
    )


def framed(support: Support, connection: Connection) -> Frame:
    """Read what every page says at its top."""
    return frame(connection, support.clock())


def back(support: Support, *path: str, done: str) -> Response:
    """Send a browser to a page after a change, which says what was done."""
    support.counts.forget()
    return RedirectResponse(support.templates.link(*path, done=done), SEE_OTHER)
