"""The commands, a file each, and which there are: none is loaded before somebody asks for it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

import typer


class Listed(NamedTuple):
    """A command as the list of commands shows it.

    Parameters
    ----------
    place
        Its module in this folder, and its function there or a `typer.Typer` of several, e.g. ``stop:resume``.
    summary
        The first sentences of its help, which a test compares.
    """

    place: str
    summary: str


COMMANDS = {
    "demo": Listed(
        "demo:demo", "Make an invented service's bad days and run the whole loop on them; mails go into a folder."
    ),
    "ingest": Listed("ingest:ingest", "Read playback events, subscribers and contacts into the warehouse."),
    "run": Listed("run:run", "Merge, detect, decide and deliver for a window of received time, step by step."),
    "replay": Listed(
        "replay:replay", "Walk a world's clock and write what would have been decided; nothing is delivered."
    ),
    "report": Listed("report:report", "Write a page for one incident, or for each of them with an index."),
    "preview": Listed(
        "preview:preview",
        "Render a notice for a sample reader, about a sample problem or a real incident; or serve them all.",
    ),
    "serve": Listed("serve:serve", "Register the schedules on a Prefect server and run them until interrupted."),
    "web": Listed(
        "web:web",
        "Serve the support console, the inbox, the pages behind signed links and the webhooks, until interrupted.",
    ),
    "measures": Listed(
        "measures:measures",
        "Show how people fared who were told against those held out, and whether anybody is served worse.",
    ),
    "digest": Listed("digest:digest", "Show last week's digest, or mail it to the leads."),
    "token": Listed(
        "token:token", "Print a token for one subscriber's inbox, or for a program, signed with PREBUFFER_TOKEN_SECRET."
    ),
    "why": Listed(
        "why:why", "Tell one person's story: every decision about them, its reason, and what was sent, in order."
    ),
    "stop": Listed(
        "stop:stop",
        "Hold all sending, or that of one channel or incident. Messages wait in the outbox; none is lost.",
    ),
    "resume": Listed("stop:resume", "End the stops in force: all of them, or those of one channel or incident."),
    "send": Listed(
        "send:send",
        "Send what is due. It opens only the ledger, so any number may run beside the flows, on any machine.",
    ),
    "reconcile": Listed(
        "reconcile:reconcile", "Compare suppressions with SendGrid's lists, and add what is missing here."
    ),
    "alerts": Listed("alerts:app", "Tell staff what they must hear of, in Slack, Teams or elsewhere."),
    "approvals": Listed("approvals:app", "What waits for a person's word, and saying it."),
    "config": Listed("config:app", "Check settings."),
    "console": Listed("console:app", "Open the support console."),
    "drill": Listed("drill:app", "Practise on a made-up incident: everything but real sending."),
    "outbox": Listed("outbox:app", "See what is on its way, and settle what is unknown."),
    "labels": Listed("labels:app", "Export what reviews and readers say was true."),
    "status": Listed("status:app", "Publish incidents, and build the public status page."),
    "templates": Listed("templates:app", "Keep the words of notices in order, in every language."),
}


def load(name: str) -> Any:  # noqa: ANN401 - a command of typer's, whose types are private
    """Return a command, or a group of them, from its module."""
    module, attribute = COMMANDS[name].place.split(":")
    found = getattr(import_module(f"{__name__}.{module}"), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False)
    alone.command(name)(found)
    return typer.main.get_command(alone)
