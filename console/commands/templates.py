"""``prebuffer templates``: keep the words of notices in order, in every language."""

from __future__ import annotations

from typing import Annotated

import typer

from config.bootstrap import template_folder
from config.remedies import read_remedies
from console.arguments import ConfigOption
from console.opening import settings_of
from console.output import say
from notifiers.catalogues import DOMAIN, extract, update, write
from notifiers.language import SOURCE_LANGUAGE, Languages

app = typer.Typer(help="Keep the words of notices in order, in every language.", no_args_is_help=True)
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--language", help="Begin this language too, such as pl or pt-BR.", show_default=False),
]


@app.command(name="extract")
def extract_command(*, language: LanguageOption = None, config: ConfigOption = None) -> None:
    """Collect every sentence for translators, and bring each language's file up to date.

    Examples:
        prebuffer templates extract

        prebuffer templates extract --language pl
    """
    settings = settings_of(config)
    folder = template_folder(settings)
    source = extract(folder, read_remedies(settings.paths.remedies))
    write(source, folder / "locales" / f"{DOMAIN}.pot")
    there = [tag for tag in Languages(folder / "locales").tags if tag != SOURCE_LANGUAGE]
    for tag in dict.fromkeys([*there, *(language or [])]):
        say(str(update(folder, tag, source)))
