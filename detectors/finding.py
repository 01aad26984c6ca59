"""Cohorts, and the alternatives that were considered when one was named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from telemetry.contract import DIMENSIONS

NAMES = {"isp": "internet provider", "cdn": "CDN"}
"""Dimensions whose name in a sentence is not their own."""
CODED = ("device_type", "content_type", "connection_type")
"""Dimensions whose values are our own codes: their underscores are read as blanks."""


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
        return " and ".join(spoken(name, value) for name, value in self.values) or "everyone"


def spoken(name: str, value: str) -> str:
    """Name a dimension and its value in a sentence, e.g. ``internet provider Northnet``."""
    shown = value.replace("_", " ") if name in CODED else value
    return f"{NAMES.get(name, name.replace('_', ' '))} {shown}"


@dataclass(frozen=True)
class Alternative:
    """Another cohort that could carry the fault, with the share of the excess that it would explain (0 to 1)."""

    cohort: Cohort
    surprise: float
    share: float
