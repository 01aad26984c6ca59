"""How much two cohorts have in common, measured on the sessions that really ran."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from telemetry.contract import DIMENSIONS

Cohort = Mapping[str, object]
Mask = NDArray[np.bool_]
NOBODY: Cohort = {"": ""}
"""What a cohort that cannot be read is taken for: it names no dimension there is, so it has no members."""
UNSEEN = -9
"""The code of a value that no session has; a session without a value has -1."""
TINY = 1e-9
"""Keeps a division by no weight at all at nothing."""


def parse_cohort(text: object) -> Cohort:
    """Return a cohort from its JSON text; `NOBODY` if it is none."""
    try:
        found = json.loads(text) if isinstance(text, str) else dict(text or {})  # type: ignore[call-overload]
    except (ValueError, TypeError):
        return NOBODY
    return found if isinstance(found, dict) else NOBODY


@dataclass(frozen=True)
class Overlap:
    """What a reported cohort has in common with a true one.

    Attributes
    ----------
    jaccard
        Weight of what is in both over the weight of what is in either (0 to 1).
    impaired_held
        Share of the true incident's impaired sessions that the reported cohort holds (0 to 1).
    inside
        Share of the reported cohort's weight that is in the true one (0 to 1).
    """

    jaccard: float
    impaired_held: float
    inside: float


@dataclass(frozen=True)
class Stretch:
    """The sessions that ran in a stretch of time: their places, and what each weighs."""

    places: NDArray[np.int64]
    weight: NDArray[np.float64]


class Sessions:
    """The true sessions as arrays.

    Parameters
    ----------
    frame
        ``truth/sessions.parquet``; dimensions that it lacks have no members.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._codes: dict[str, NDArray[np.int64]] = {}
        self._known: dict[str, dict[Hashable, int]] = {}
        for name in DIMENSIONS:
            if name in frame:
                codes, values = pd.factorize(frame[name])
                self._codes[name] = codes
                self._known[name] = {value: code for code, value in enumerate(values)}
        self._subscriber = pd.factorize(frame["subscriber_id"])[0]
        self._start = frame["session_start"].to_numpy("datetime64[us]")
        self._end = frame["session_end"].to_numpy("datetime64[us]")
        self._truth_id = frame["truth_id"].to_numpy(object)
        self._impaired = frame["impaired"].to_numpy(bool)

    def running(self, start: datetime, end: datetime) -> Stretch:
        """Return the sessions that ran at some time between two moments.

        All of a subscriber's sessions there weigh one together, so that retries do not count for more.
        """
        places = np.flatnonzero((self._start < np.datetime64(end)) & (self._end > np.datetime64(start)))
        who = self._subscriber[places]
        return Stretch(places, 1 / np.bincount(who)[who] if len(places) else np.zeros(0))

    def members(self, cohort: Cohort, places: NDArray[np.int64]) -> Mask:
        """Return which of some sessions belong to a cohort; a list of values means any of them."""
        inside = np.ones(len(places), bool)
        for name, wanted in cohort.items():
            if name not in self._codes:
                return np.zeros(len(places), bool)
            values = wanted if isinstance(wanted, list) else [wanted]
            inside &= np.isin(self._codes[name][places], [self._code(name, value) for value in values])
        return inside

    def impaired_by(self, truth_id: str, places: NDArray[np.int64]) -> Mask:
        """Return which of some sessions one fault impaired."""
        return np.asarray((self._truth_id[places] == truth_id) & self._impaired[places], bool)

    def _code(self, name: str, value: Any) -> int:
        return self._known[name].get(value, UNSEEN) if isinstance(value, Hashable) else UNSEEN
