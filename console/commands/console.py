"""``prebuffer console``: what the support console needs to be opened."""

from __future__ import annotations

import typer

from config.pipeline import PipelineError
from console.output import complain, say
from console.support.passwords import hashed

app = typer.Typer(help="Open the support console.", no_args_is_help=True)


@app.callback()
def console() -> None:
    """Open the support console."""


@app.command()
def password() -> None:
    """Ask for a password and print what to put into PREBUFFER_CONSOLE_PASSWORD: its hash, never the password.

    Examples:
        export PREBUFFER_CONSOLE_PASSWORD=$(prebuffer console password)
    """
    typed = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    try:
        say(hashed(typed))
    except ValueError as error:
        raise PipelineError(str(error)) from None
    complain("Put that into PREBUFFER_CONSOLE_PASSWORD, and start prebuffer web again.")
