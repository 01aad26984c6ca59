"""``prebuffer token``: a token for trying out the inbox, or the interface for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from console.arguments import ConfigOption, LifetimeOption
from console.opening import now, settings_of
from console.output import say
from console.web.tokens import make_token

SubjectArgument = Annotated[str, typer.Argument(help="Whose inbox: a subscriber's id; or a program's name.")]
ServiceOption = Annotated[bool, typer.Option("--service", help="For a program that asks for diagnoses and cases.")]
USUAL_LIFE = timedelta(hours=1)


def token(
    subject: SubjectArgument,
    *,
    service: ServiceOption = False,
    lifetime: LifetimeOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a token for one subscriber's inbox, or for a program, signed with PREBUFFER_TOKEN_SECRET.

    In production your backend makes tokens: see docs/api.md.

    Examples:
        prebuffer token sub-00042

        prebuffer token sub-00042 --lifetime 5m

        prebuffer token chatbot --service
    """
    say(make_token(settings_of(config).web, subject, now(), lifetime or USUAL_LIFE, service=service))
