"""What we say about a problem: the nearest entry of a catalogue that people edit.

The catalogue is a list of entries, each for some notices (a cause, a signal, an error class, a type of device). Each
field is taken from the most specific entry that has it, so an entry writes only what is different.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from incidents.model import Cause, TroubleKind
from telemetry.contract import DEVICE_TYPES, Signal

UNKNOWN = "unknown"
"""The entry of a mapping for what nobody thought of."""
ASPECTS = ("kind", "cause", "signal", "error_class", "device_type")
"""What an entry may depend on."""

WORDS = ("subject", "side", "todo", "next")
"""The sentences of an entry, but for its steps."""

Case = tuple[str, str, str, str | None, str | None]
"""The aspects of one notice, in the order of `ASPECTS`."""


class Needed(StrEnum):
    """What is asked of the reader."""

    NOTHING = "nothing"
    TRY = "try"
    ACT = "act"


@dataclass(frozen=True)
class Step:
    """One thing to do, and where that advice was read."""

    say: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What is said of some notices; a field that is None is left to a more general entry.

    Parameters
    ----------
    when
        The values of each aspect for which it holds; an aspect that is absent may have any. The kind is never absent.
    said
        The fields that it sets; see `Remedy`.
    """

    when: Mapping[str, frozenset[str]]
    said: Mapping[str, object]

    def holds(self, case: Case) -> bool:
        """Whether it is about a notice of these aspects."""
        return all(value in self.when[name] for name, value in zip(ASPECTS, case, strict=True) if name in self.when)


@dataclass(frozen=True)
class Remedy:
    """What one notice says, in English sentences by which translations are found.

    Parameters
    ----------
    subject, side, todo, next
        See ``config/remedies.yaml``.
    needed
        What is asked of the reader.
    steps
        At most three, in order.
    article
        The help article's key, if there is one.
    sources
        Where the claim of `side` was read.
    """

    subject: str
    side: str
    todo: str
    next: str
    needed: Needed = Needed.NOTHING
    steps: tuple[Step, ...] = ()
    article: str | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sight:
    """What a person saw of a signal: in a subject, in a sentence, and how it is when it is over."""

    seen: str
    what: str
    again: str


@dataclass(frozen=True)
class Remedies:
    """The whole catalogue.

    Parameters
    ----------
    version
        Raised with each change that readers can see; a case packet names it.
    entries
        In the order of the file.
    signals, devices, wrong, articles
        Phrases by signal, type of device, cause that was wrong, and key of a help article.
    """

    version: int
    entries: Sequence[Entry]
    signals: Mapping[str, Sight]
    devices: Mapping[str, str]
    wrong: Mapping[str, str]
    articles: Mapping[str, str] = field(default_factory=dict)

    def best(self, case: Case) -> Remedy:
        """Return what is said of a notice: each field by the most specific entry that has it, then the first."""
        found = self._found.get(case)
        if found is None:
            said: dict[str, Any] = {}
            for entry in self._by_rank[case[0]]:
                if entry.holds(case):
                    said = {**entry.said, **said}
            found = self._found[case] = Remedy(**said)
        return found

    @cached_property
    def _found(self) -> dict[Case, Remedy]:
        """What was looked for once; there are some thousand cases at the most, for a case's aspects are our own."""
        return {}

    @cached_property
    def _by_rank(self) -> Mapping[str, list[Entry]]:
        """The entries for each kind of notice, those that name most first."""
        ranked = sorted(self.entries, key=lambda entry: -len(entry.when))
        return {kind: [it for it in ranked if kind in it.when["kind"]] for kind in TroubleKind}

    def sight(self, signal: str) -> Sight:
        """Return what a person saw of a signal, known or not."""
        return self.signals.get(signal) or self.signals[UNKNOWN]

    def where(self, device_type: str | None) -> str:
        """Return on what they saw it."""
        return self.devices.get(device_type or UNKNOWN) or self.devices[UNKNOWN]

    def was_wrong(self, cause: str | None) -> str:
        """Return what a correction takes back."""
        return self.wrong.get(cause or UNKNOWN) or self.wrong[UNKNOWN]

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Walk over every sentence that is translated, in the order of the file, with what it is."""
        for sight in self.signals.values():
            yield from ((sight.seen, "what was seen, as %(seen)s in a subject"), (sight.what, "what happened"))
            yield sight.again, "the subject of an all-clear"
        yield from (
            (where, "where it was seen, as %(where)s at the end of a sentence") for where in self.devices.values()
        )
        yield from ((wrong, "in a correction, before: That was wrong") for wrong in self.wrong.values())
        for entry in self.entries:
            yield from ((str(entry.said[name]), name) for name in WORDS if entry.said.get(name))
            yield from ((step.say, "step") for step in _steps(entry))
        yield from ((title, "the text of a link to a help article") for title in self.articles.values())


def _steps(entry: Entry) -> tuple[Step, ...]:
    steps = entry.said.get("steps", ())
    return steps if isinstance(steps, tuple) else ()


def every_case(error_classes: Sequence[str]) -> Iterator[Case]:
    """Walk over every notice that can be, with what is unknown among them."""
    for kind in TroubleKind:
        for cause in (*Cause, UNKNOWN):
            for signal in (*Signal, UNKNOWN):
                for error_class in (None, *error_classes):
                    for device_type in (None, *DEVICE_TYPES):
                        yield (kind, cause, signal, error_class, device_type)
