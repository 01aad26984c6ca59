"""Builds the web app. One router a file; another area's pages are one more line in `ROUTERS`."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from config.bootstrap import make_composer, make_links, template_folder
from config.settings import Settings
from console.web import case, diagnosis, errors, example, feedback, genuine, health, inbox, preferences, sendgrid
from console.web.access import AccessLog
from console.web.errors import LastResort
from console.web.headers import SecurityHeaders
from console.web.limits import BodyLimit, RateLimits
from console.web.pages import Pages
from console.web.state import Web
from console.web.streams import Streams
from console.web.tokens import Tokens
from incidents.ledger.store import Ledger
from notifiers.deliver import Clock
from notifiers.links import Links

ROUTERS = (
    health.router,
    inbox.router,
    preferences.router,
    genuine.router,
    feedback.router,
    case.router,
    diagnosis.router,
    sendgrid.router,
)


def make_app(
    settings: Settings, ledger: Ledger, clock: Clock, *, links: Links | None = None, docs: bool = False
) -> FastAPI:
    """Build the app.

    Parameters
    ----------
    settings
        From `config.reading.read_settings`.
    ledger
        Open, and of the newest version; the only store that is read.
    clock
        Now, aware UTC.
    links
        What signs links; by default from the settings.
    docs
        Whether to serve the interface's description, ``/openapi.json``, and the example page, ``/example``: for
        trying out, not for production.
    """
    public_url = links.public_url if links else settings.web.public_url
    pages = Pages(template_folder(settings), settings.brand.service_name, public_url)
    streams = Streams(ledger, settings.web.streams, settings.web.streams_per_subscriber)
    app = FastAPI(
        title="Prebuffer",
        lifespan=lambda _app: streams.running(),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if docs else None,
        middleware=_middleware(settings, https=(public_url or "").startswith("https://")),
    )
    app.state.web = Web(
        settings,
        ledger,
        clock,
        links=links or make_links(settings),
        pages=pages,
        limits=RateLimits(),
        composer=make_composer(settings),
        tokens=Tokens(settings.web),
        service_tokens=Tokens(settings.web, settings.web.service_audience),
        streams=streams,
        verifier=sendgrid.verifier(settings.web.sendgrid_public_key),
    )
    errors.install(app)
    for router in ROUTERS:
        app.include_router(router)
    if docs:
        app.include_router(example.router)
    if settings.console.is_open:
        from console.support.app import make_console  # noqa: PLC0415 - it takes its frame from here

        console = make_console(settings, ledger, clock, public_url=public_url)
        console.state.web = app.state.web
        app.mount("/console", console, name="console")
    app.mount("/static", _Static(directory=pages.static_dir), name="static")
    return app


def _middleware(settings: Settings, *, https: bool) -> list[Middleware]:
    """Return what every request passes, from the outside in."""
    web = settings.web
    cors = Middleware(
        CORSMiddleware,
        allow_origins=web.allowed_origins,
        allow_methods=["GET", "POST", "PUT"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        expose_headers=["Retry-After"],
        max_age=3600,
    )
    return [
        Middleware(SecurityHeaders, https=https),
        Middleware(AccessLog),
        *([cors] if web.allowed_origins else []),
        Middleware(LastResort),
        Middleware(BodyLimit, most=web.max_body_bytes),
    ]


class _Static(StaticFiles):
    """Files that a browser may keep: their address changes with them."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        """Return a file."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=86400"
        return response
