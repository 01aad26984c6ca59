"""Languages: sentences from catalogues that people edit, and dates, times and numbers as a place writes them.

A language is a folder ``templates/locales/<tag>/`` with one or more gettext catalogues (``*.po``), read as they are:
there is no step of compiling. English needs none, for the sentences in templates are English. A reader of ``de-AT``
gets what ``de-AT`` translates, then ``de``, then English; a reader of a language that nobody wrote gets English, and
the answer says so, that it can be counted.

::

    CatalogueError    a catalogue cannot be used; a sentence with its file and line
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from types import CodeType

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, match_skeleton
from babel.messages import Catalog
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal
from jinja2 import BaseLoader, BytecodeCache, Environment, StrictUndefined
from jinja2.bccache import Bucket

SOURCE_LANGUAGE = "en"
"""What the sentences in templates are written in."""
USUAL_REGION = {"en": "GB"}
"""Where a reader is taken to be who names a language only: day before month, and a clock of 24 hours."""
OLD_NAMES = {"iw": "he", "ji": "yi", "in": "id", "no": "nb"}
"""Codes that ISO 639 has replaced, and devices still send."""
DAYS = {"es": "EEEE d 'de' MMMM", "pt": "d 'de' MMMM (EEEE)"}
"""Days where CLDR's order cannot stand in a sentence: a Portuguese weekday would need an article of its gender."""
FIRST_OF_MONTH = {"fr": "er", "pt": "º"}
"""What follows the number of a month's first day."""
UNSPACED = frozenset({"ja", "zh"})
"""Languages in which one sentence follows another without a blank."""
LEAST_WRITTEN = 0.9
"""Share of a catalogue's sentences that are translated before anybody is written to in it: not in half a language."""
MOMENTS_KEPT = 8192
"""More than the minutes of a day in five languages: each is formatted once."""
MAX_LOCALE_LENGTH = 35
"""As in the contract: no language tag in use is longer."""
TEMPLATES_KEPT = 256
"""More than there are templates; a bound, because a preview compiles each file as often as it is saved."""
ANSWERS_KEPT = 1024
"""More than there are locales in use; a bound, because they come from outside."""
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_LINE = re.compile(r'(#.*|((msgctxt|msgid|msgid_plural|msgstr(\[\d\])?)\s+)?"([^"\\]|\\.)*")?')
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
_CONTEXT = "\x04"

Plural = Callable[[int], int]


