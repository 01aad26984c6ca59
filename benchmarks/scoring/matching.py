"""What each reported incident is about: a true one, a look-alike, or nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from benchmarks.scoring.cohorts import Overlap
from benchmarks.scoring.geometry import Geometry
from benchmarks.scoring.reading import Reported, Span, TrueIncident

MATCH_JACCARD = 0.5
"""From here on two cohorts are the same."""
LOOSE_SHARE = 0.5
"""A coarse or wrong cohort that holds this share still points at the fault."""
AFTERMATH = timedelta(hours=2)
"""A fault may be detected this long after its end."""
LIKE_AFTERMATH = timedelta(hours=1)
LIKE_JACCARD, LIKE_INSIDE = 0.3, 0.6
"""From here on a false incident is blamed on a look-alike."""
LEAST_SESSIONS, LEAST_SUBSCRIBERS = 15, 5
"""A fault that impaired fewer is nothing that must be found."""
LAST_CALL = timedelta(minutes=30)
"""A fault that begins so shortly before the end need not be found."""


class Status(StrEnum):
    """What a reported incident turned out to be."""

    MATCH = "match"
    DUPLICATE = "duplicate"
    MISLOCALISED = "mislocalised"
    LOOKALIKE = "lookalike"
    FALSE = "false"
    DONT_CARE = "dont_care"


@dataclass(frozen=True)
class Hit:
    """A reported incident that matches a true one."""

    reported: Reported
    jaccard: float


@dataclass
class Matches:
    """What was found.

    Attributes
    ----------
    statuses
        How many reported incidents are of each sort.
    hits
        By number of the true incident, its matches in the order in which they were detected.
    loosely
        Numbers of true incidents of which half of the impaired sessions were in a reported cohort.
    flagged
        Numbers of the look-alikes that were reported.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    hits: dict[int, list[Hit]] = field(default_factory=dict)
    loosely: set[int] = field(default_factory=set)
    flagged: set[int] = field(default_factory=set)

    def is_found(self, true: TrueIncident) -> bool:
        """Return whether a true incident was matched."""
        return true.number in self.hits

    def is_found_loosely(self, true: TrueIncident) -> bool:
        """Return whether a true incident was matched, or a coarse cohort pointed at it."""
        return self.is_found(true) or true.number in self.loosely


def need_not_be_found(true: TrueIncident, span: Span) -> bool:
    """Return whether a fault is too small, or begins too early or too late, to be asked for."""
    is_small = true.impaired_sessions < LEAST_SESSIONS or true.impaired_subscribers < LEAST_SUBSCRIBERS
    return is_small or true.start < span.start or true.start > span.end - LAST_CALL


class Matcher:
    """Matches reported with true incidents, one after the other.

    Parameters
    ----------
    true
        All incidents of the truth that touch the span, look-alikes included.
    geometry
        Compares cohorts.
    span
        From when to when is judged.
    """

    def __init__(self, true: Sequence[TrueIncident], geometry: Geometry, span: Span) -> None:
        self._faults = [it for it in true if not it.is_benign]
        self._look_alikes = [it for it in true if it.is_benign]
        self._ignored = {it.number for it in self._faults if need_not_be_found(it, span)}
        self._geometry = geometry
        self._first: set[tuple[int, str]] = set()
        self.matches = Matches()

    def take(self, reported: Reported) -> Status:
        """Judge the next reported incident; they must come in the order in which they were detected."""
        status = self._judge(reported)
        self.matches.statuses[status] += 1
        return status

    def _judge(self, reported: Reported) -> Status:
        near = [(it, self._geometry.overlap(it, reported)) for it in self._faults if _may_be(reported, it)]
        self.matches.loosely |= {it.number for it, found in near if found.impaired_held >= LOOSE_SHARE}
        same = [(it, found.jaccard) for it, found in near if found.jaccard >= MATCH_JACCARD]
        if same:
            return self._matched(reported, *max(same, key=lambda pair: pair[1]))
        coarse = [it for it, found in near if max(found.impaired_held, found.inside) >= LOOSE_SHARE]
        if coarse:
            return Status.DONT_CARE if coarse[0].number in self._ignored else Status.MISLOCALISED
        return self._false(reported)

    def _matched(self, reported: Reported, true: TrueIncident, jaccard: float) -> Status:
        if true.number in self._ignored:
            return Status.DONT_CARE
        self.matches.hits.setdefault(true.number, []).append(Hit(reported, jaccard))
        is_again = (true.number, reported.signal) in self._first
        self._first.add((true.number, reported.signal))
        return Status.DUPLICATE if is_again else Status.MATCH

    def _false(self, reported: Reported) -> Status:
        near = [it for it in self._look_alikes if it.start <= reported.detected <= it.end + LIKE_AFTERMATH]
        alike = {it.number for it in near if _looks_like(self._geometry.overlap(it, reported), it)}
        self.matches.flagged |= alike
        return Status.LOOKALIKE if alike else Status.FALSE


def _may_be(reported: Reported, true: TrueIncident) -> bool:
    """Return whether signal and times allow that a report is about a fault."""
    is_over = reported.resolved is not None and reported.resolved < true.start
    is_later = reported.onset is not None and reported.onset > true.end
    is_seen = true.start <= reported.detected <= true.end + AFTERMATH
    return reported.signal in true.signals and is_seen and not is_over and not is_later


def _looks_like(found: Overlap, true: TrueIncident) -> bool:
    is_somewhere = true.cohort_text != "{}" or true.kind == "collector_outage"
    return found.jaccard >= LIKE_JACCARD or (found.inside >= LIKE_INSIDE and is_somewhere)
