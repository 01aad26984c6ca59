"""``prebuffer token``: a token for trying out the inbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from console.arguments import ConfigOption, LifetimeOption
from console.opening import now, settings_of
from console.output import say
from console.web.tokens import make_token

SubscriberArgument = Annotated[str, typer.Argument(help="Whose inbox: a subscriber's id.")]
USUAL_LIFE = timedelta(hours=1)


def token(subscriber: SubscriberArgument, lifetime: LifetimeOption = None, config: ConfigOption = None) -> None:
    """Print a token for one subscriber's inbox, signed with PREBUFFER_TOKEN_SECRET.

    In production your backend makes tokens: see docs/api.md.

    Examples:
        prebuffer token sub-00042

        prebuffer token sub-00042 --lifetime 5m
    """
    say(make_token(settings_of(config).web, subscriber, now(), lifetime or USUAL_LIFE))