class _Compiled(BytecodeCache):
    """Templates compiled once for all languages: a sentence is looked up when it is rendered, not before."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if len(self._codes) >= TEMPLATES_KEPT:
            self._codes.clear()
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code

    def clear(self) -> None:
        self._codes.clear()


COMPILED = {autoescape: _Compiled() for autoescape in (False, True)}
FOLDERS_KEPT = 64
"""Each command and web app of a process reads the same few catalogues."""


class CatalogueError(Exception):
    """A catalogue cannot be used; the message is a sentence with its file and line."""


@dataclass(frozen=True)
class Catalogue:
    """The sentences of one language, by English sentence; fuzzy and empty ones are left out."""

    sentences: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plural: Plural = field(default=lambda _count: 0)

    def find(self, key: str, count: int | None = None) -> str | None:
        """Return the translation of a sentence, in the form that goes with `count`."""
        forms = self.sentences.get(key)
        if forms is None:
            return None
        index = 0 if count is None else self.plural(count)
        return forms[index] if index < len(forms) else None


@dataclass(frozen=True)
class Language:
    """One reader's language: the words, and how their place writes days, times and numbers.

    Parameters
    ----------
    tag
        What the words are written in, e.g. ``pt-BR``; goes into ``lang=``.
    locale
        How dates and numbers are written: these words, in the reader's region.
    catalogues
        Where sentences are looked up, the nearest first.
    known
        Whether it is the language that was asked for.
    """

    tag: str
    locale: Locale
    catalogues: tuple[Catalogue, ...] = ()
    known: bool = True

    @cached_property
    def direction(self) -> str:
        """``ltr`` or ``rtl``; goes into ``dir=``."""
        return str(self.locale.text_direction)

    @cached_property
    def blank(self) -> str:
        """What stands between two sentences."""
        return "" if primary(self.tag) in UNSPACED else " "

    def gettext(self, sentence: str) -> str:
        """Return a sentence in this language, or in English where nobody translated it."""
        return self._find(sentence) or sentence

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return the sentence that goes with a number, by this language's rules."""
        return self._find(one, count) or (one if count == 1 else many)

    def pgettext(self, context: str, sentence: str) -> str:
        """Return a sentence that means different things in different places."""
        return self._find(f"{context}{_CONTEXT}{sentence}") or sentence

    def npgettext(self, context: str, one: str, many: str, count: int) -> str:
        """Return the sentence of a context that goes with a number."""
        return self._find(f"{context}{_CONTEXT}{one}", count) or (one if count == 1 else many)

    def day(self, moment: date) -> str:
        """Return a day by its name, date and month, e.g. ``Monday 9 March``."""
        return _day(moment.date() if isinstance(moment, datetime) else moment, self.locale)

    def time(self, moment: datetime) -> str:
        """Return a time of day, by a clock of twelve or twenty-four hours as the place has it."""
        return _time(moment.hour, moment.minute, self.locale)

    def number(self, number: float) -> str:
        """Return a number with the separators of the place."""
        return _number(number, self.locale)

    def environment(self, loader: BaseLoader, *, autoescape: bool) -> Environment:
        """Return a Jinja environment that speaks this language.

        Templates say ``{% trans %}`` or ``_()``, write values as ``| day``, ``| time`` and ``| number``, and find
        `language`, `direction` and `blank` for the page's own attributes.
        """
        environment = Environment(
            loader=loader,
            autoescape=autoescape,  # noqa: S701  plain text is not escaped; pages are
            undefined=StrictUndefined,
            bytecode_cache=COMPILED[autoescape],
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return self.install(environment)

    def install(self, environment: Environment) -> Environment:
        """Give an environment this language; one environment speaks one language."""
        environment.install_gettext_callables(  # type: ignore[attr-defined]
            self.gettext, self.ngettext, newstyle=True, pgettext=self.pgettext, npgettext=self.npgettext
        )
        environment.policies["ext.i18n.trimmed"] = True
        environment.globals.update(language=self.tag, direction=self.direction, blank=self.blank)
        environment.filters.update(day=self.day, time=self.time, number=self.number)
        return environment

    def _find(self, key: str, count: int | None = None) -> str | None:
        for catalogue in self.catalogues:
            if (found := catalogue.find(key, count)) is not None:
                return found
        return None


class Languages:
    """All languages that a folder of catalogues holds, each read once.

    Parameters
    ----------
    folder
        ``templates/locales``: one folder a language, named by its tag, e.g. ``de`` or ``pt-BR``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._answers: dict[str | None, Language] = {}

    @cached_property
    def catalogues(self) -> dict[str, Catalogue]:
        """Every catalogue by its tag.

        Raises
        ------
        CatalogueError
            If one of them is broken.
        """
        found = {path.name: _read_folder(path) for path in sorted(self.folder.glob("*/")) if path.is_dir()}
        return {SOURCE_LANGUAGE: Catalogue()} | {tag: it for tag, it in found.items() if it is not None}

    def check(self) -> None:
        """Read every catalogue now; raise `CatalogueError` if one of them is broken."""
        _ = self.catalogues

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The languages that there are, English first."""
        return (SOURCE_LANGUAGE, *(tag for tag in self.catalogues if tag != SOURCE_LANGUAGE))

    def of(self, locale: str | None) -> Language:
        """Return the nearest language to a reader's locale, which is untrusted and may be absent or nonsense."""
        if locale not in self._answers:
            if len(self._answers) >= ANSWERS_KEPT:
                self._answers.clear()
            asked = cleaned(locale)
            found = self._nearest(asked)
            self._answers[locale] = found if asked or not locale else _unknown(found)
        return self._answers[locale]

    def _nearest(self, asked: str) -> Language:
        chain = list(self._chain(asked))
        tag = chain[0] if chain else SOURCE_LANGUAGE
        known = not asked or primary(asked) == primary(tag)
        return Language(tag, _format_locale(tag, asked), tuple(self.catalogues[it] for it in chain), known)

    def _chain(self, asked: str) -> Iterator[str]:
        """Walk from the asked tag to its relatives: ``de-AT``, ``de``, then any other ``de-``."""
        by_lower = {tag.lower(): tag for tag in self.catalogues}
        parts = asked.lower().split("-")
        exact = [by_lower[it] for end in range(len(parts), 0, -1) if (it := "-".join(parts[:end])) in by_lower]
        yield from exact
        if not exact:
            yield from (tag for tag in self.catalogues if primary(tag) == parts[0])


def cleaned(locale: str | None) -> str:
    """Return a locale as a language tag: ``de_AT.UTF-8`` is ``de-AT``, ``iw`` is ``he``, and ``../x`` is nothing."""
    tag = re.split(r"[.@]", (locale or "").strip(), maxsplit=1)[0].replace("_", "-")
    if len(tag) > MAX_LOCALE_LENGTH or not _TAG.fullmatch(tag):
        return ""
    first, dash, rest = tag.partition("-")
    return OLD_NAMES.get(first.lower(), first.lower()) + dash + rest


def primary(tag: str) -> str:
    """Return the language of a tag without its region: ``pt`` of ``pt-BR``."""
    return tag.partition("-")[0].lower()


def region(tag: str) -> str | None:
    """Return the region that a tag names, such as ``AT``, or None."""
    return next((part.upper() for part in tag.split("-")[1:] if len(part) == 2 and part.isalpha()), None)


def _unknown(language: Language) -> Language:
    return Language(language.tag, language.locale, language.catalogues, known=False)


def _format_locale(tag: str, asked: str) -> Locale:
    """Return how to write dates: the words' language in the reader's region, as far as CLDR knows the pair."""
    first = primary(tag)
    for place in (region(asked), region(tag), USUAL_REGION.get(first)):
        if place is not None:
            try:
                return Locale.parse(f"{first}_{place}")
            except (UnknownLocaleError, ValueError):
                continue
    try:
        return Locale.parse(first)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(f"{SOURCE_LANGUAGE}_{USUAL_REGION[SOURCE_LANGUAGE]}")


@lru_cache(maxsize=MOMENTS_KEPT)
def _day(day: date, locale: Locale) -> str:
    short = locale.datetime_skeletons[match_skeleton("MMMEd", locale.datetime_skeletons) or "MMMEd"].pattern
    pattern = DAYS.get(locale.language) or re.sub(r"(?<!M)MMM(?!M)", "MMMM", re.sub(r"E+", "EEEE", short))
    if day.day == 1 and locale.language in FIRST_OF_MONTH:
        pattern = re.sub(r"\bd\b", f"d'{FIRST_OF_MONTH[locale.language]}'", pattern)
    return str(format_date(day, pattern, locale=locale))


@lru_cache(maxsize=MOMENTS_KEPT)
def _time(hour: int, minute: int, locale: Locale) -> str:
    moment = datetime(2000, 1, 1, hour, minute)  # noqa: DTZ001  a time of day has no zone
    return str(format_time(moment, "short", locale=locale)).replace("\u202f", "\u00a0")


@lru_cache(maxsize=MOMENTS_KEPT)
def _number(number: float, locale: Locale) -> str:
    return format_decimal(number, locale=locale)


def _read_folder(folder: Path) -> Catalogue | None:
    """Return what a folder's catalogues translate, or None where that is not enough to write to anybody."""
    return _understood(tuple([(path, _text(path)) for path in sorted(folder.glob("*.po"))]))


@lru_cache(maxsize=FOLDERS_KEPT)
def _understood(files: tuple[tuple[Path, str], ...]) -> Catalogue | None:
    """Work out what the texts of a folder's files say; the same texts say the same."""
    read = [_parsed(path, text) for path, text in files]
    sentences: dict[str, Sequence[str]] = {}
    for catalog in read:
        sentences |= dict(_sentences(catalog))
    if not sentences or len(sentences) < LEAST_WRITTEN * sum(map(len, read)):
        return None
    return Catalogue(sentences, gettext.c2py(read[0].plural_expr))


def read_catalogue(path: Path) -> Catalog:
    """Read one ``.po`` file with all that it says, fuzzy sentences included.

    Raises
    ------
    CatalogueError
        If it is no catalogue; a sentence with its file and line.
    """
    return _parsed(path, _text(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CatalogueError(f"{path}, line 1: this is not a catalogue: it is not UTF-8 text.") from None


def _parsed(path: Path, text: str) -> Catalog:
    lines = text.splitlines()
    try:
        _check_lines(path, lines)
        catalog = read_po(lines, locale=path.parent.name.replace("-", "_"), abort_invalid=True)
        gettext.c2py(catalog.plural_expr)
    except PoFileError as error:
        raise CatalogueError(f"{path}, line {error.lineno + 1}: this is not a catalogue: {error.args[0]}.") from None
    except (ValueError, UnknownLocaleError) as error:
        raise CatalogueError(f"{path}, line 1: this is not a catalogue: {str(error).rstrip('.')}.") from None
    return catalog


def _check_lines(path: Path, lines: Sequence[str]) -> None:
    """Refuse a line that is no part of a catalogue: Babel would guess at what an open quotation means."""
    for number, line in enumerate(lines, start=1):
        if not _LINE.fullmatch(line.strip()):
            raise CatalogueError(
                f"{path}, line {number}: this is not a catalogue: a line is a comment, or a keyword "
                "and a sentence in quotation marks."
            )


def misplaced(ids: Sequence[str], forms: Sequence[str]) -> list[str]:
    """Return the placeholders that a translation has too many or, where it is no plural, has forgotten.

    Such a translation is never used: the English sentence is better than one with a hole.
    """
    wanted = set().union(*map(placeholders, ids))
    found = [placeholders(form) for form in forms]
    forgotten = set() if len(ids) > 1 else wanted - found[0]
    return sorted(forgotten | set().union(*found) - wanted)


def placeholders(sentence: str) -> set[str]:
    """Return what a sentence holds a place for, and ``%`` where a stray one would break it."""
    stray = "%" in _PLACEHOLDER.sub("", sentence.replace("%%", "")) and _PLACEHOLDER.search(sentence)
    return set(_PLACEHOLDER.findall(sentence)) | ({"%"} if stray else set())


def _sentences(catalog: Catalog) -> Iterator[tuple[str, Sequence[str]]]:
    for message in catalog:
        forms = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        if message.id and not message.fuzzy and all(forms) and not misplaced(ids, forms):
            first = ids[0]
            yield (f"{message.context}{_CONTEXT}{first}" if message.context else first), forms
