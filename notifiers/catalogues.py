"""What translators work from: every sentence of notices and pages, and each language's catalogue brought up to date.

``templates/locales/notices.pot`` is extracted from the templates and the remedies. A language's own file keeps what
was translated; a sentence that changed a little stays as a *fuzzy* suggestion, which nobody is sent until a person has
looked at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages import Catalog
from babel.messages.extract import extract as extract_messages
from babel.messages.pofile import write_po

from notifiers.language import CatalogueError, cleaned, read_catalogue
from notifiers.remedies import Remedies

FOLDERS = ("notices", "pages")
"""The folders of `templates/` whose sentences subscribers read."""
FOR_DEVELOPERS = frozenset({"inbox.html.jinja"})
"""Pages that no subscriber sees: not translated."""
DOMAIN = "notices"
KEPT_HEADERS = ("Content-Type", "Content-Transfer-Encoding", "MIME-Version", "Language:", "Plural-Forms")
"""The rest says when and by whom: version control knows that, and a file changes only when its words do."""
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2), "npgettext": ((1, "c"), 2, 3)}


def extract(template_dir: Path, remedies: Remedies) -> Catalog:
    """Return every sentence that is translated, with where it stands and what it is.

    Parameters
    ----------
    template_dir
        The folder `templates/`.
    remedies
        The catalogue of remedies, whose sentences come first.
    """
    catalog = Catalog(fuzzy=False)
    for sentence, what in remedies.sentences():
        catalog.add(sentence, locations=[("remedies.yaml", 0)], auto_comments=[what], flags=_flags(sentence))
    for path, found in _of_templates(template_dir):
        where = (path.relative_to(template_dir).as_posix(), 0)
        catalog.add(found[0], locations=[where], auto_comments=found[1], context=found[2])
    return catalog


def _flags(sentence: str) -> list[str]:
    return ["python-format"] if "%(" in sentence else []


def _of_templates(template_dir: Path) -> Iterator[tuple[Path, tuple[str | tuple[str, ...], list[str], str | None]]]:
    options = {"trimmed": "true", "newstyle_gettext": "true"}
    for path in sorted(path for folder in FOLDERS for path in (template_dir / folder).glob("*.jinja")):
        if path.name in FOR_DEVELOPERS:
            continue
        source = BytesIO(path.read_bytes())
        for found in extract_messages("jinja2.ext:babel_extract", source, _KEYWORDS, ("Note:",), options):
            yield path, found[1:]


def write(catalog: Catalog, path: Path) -> None:
    """Write a catalogue without dates and names, its sentences in the order in which they were found."""
    buffer = BytesIO()
    write_po(buffer, catalog, width=0, include_lineno=False, omit_header=False, include_previous=True)
    lines = buffer.getvalue().decode().splitlines()
    kept = [line for line in lines if not _is_dropped_header(line)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(kept).strip() + "\n", encoding="utf-8")


def _is_dropped_header(line: str) -> bool:
    is_header = line.startswith('"') and line.endswith('\\n"') and ": " in line
    return (is_header and not line[1:].startswith(KEPT_HEADERS)) or line.startswith("# ") or line == "#"


def update(template_dir: Path, language: str, source: Catalog) -> Path:
    """Bring one language's catalogue up to date, or begin it; what is no longer said is dropped.

    Parameters
    ----------
    template_dir
        The folder `templates/`.
    language
        A tag such as ``pl`` or ``pt-BR``.
    source
        From `extract`.

    Raises
    ------
    CatalogueError
        If nothing is known of such a language, or its file is broken.
    """
    locale = _known(language)
    path = template_dir / "locales" / language / f"{DOMAIN}.po"
    catalog = read_catalogue(path) if path.exists() else Catalog(locale=locale, fuzzy=False)
    catalog.update(source, no_fuzzy_matching=False)
    catalog.obsolete.clear()
    write(catalog, path)
    return path


def _known(language: str) -> Locale:
    try:
        return Locale.parse(cleaned(language), sep="-")
    except (UnknownLocaleError, ValueError):
        raise CatalogueError(f"{language} is no language that is known; a tag looks like pl or pt-BR.") from None
