"""``prebuffer web``: serve the inbox, the pages behind links and the webhooks."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import sys
from typing import Annotated

import typer
import uvicorn

from config.bootstrap import make_links, open_ledger
from config.pipeline import PipelineError
from config.settings import Settings
from console.arguments import ConfigOption
from console.opening import now, settings_of
from console.output import complain
from console.web import make_app
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
GOODBYE_S = 5
"""How long open requests may take to end when the command is stopped; live streams resume elsewhere."""


def web(host: HostOption = None, port: PortOption = None, dev: DevOption = False, config: ConfigOption = None) -> None:
    """Serve the subscriber's inbox, the pages behind signed links and the webhooks, until interrupted.

    Put a reverse proxy with TLS in front of it, and set web.public_url and PREBUFFER_LINK_SECRET.

    Examples:
        prebuffer web --dev

        PREBUFFER_LINK_SECRET=... prebuffer web --config my.yaml
    """
    settings = settings_of(config)
    host, port = host or settings.web.host, settings.web.port if port is None else port
    links = _links(settings, host, port, dev)
    _log_to_stderr()
    with open_ledger(settings) as ledger:
        app = make_app(settings, ledger, now, links=links, docs=dev)
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
