"""What every page of the console is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from config.settings import Settings
from console.support.counting import Counts
from console.support.openid import Provider
from console.support.presence import Presence
from console.support.rehearsals import Rehearsals
from console.support.templates import Templates
from console.web.limits import RateLimits
from incidents.ledger.store import Ledger
from notifiers.compose import Composer
from notifiers.deliver import Clock


@dataclass(frozen=True)
class Support:
    """The console's parts, built once.

    Parameters
    ----------
    settings, ledger, clock
        As given to `console.support.make_console`.
    templates
        Renders pages.
    counts
        Counts that may take long.
    composer
        Renders what an audience would read.
    presence
        Notes who is still here.
    limits
        Who tried to sign in how often.
    provider
        Where people sign in; None where a local password opens the door.
    doors
        The ledger that knows who is signed in: of a drill's console it is the real one.
    rehearsals
        Makes drills.
    """

    settings: Settings
    ledger: Ledger
    clock: Clock
    templates: Templates
    counts: Counts
    composer: Composer
    presence: Presence
    limits: RateLimits
    provider: Provider | None
    doors: Ledger
    rehearsals: Rehearsals


def support_of(request: Request) -> Support:
    """Return the parts of the console that a request came to."""
    support: Support = request.app.state.support
    return support


SupportOf = Annotated[Support, Depends(support_of)]
