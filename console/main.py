"""The command line ``prebuffer``: thin; every command is a file in `console.commands`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from console.commands import COMMANDS, load
from console.output import complain


class Sentences(TyperGroup):
    """A group of commands that are loaded when called; errors are sentences on standard error, never tracebacks."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """Return the name of the command that is called, the command itself, and what it is called with."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed if name is None else load(name), rest

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as in its base, whose types are private
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException):
            raise
        except Exception as error:
            if ctx.params.get("traceback"):
                raise
            # Only an error waits for all that can go wrong to load.
            from console.refusals import explained  # noqa: PLC0415

            sentence, code = explained(error)
            complain(sentence)
            raise typer.Exit(code) from None


app = typer.Typer(
    cls=Sentences,
    help="Find who has a playback problem, whose fault it is, and tell them before they complain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def prebuffer(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")] = False,
) -> None:
    """Find who has a playback problem, whose fault it is, and tell them before they complain."""


def _listed() -> None:
    """Stand in the list of commands for one that is not loaded."""


for _name, _command in COMMANDS.items():
    app.command(_name, help=_command.summary)(_listed)

if __name__ == "__main__":
    app()
