"""What a detector hands on: cohorts, findings and the alternatives that were considered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from telemetry.contract import DIMENSIONS, Signal


@dataclass(frozen=True)
class Cohort:
    """A set of playback attempts named by dimension values; no values is everyone.

    Parameters
    ----------
    values
        Pairs of dimension and value, kept in the order of `telemetry.contract.DIMENSIONS`.

    Raises
    ------
    ValueError
        If a dimension is unknown or named twice.
    """

    values: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = [name for name, _ in self.values]
        unknown = set(names) - set(DIMENSIONS)
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"A cohort names each known dimension at most once, not {names}.")
        object.__setattr__(self, "values", tuple(sorted(self.values, key=lambda v: DIMENSIONS.index(v[0]))))

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Cohort:
        """Build a cohort from a mapping of dimension to value."""
        return cls(tuple(values.items()))

    @classmethod
    def from_json(cls, text: str) -> Cohort:
        """Read back what `json` wrote."""
        return cls.of(json.loads(text))

    @property
    def json(self) -> str:
        """The cohort as the contract's JSON object, keys in dimension order."""
        return json.dumps(dict(self.values), ensure_ascii=False)

    def __str__(self) -> str:
        return " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.values) or "everyone"


@dataclass(frozen=True)
class Alternative:
    """Another cohort that could carry the fault, with the share of the excess that it would explain (0 to 1)."""

    cohort: Cohort
    surprise: float
    share: float


@dataclass(frozen=True)
class CohortFinding:
    """One cohort is worse than expected, and says why it thinks so.

    Parameters
    ----------
    signal, cohort
        What is wrong, and the smallest cohort that explains it.
    onset_time
        Estimated beginning of the trouble.
    observed, expected
        Subscribers with an impaired session since the onset, and how many would be normal.
    sessions
        Playback attempts in the cohort since the onset.
    surprise
        Log likelihood ratio against "as usual", in nats, less the price of looking in many places.
    alternatives
        Other cohorts considered, best first.
    """

    signal: Signal
    cohort: Cohort
    onset_time: datetime
    observed: float
    expected: float
    sessions: int
    surprise: float
    error_classes: Mapping[str, int] = field(default_factory=dict)
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class SubscriberFinding:
    """One subscriber's run of sessions is surprising for them, whatever incidents are open.

    Parameters
    ----------
    subscriber_id, signal
        Who, and what is wrong.
    since
        Time of the first impaired session of the run.
    last_bad_time
        Time of the latest one.
    impaired, sessions, expected
        Impaired sessions, all sessions of the run, and how many impaired ones would be normal for this person.
    surprise
        Log likelihood ratio in nats.
    error_class
        The commonest error class among the impaired sessions, if there is one.
    """

    subscriber_id: str
    signal: Signal
    since: datetime
    last_bad_time: datetime
    impaired: int
    sessions: int
    expected: float
    surprise: float
    error_class: str | None = None
    device_types: tuple[str, ...] = ()
