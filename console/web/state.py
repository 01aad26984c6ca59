"""What every route is given: settings, ledger, clock, links and pages, built once for each app."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from sendgrid.helpers.eventwebhook import EventWebhook

from config.settings import Settings
from console.web.limits import RateLimits
from console.web.pages import Pages
from console.web.streams import Streams
from console.web.tokens import Tokens
from incidents.ledger.store import Ledger
from notifiers.compose import Composer
from notifiers.deliver import Clock
from notifiers.links import Links


@dataclass(frozen=True)
class Web:
    """One app's parts.

    Parameters
    ----------
    settings, ledger, clock
        As given to `console.web.app.make_app`.
    links
        None where no secret or no public address is set: then no page behind a link can be reached.
    pages
        Renders HTML.
    limits
        Who asked how often.
    composer
        Words for what is wrong, as notices say it.
    tokens, service_tokens
        Believe or refuse the tokens of the inbox, and of programs.
    streams
        The live streams that are open.
    verifier
        Of webhooks; None where no key is set.
    webhook
        Webhooks by what became of them, since the start.
    """

    settings: Settings
    ledger: Ledger
    clock: Clock
    links: Links | None
    pages: Pages
    limits: RateLimits
    composer: Composer
    tokens: Tokens
    service_tokens: Tokens
    streams: Streams
    verifier: EventWebhook | None = None
    webhook: Counter[str] = field(default_factory=Counter)


def web_of(request: Request) -> Web:
    """Return the parts of the app that a request came to."""
    web: Web = request.app.state.web
    return web


WebOf = Annotated[Web, Depends(web_of)]
