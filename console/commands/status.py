"""``prebuffer status``: what the public may read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.bootstrap import open_ledger, template_folder
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say
from console.status import build as pages
from console.status.draft import draft_of
from incidents import publications
from incidents.cases import UnknownIncidentError
from incidents.publications import PublicState

app = typer.Typer(help="Publish incidents, and build the public status page.", no_args_is_help=True)

IncidentArgument = Annotated[str, typer.Argument(help="The incident's id.")]
AuthorOption = Annotated[str, typer.Option("--author", help="Who says so: the audit trail keeps the name.")]
StateOption = Annotated[PublicState, typer.Option("--state", help="How far we are.")]


@app.command()
def build(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder that a web server serves.")],
    address: Annotated[
        str | None, typer.Option("--address", help="Where it is served, for the feed's links.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the status page, its feed and its data from what leads published.

    Examples:
        prebuffer status build --out data/var/status --address https://status.example.com
    """
    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        brand = settings.brand.service_name
        made = pages.build(ledger, out, template_folder(settings), brand, now(), (address or "").rstrip("/") or None)
    if as_json:
        print_json({"page": str(made.page), "feed": str(made.feed), "data": str(made.document)})
    else:
        say(str(made.page))


@app.command()
def publish(
    incident: IncidentArgument,
    author: AuthorOption,
    title: Annotated[str | None, typer.Option("--title", help="What is wrong; a draft if absent.")] = None,
    scope: Annotated[str | None, typer.Option("--scope", help="For whom; a draft if absent.")] = None,
    words: Annotated[str | None, typer.Option("--words", help="The first update; a draft if absent.")] = None,
    state: StateOption = PublicState.INVESTIGATING,
    config: ConfigOption = None,
) -> None:
    """Publish an incident, in words of your own or in drafted ones.

    Examples:
        prebuffer status publish inc-0123456789ab --author ann --title "Videos stop to load"
    """
    with open_ledger(settings_of(config)) as ledger:
        found = ledger.incident(incident)
        if found is None:
            raise UnknownIncidentError(f"The ledger has no incident {incident[:64]}.")
        draft = draft_of(found)
        with ledger.write() as connection:
            published = publications.publish(
                connection,
                incident,
                author,
                now(),
                title=title or draft.title,
                scope=scope or draft.scope,
                words=words or draft.words,
                state=state,
            )
    say(f"Published as {published.publication_id}: {published.title}. {published.scope}")


@app.command()
def update(
    incident: IncidentArgument,
    author: AuthorOption,
    words: Annotated[str, typer.Option("--words", help="What is new.")],
    state: StateOption,
    config: ConfigOption = None,
) -> None:
    """Post an update on a published incident; the state `resolved` ends it.

    Examples:
        prebuffer status update inc-0123456789ab --author ann --state resolved --words "It is over."
    """
    with open_ledger(settings_of(config)) as ledger, ledger.write() as connection:
        known = publications.of_incident(connection, incident)
        if known is None:
            raise UnknownIncidentError(f"Incident {incident[:64]} is not published.")
        publications.post(
            connection, known.publication_id, author, now(), seen=known.revision, state=state, words=words
        )
    say(f"Posted on {known.publication_id}.")
