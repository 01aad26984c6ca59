"""``prebuffer web``: serve the inbox, the pages behind links and the webhooks."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import sys
from typing import Annotated

import typer
import uvicorn
from pydantic import SecretStr
from sqlalchemy import func, select

from config.bootstrap import make_links, open_ledger
from config.pipeline import PipelineError
from config.settings import ConsoleSettings, Settings
from console.arguments import ConfigOption
from console.commands.demo import DEMO_FOLDER
from console.opening import now, settings_of
from console.output import complain
from console.web import make_app
from incidents.ledger.schema import windows
from incidents.ledger.store import Ledger
from notifiers.deliver import Clock
from notifiers.links import Links

HostOption = Annotated[
    str | None, typer.Option("--host", help="Where to listen; that of the settings if absent.", show_default=False)
]
PortOption = Annotated[
    int | None, typer.Option("--port", help="0 for any free one; that of the settings if absent.", show_default=False)
]
DevOption = Annotated[
    bool, typer.Option("--dev", help="For trying out on this machine: a temporary secret where none is set.")
]
DemoOption = Annotated[
    bool, typer.Option("--demo", help="Open the console on what `prebuffer demo` left, for this machine only.")
]
DEMO_PASSWORD = "only for the demo"  # noqa: S105 - it opens what is invented, on this machine
GOODBYE_S = 5
"""How long open requests may take to end when the command is stopped; live streams resume elsewhere."""


def web(
    *,
    host: HostOption = None,
    port: PortOption = None,
    dev: DevOption = False,
    demo: DemoOption = False,
    config: ConfigOption = None,
) -> None:
    """Serve the support console, the inbox, the pages behind signed links and the webhooks, until interrupted.

    Put a reverse proxy with TLS in front of it, and set web.public_url and PREBUFFER_LINK_SECRET.

    Examples:
        prebuffer web --demo

        prebuffer web --dev

        PREBUFFER_LINK_SECRET=... prebuffer web --config my.yaml
    """
    settings = _of_the_demo(settings_of(config)) if demo else settings_of(config)
    host, port = host or settings.web.host, settings.web.port if port is None else port
    if demo and not _is_loopback(host):
        raise PipelineError(
            f"The demo's password and links are no secret, so it is shown on this machine only, not {host}."
        )
    links = _links(settings, host, port, dev)
    _log_to_stderr()
    with open_ledger(settings) as ledger:
        app = make_app(settings, ledger, _demo_clock(ledger) if demo else now, links=links, docs=dev)
        if demo:
            complain(f'Open http://{host}:{port}/console and sign in with any name and the password "{DEMO_PASSWORD}".')
        complain(f"Serving on http://{host}:{port}; stop with Ctrl-C.")
        uvicorn.run(
            app,
            host=host,
            port=port,
            access_log=False,
            log_level="warning",
            server_header=False,
            forwarded_allow_ips=list(settings.web.trusted_proxies),
            timeout_graceful_shutdown=GOODBYE_S,
        )


def _of_the_demo(settings: Settings) -> Settings:
    """Return settings that open the demo's stores with a password that is no secret."""
    # Only the demo waits for what makes worlds to load.
    from console.demo import demo_settings  # noqa: PLC0415
    from console.support.passwords import hashed  # noqa: PLC0415

    inside = demo_settings(settings, DEMO_FOLDER)
    if not (DEMO_FOLDER / "ledger.db").exists():
        raise PipelineError(f"There is no demo in {DEMO_FOLDER}: run prebuffer demo first.")
    console = ConsoleSettings(password_hash=SecretStr(hashed(DEMO_PASSWORD)))
    return inside.model_copy(update={"console": console})


def _demo_clock(ledger: Ledger) -> Clock:
    """Return a clock that goes on from the last moment that the demo knows of."""
    with ledger.read() as connection:
        last = connection.scalar(select(func.max(windows.c.window_end))) or now()
    begun = now()
    return lambda: last + (now() - begun)


def _links(settings: Settings, host: str, port: int, dev: bool) -> Links:
    links = make_links(settings)
    if links is not None:
        return links
    if not dev:
        raise PipelineError(
            "Links cannot be signed: set web.public_url and PREBUFFER_LINK_SECRET, or try it out with --dev."
        )
    if not _is_loopback(host):
        raise PipelineError(f"--dev makes a temporary secret, so it serves this machine only, not {host}.")
    complain("A temporary secret signs links: they end with this command.")
    return Links(f"http://{host}:{port}", [secrets.token_urlsafe(32)])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _log_to_stderr() -> None:
    """Print one line a request, and what went wrong, for whatever gathers logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logger = logging.getLogger("prebuffer")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
