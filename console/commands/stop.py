"""``prebuffer stop`` and ``prebuffer resume``: hold all sending, a channel or an incident, and let it go on."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption
from console.opening import now, settings_of
from console.output import say, table
from notifiers import stops
from notifiers.model import ChannelName
from notifiers.stops import EVERYTHING, Stop, StopKind, channel_scope, incident_scope

ChannelOption = Annotated[ChannelName | None, typer.Option("--channel", help="Only this channel.", show_default=False)]
IncidentOption = Annotated[str | None, typer.Option("--incident", help="Only this incident.", show_default=False)]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, in a sentence.", show_default=False)]


def stop(
    reason: ReasonOption,
    channel: ChannelOption = None,
    incident: IncidentOption = None,
    config: ConfigOption = None,
) -> None:
    """Hold all sending, or that of one channel or incident. Messages wait in the outbox; none is lost.

    Examples:
        prebuffer stop --reason "Wrong words"

        prebuffer stop --channel email --reason "The provider asks us to wait"
    """
    scope = scope_of(channel, incident) or EVERYTHING
    with open_ledger(settings_of(config)) as ledger, ledger.write() as connection:
        stopped = stops.start(connection, scope, StopKind.PERSON, reason, now(), by=getpass.getuser())
    say(f"Stopped: {stopped.scope}. It goes on with: prebuffer resume")


def resume(channel: ChannelOption = None, incident: IncidentOption = None, config: ConfigOption = None) -> None:
    """End the stops in force: all of them, or those of one channel or incident.

    Examples:
        prebuffer resume

        prebuffer resume --channel email
    """
    with open_ledger(settings_of(config)) as ledger, ledger.write() as connection:
        ended = stops.end(connection, now(), by=getpass.getuser(), scope=scope_of(channel, incident))
        left = stops.in_force(connection, now())
    _show("Ended", ended)
    _show("Still in force", left)
    if not ended:
        say("No such stop was in force.")


def scope_of(channel: ChannelName | None, incident: str | None) -> str | None:
    """Return the scope of a stop; None if neither a channel nor an incident is named."""
    if channel is not None and incident is not None:
        raise typer.BadParameter("Name a channel or an incident, not both.")
    if channel is not None:
        return channel_scope(channel)
    return incident_scope(incident) if incident is not None else None


def _show(title: str, shown: list[Stop]) -> None:
    if shown:
        rows = [
            (it.scope, it.kind.value, f"{it.started_time:%Y-%m-%d %H:%M}", it.started_by, it.reason) for it in shown
        ]
        table(title, ("scope", "kind", "since (UTC)", "by", "reason"), rows)
