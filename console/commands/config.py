"""``prebuffer config``: whether a settings file is good, and what it comes to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.reading import DEFAULT_FILE
from console.arguments import JsonOption
from console.opening import settings_of
from console.output import print_json, say

app = typer.Typer(help="Check settings.", no_args_is_help=True)
FileArgument = Annotated[
    Path | None,
    typer.Argument(help="A settings file; the one inside Prebuffer if absent.", show_default=False),
]


@app.callback()
def config() -> None:
    """Check settings."""


@app.command()
def check(file: FileArgument = None, as_json: JsonOption = False) -> None:
    """Read a settings file and complain about every unknown key and wrong value, with its line.

    With --json, print what every setting comes to; secrets are stars.

    Examples:
        prebuffer config check

        prebuffer config check my.yaml --json
    """
    settings = settings_of(file)
    if as_json:
        print_json(settings.model_dump(mode="json"))
    else:
        say(f"{file or DEFAULT_FILE} is good.")
