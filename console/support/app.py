"""Builds the console: an app of its own, mounted by the web app under ``/console``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from config.bootstrap import make_composer, template_folder
from config.settings import Settings
from console.practice import LEDGER, settings_in
from console.support import sign_in
from console.support.access import SAFE_METHODS, SignedOutError
from console.support.counting import Counts
from console.support.openid import Provider
from console.support.presence import Presence
from console.support.rehearsals import FOLDER, Make, Rehearsals, made_apart
from console.support.routes import (
    administration,
    approvals,
    digest,
    drills,
    effect,
    incident,
    incidents,
    learning,
    overview,
    publishing,
    reports,
    reviewing,
    silences,
    subscribers,
)
from console.support.stage import Stage
from console.support.state import Support
from console.support.templates import STAGE, Templates
from console.web.errors import LastResort, Problem, problem_of
from console.web.limits import RateLimits
from incidents.drills import all_drills
from incidents.ledger.store import Ledger
from notifiers.deliver import Clock

ROUTERS = tuple(
    it.router
    for it in (
        sign_in,
        overview,
        incidents,
        incident,
        reviewing,
        publishing,
        reports,
        subscribers,
        approvals,
        silences,
        effect,
        learning,
        drills,
        digest,
        administration,
    )
)
KEPT = "public, max-age=31536000, immutable"
"""Of styles and scripts: their address changes with them."""
SEE_OTHER = 303


@dataclass(frozen=True)
class Inside:
    """Where the console of a drill is: at which path, and the ledger that knows who is signed in."""

    at: str
    doors: Ledger


def make_console(
    settings: Settings,
    ledger: Ledger,
    clock: Clock,
    *,
    public_url: str | None = None,
    provider: Provider | None = None,
    make: Make | None = None,
    folder: Path = FOLDER,
    inside: Inside | None = None,
) -> FastAPI:
    """Build the console.

    Parameters
    ----------
    settings
        From `config.reading.read_settings`.
    ledger
        Open; the only store that is read.
    clock
        Now, aware UTC.
    public_url
        Where the web app is reached, if not as the settings say.
    provider
        Where people sign in; by default as the settings say.
    make, folder
        Makes drills, by default each in a process of its own; where they live.
    inside
        Of the console of a drill: the real one that it is in.
    """
    place, at = public_url or settings.web.public_url, inside.at if inside else None
    templates = Templates(template_folder(settings), settings.brand.service_name, place, at)
    doors = inside.doors if inside else ledger
    if provider is None and settings.console.issuer is not None:
        provider = Provider(settings.console)
    app = FastAPI(
        title="Prebuffer console", docs_url=None, redoc_url=None, openapi_url=None, middleware=[Middleware(LastResort)]
    )
    app.state.support = Support(
        settings,
        ledger,
        clock,
        templates,
        Counts(ledger),
        make_composer(settings),
        Presence(doors),
        RateLimits(),
        provider,
        doors,
        Rehearsals(make or made_apart(settings, folder), folder),
    )
    for kind in (Problem, HTTPException, RequestValidationError, SQLAlchemyError):
        app.add_exception_handler(kind, refused)
    for router in ROUTERS:
        app.include_router(router)
    app.add_api_route("/static/report.css", report_style, include_in_schema=False)
    app.mount("/static", _Kept(directory=templates.static_dir), name="static")
    if inside is None:
        app.mount(STAGE, Stage(lambda drill_id: _console_of(app.state.support, drill_id)), name="stage")
    return app


def _console_of(support: Support, drill_id: str) -> FastAPI | None:
    """Return the console of a drill, or None if there is no such, or its folder is gone."""
    with support.ledger.read() as connection:
        drill = next((it for it in all_drills(connection) if it.drill_id == drill_id), None)
    if drill is None or not (Path(drill.folder) / LEDGER).exists():
        return None
    settings = settings_in(support.settings, Path(drill.folder))
    inside = Inside(f"{support.templates.at}{STAGE}/{drill_id}", support.doors)
    return make_console(settings, Ledger(settings.ledger.url), support.clock, provider=support.provider, inside=inside)


def refused(request: Request, error: Exception) -> Response:
    """Answer a request that is refused with a page; who is not signed in is sent to do so, and comes back after."""
    support: Support = request.app.state.support
    if isinstance(error, SignedOutError):
        return _to_the_door(request, support)
    problem = problem_of(error)
    headers = {} if problem.retry_after_s is None else {"Retry-After": str(problem.retry_after_s)}
    return support.templates.render(
        "problem.html.jinja", problem.status_code, now=support.clock(), headers=headers, sentence=problem.sentence
    )


def report_style(request: Request) -> Response:
    """Hand out the report's style, which the console shares."""
    support: Support = request.app.state.support
    return FileResponse(support.templates.report_style, headers={"Cache-Control": KEPT})


def _to_the_door(request: Request, support: Support) -> Response:
    at = support.templates.at
    wanted = request.url.path.removeprefix(request.scope.get("root_path", "")) or "/"
    after = f"{at}{wanted}" + (f"?{request.url.query}" if request.url.query else "")
    place = support.templates.link("sign-in", after=after if request.method in SAFE_METHODS else f"{at}/")
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": place})
    return RedirectResponse(place, SEE_OTHER)


class _Kept(StaticFiles):
    """Files that a browser keeps."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        """Return a file."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = KEPT
        return response
