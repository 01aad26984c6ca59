"""``prebuffer templates``: keep the words of notices in order, in every language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.bootstrap import make_composer, template_folder
from config.remedies import read_remedies
from console.arguments import ConfigOption
from console.opening import settings_of
from console.output import say
from notifiers.catalogues import DOMAIN, extract, update, write
from notifiers.language import SOURCE_LANGUAGE
from notifiers.wording import check_all

app = typer.Typer(help="Keep the words of notices in order, in every language.", no_args_is_help=True)
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--language", help="Begin this language too, such as pl or pt-BR.", show_default=False),
]

MjmlOption = Annotated[
    Path,
    typer.Option("--mjml", help="Where npm put the package mjml, whose strict judgement of the layout is asked too."),
]
MJML = Path("tests/npm/node_modules/mjml")
MOST_SAID = 200
"""More complaints than anybody reads at once; the rest are counted."""


@app.command()
def check(*, mjml: MjmlOption = MJML, config: ConfigOption = None) -> None:
    """Read every notice in every language, and say what is missing, too long, hard to read or not in style.

    Examples:
        prebuffer templates check
    """
    found = check_all(make_composer(settings_of(config)), mjml if mjml.is_dir() else None)
    for problem in found.problems[:MOST_SAID]:
        say(problem)
    judged = "" if mjml.is_dir() else " The layout was not judged by MJML, which is not installed."
    say(f"{found.notices} notices in {found.languages} languages: {len(found.problems)} complaints.{judged}")
    if found.problems:
        raise typer.Exit(1)


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
    there = [path.name for path in sorted((folder / "locales").glob("*/")) if path.name != SOURCE_LANGUAGE]
    for tag in dict.fromkeys([*there, *(language or [])]):
        say(str(update(folder, tag, source)))
