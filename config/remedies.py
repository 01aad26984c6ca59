"""Reads the catalogue of remedies, ``config/remedies.yaml``, and refuses what could not be said to anybody.

Checked at the start: every key and value, that no notice can be without words, at most three steps, none where the
fault is ours, and that each article and source that is named is there. Each complaint is a sentence with the
file, the line and the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from config.reading import Document, SettingsError, text_of
from config.settings import WebAddress
from incidents.model import Cause, TroubleKind
from notifiers.remedies import ASPECTS, UNKNOWN, WORDS, Entry, Needed, Remedies, Sight, Step
from telemetry.contract import DENIAL_CLASSES, DEVICE_TYPES, FAILURE_CLASSES, Signal

DEFAULT_REMEDIES = Path(__file__).with_name("remedies.yaml")
ERROR_CLASSES = FAILURE_CLASSES + DENIAL_CLASSES
MAX_STEPS = 3
FILES_KEPT = 16
"""Each command and web app of a process reads the same one or two."""
OURS = (Cause.SERVICE, Cause.APP)
REQUIRED = (*WORDS, "needed")
"""What every notice must have; the rest may be absent."""


def _as_list(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _known(names: tuple[str, ...]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"it is one of {', '.join(names)}")
        return name

    return check


T = TypeVar("T")
OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_as_list), Field(min_length=1)]
ErrorClass = Annotated[str, AfterValidator(_known(ERROR_CLASSES))]
DeviceType = Annotated[str, AfterValidator(_known(DEVICE_TYPES))]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _When(_Part):
    kind: OneOrMore[TroubleKind] = (TroubleKind.PROBLEM,)
    cause: OneOrMore[Cause] | None = None
    signal: OneOrMore[Signal] | None = None
    error_class: OneOrMore[ErrorClass] | None = None
    device_type: OneOrMore[DeviceType] | None = None


class _Step(_Part):
    say: Annotated[str, Field(min_length=1)]
    sources: Annotated[tuple[str, ...], Field(min_length=1)]


class _Remedy(_Part):
    when: _When
    subject: str | None = None
    side: str | None = None
    needed: Needed | None = None
    todo: str | None = None
    steps: Annotated[tuple[_Step, ...], Field(max_length=MAX_STEPS)] | None = None
    next: str | None = None
    article: str | None = None
    sources: tuple[str, ...] | None = None

    def entry(self) -> Entry:
        when = {name: frozenset(values) for name in ASPECTS if (values := getattr(self.when, name)) is not None}
        said = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        del said["when"]
        if self.steps is not None:
            said["steps"] = tuple(Step(step.say, step.sources) for step in self.steps)
        return Entry(when, said)


class _Sight(_Part):
    seen: str
    what: str
    again: str


class _Source(_Part):
    title: str | None = None
    publisher: str | None = None
    url: WebAddress | None = None
    own: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is a page with all that names it, or our own advice with its reason, and not both."""
        page = (self.title, self.publisher, self.url)
        return not any(page) if self.own else all(page)


class _Catalogue(_Part):
    version: Annotated[int, Field(ge=1)]
    reviewed: date
    sources: dict[str, _Source]
    articles: dict[str, str]
    signals: dict[str, _Sight]
    devices: dict[str, str]
    wrong: dict[str, str]
    remedies: Annotated[tuple[_Remedy, ...], Field(min_length=1)]

    def built(self) -> Remedies:
        return Remedies(
            version=self.version,
            entries=tuple(remedy.entry() for remedy in self.remedies),
            signals={name: Sight(**dict(sight)) for name, sight in self.signals.items()},
            devices=self.devices,
            wrong=self.wrong,
            articles=self.articles,
        )


def read_remedies(path: Path | None = None) -> Remedies:
    """Read and check a catalogue.

    Parameters
    ----------
    path
        A YAML file; the one that comes with Prebuffer if there is none.

    Raises
    ------
    SettingsError
        If anything in it is wrong; each complaint is a sentence with the file, the line and the key.
    """
    path = path or DEFAULT_REMEDIES
    return _understood(path, text_of(path))


@lru_cache(maxsize=FILES_KEPT)
def _understood(path: Path, text: str) -> Remedies:
    """Work out what a file's text says; the same text says the same."""
    document = Document.parse(path, text)
    problems = list(document.duplicates())
    if problems:
        raise SettingsError(problems)
    try:
        catalogue = _Catalogue.model_validate(document.values)
    except ValidationError as error:
        raise SettingsError(document.complaints(error, _Catalogue)) from None
    problems = [*_missing_names(document, catalogue), *_missing_words(document, catalogue)]
    if problems:
        raise SettingsError(problems)
    return catalogue.built()


def _missing_names(document: Document, catalogue: _Catalogue) -> Iterator[str]:
    """Complain about phrases that are not there, and articles and sources that nobody wrote down."""
    for section, needed in (("signals", Signal), ("devices", DEVICE_TYPES), ("wrong", Cause)):
        there: Mapping[str, object] = getattr(catalogue, section)
        for name in (*needed, UNKNOWN):
            if name not in there:
                yield f"{document.where((section,))}: {section}.{name} is not there."
    for name, source in catalogue.sources.items():
        if not source.is_whole:
            where = document.where(("sources", name))
            yield f"{where}: source {name} needs title, publisher and url, or own with the reason why we say it."
    for index, remedy in enumerate(catalogue.remedies):
        where = document.where(("remedies", index))
        if remedy.article is not None and remedy.article not in catalogue.articles:
            yield f"{where}: there is no article {remedy.article}."
        steps = remedy.steps or ()
        for named in (*(remedy.sources or ()), *(name for step in steps for name in step.sources)):
            if named not in catalogue.sources:
                yield f"{where}: there is no source {named}."


def _missing_words(document: Document, catalogue: _Catalogue) -> Iterator[str]:
    """Complain about a kind of notice that may be left without words, and about chores for a fault of ours."""
    for kind in TroubleKind:
        general = [it for it in catalogue.remedies if it.when == _When(kind=(kind,))]
        missing = [word for word in REQUIRED if all(getattr(it, word) is None for it in general)]
        if missing:
            where = document.where(("remedies",))
            yield f"{where}: the entry for every notice of kind {kind} must set {' and '.join(missing)}."
    for index, remedy in enumerate(catalogue.remedies):
        if remedy.steps and (not remedy.when.cause or set(remedy.when.cause) & set(OURS)):
            where = document.where(("remedies", index, "steps"))
            yield f"{where}: steps are for a named cause that is not ours: nobody does chores for our fault."
