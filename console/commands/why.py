"""``prebuffer why``: why somebody was told, or not."""

from __future__ import annotations

from typing import Annotated

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import settings_of
from console.output import print_json, say, table
from notifiers.story import Chapter, story_of

SubscriberArgument = Annotated[str, typer.Argument(help="A subscriber_id.", show_default=False)]
IncidentOption = Annotated[str | None, typer.Option("--incident", help="Only this incident.", show_default=False)]


def why(
    subscriber: SubscriberArgument,
    incident: IncidentOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell one person's story: every decision about them, its reason, and what was sent, in order.

    Examples:
        prebuffer why u-123

        prebuffer why u-123 --incident i-ab12 --json
    """
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        story = story_of(connection, subscriber, incident)
    if as_json:
        print_json({"story": [_document(chapter) for chapter in story]})
    elif story:
        rows = [(f"{it.time:%Y-%m-%d %H:%M:%S}", it.episode, it.what, it.sentence) for it in story]
        table("Their story (UTC)", ("time", "about", "what", "in words"), rows)
    else:
        say("Nothing was decided about this subscriber, as far as the ledger knows.")


def _document(chapter: Chapter) -> dict[str, object]:
    return {**vars(chapter), "time": chapter.time.isoformat()}
