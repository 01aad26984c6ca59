"""Whether the words are fit to be sent: every sentence translated, every notice in style, the layout valid."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babel.messages import Catalog
from babel.messages.catalog import Message

from notifiers.catalogues import DOMAIN, extract
from notifiers.compose import Composer
from notifiers.language import misplaced, read_catalogue
from notifiers.samples import distinct_cases, hostile, sample, shape_cases
from notifiers.style import complaints
from notifiers.voice import turned

MJML_S = 60
"""Longest that Node may take to judge a layout."""
MOST_SHOWN = 60
"""Longest part of a sentence that a complaint repeats."""
_STRICT = """
const mjml = require(process.argv[1]);
let source = '';
process.stdin.on('data', chunk => source += chunk).on('end', async () => {
  try { const out = await mjml(source, { validationLevel: 'strict' });
    console.log(JSON.stringify(out.errors.map(error => error.formattedMessage || String(error)))); }
  catch (error) { console.log(JSON.stringify([String(error.message || error)])); }
});
"""


@dataclass(frozen=True)
class Checked:
    """What a check read, and what it complains of."""

    languages: int
    notices: int
    problems: tuple[str, ...]


def check_all(composer: Composer, mjml: Path | None = None) -> Checked:
    """Check every sentence, notice and layout.

    Parameters
    ----------
    composer
        With the templates, remedies and links to check.
    mjml
        The folder of the Node package of that name, which judges layouts strictly; None leaves that out.
    """
    source = extract(composer.template_dir, composer.remedies)
    problems = [*check_catalogues(composer.template_dir / "locales", source)]
    read = 0
    for tag in composer.languages.tags:
        for name, found in _check_notices(composer, tag):
            read += 1
            problems += [f"{tag}: {name}: {complaint}." for complaint in found]
    if mjml is not None:
        problems += check_layout(composer.template_dir / "notices" / "mail.mjml.jinja", mjml)
    return Checked(len(composer.languages.tags), read, tuple(problems))


def check_catalogues(folder: Path, source: Catalog) -> Iterator[str]:
    """Walk over what is missing or doubtful in any language.

    Parameters
    ----------
    folder
        ``templates/locales``.
    source
        From `notifiers.catalogues.extract`.
    """
    wanted = {_key(message): message for message in source if message.id}
    pot = folder / f"{DOMAIN}.pot"
    if not pot.exists() or {_key(it) for it in read_catalogue(pot) if it.id} != set(wanted):
        yield f"{pot} is not what the templates say: run prebuffer templates extract."
    for path in sorted(folder.glob("*/")):
        there = {_key(it): it for file in path.glob("*.po") for it in read_catalogue(file) if it.id}
        is_variant = "-" in path.name and (folder / path.name.partition("-")[0]).is_dir()
        missing = [] if is_variant else [key for key in wanted if key not in there]
        yield from (f'{path.name}: there is no translation of "{_shown(key)}".' for key in missing)
        for key, message in there.items():
            ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
            forms = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
            if key in wanted and (message.fuzzy or not forms or not all(forms)):
                what = "only guessed at" if message.fuzzy else "not translated"
                yield f'{path.name}: "{_shown(key)}" is {what}.'
            elif forms and (wrong := misplaced(ids, forms)):
                yield f'{path.name}: "{_shown(key)}" and its translation differ in %({wrong[0]})s.'


def check_layout(layout: Path, mjml: Path) -> Iterator[str]:
    """Walk over what MJML itself, in strict mode, finds wrong with the mail's layout in either direction."""
    node = shutil.which("node")
    if node is None:
        return
    for direction in ("ltr", "rtl"):
        source = turned(layout.read_text(encoding="utf-8"), direction)
        command = [node, "-e", _STRICT, str(mjml.resolve())]
        done = subprocess.run(  # noqa: S603  our own script, on our own layout
            command, input=source, capture_output=True, text=True, timeout=MJML_S, check=False
        )
        found = json.loads(done.stdout) if done.stdout.strip() else [done.stderr.strip()[-200:]]
        yield from (f"{layout.name}, {direction}: {complaint}" for complaint in found)


def _check_notices(composer: Composer, tag: str) -> Iterator[tuple[str, list[str]]]:
    language = composer.languages.of(tag)
    every = [sample(case, tag) for case in distinct_cases(composer.remedies)]
    for it in [*every, *(found for case in shape_cases() for found in hostile(case, tag))]:
        yield it.name, list(complaints(composer.compose(it.context), language))


def _key(message: Message) -> tuple[str, str]:
    return (message.context or "", message.id if isinstance(message.id, str) else message.id[0])


def _shown(key: tuple[str, str]) -> str:
    return key[1] if len(key[1]) <= MOST_SHOWN else f"{key[1][:MOST_SHOWN]}..."
