"""A small page that shows the inbox at work; served where the app is tried out, never in production."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from console.web.errors import accepted
from console.web.headers import policy_with_scripts
from console.web.state import WebOf

router = APIRouter()


@router.get("/example")
def example(web: WebOf, request: Request) -> HTMLResponse:
    """Show the page; its reader puts the token of `prebuffer token` behind ``#`` in the address, or into the form."""
    headers = {"Content-Security-Policy": policy_with_scripts()}
    return web.pages.render("inbox.html.jinja", language=accepted(request.scope), headers=headers)
