"""The command line ``prebuffer``: thin; every command is a file in `console.commands`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from config.pipeline import PipelineError
from config.reading import SettingsError
from console.commands import (
    alerts,
    approvals,
    config,
    console,
    demo,
    digest,
    drill,
    ingest,
    labels,
    measures,
    outbox,
    preview,
    reconcile,
    replay,
    report,
    run,
    send,
    serve,
    status,
    stop,
    templates,
    token,
    web,
    why,
)
from console.output import complain
from incidents.cases import CaseError
from incidents.ledger.leases import LedgerError
from notifiers.alerts import AlertError
from notifiers.errors import ChannelError
from notifiers.language import CatalogueError
from notifiers.rollout import RolloutError
from notifiers.stops import StopError
from telemetry.errors import TelemetryError

REFUSALS = (
    PipelineError,
    TelemetryError,
    LedgerError,
    CaseError,
    StopError,
    RolloutError,
    AlertError,
    CatalogueError,
    ChannelError,
)
"""What the libraries raise when they cannot do what was asked; their messages are sentences."""
FAILED, WRONG_USE = 1, 2
SHOW_IT = "To see where, run it again as: prebuffer --traceback ..."


class Sentences(TyperGroup):
    """A group of commands whose errors are sentences on standard error, never tracebacks."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as in its base, whose types are private
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException):
            raise
        except SettingsError as error:
            _complain(ctx, error, str(error))
            raise typer.Exit(WRONG_USE) from None
        except REFUSALS as error:
            _complain(ctx, error, str(error))
        except OSError as error:
            _complain(ctx, error, f"{error.filename or 'A file'} cannot be used: {error.strerror or error}.")
        except Exception as error:  # noqa: BLE001 - the last resort: a sentence, not a traceback
            _complain(ctx, error, f"This is a fault in Prebuffer ({type(error).__name__}). {SHOW_IT}")
        raise typer.Exit(FAILED)


def _complain(ctx: typer.Context, error: Exception, sentence: str) -> None:
    if ctx.params.get("traceback"):
        raise error
    complain(sentence)


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


app.command()(demo.demo)
app.command()(ingest.ingest)
app.command()(run.run)
app.command()(replay.replay)
app.command()(report.report)
app.command()(preview.preview)
app.command()(serve.serve)
app.command()(web.web)
app.command()(measures.measures)
app.command()(digest.digest)
app.command()(token.token)
app.command()(why.why)
app.command()(stop.stop)
app.command()(stop.resume)
app.add_typer(alerts.app, name="alerts")
app.add_typer(approvals.app, name="approvals")
app.add_typer(config.app, name="config")
app.add_typer(console.app, name="console")
app.add_typer(drill.app, name="drill")
app.command()(send.send)
app.command()(reconcile.reconcile)
app.add_typer(outbox.app, name="outbox")
app.add_typer(labels.app, name="labels")
app.add_typer(status.app, name="status")
app.add_typer(templates.app, name="templates")

if __name__ == "__main__":
    app()
