"""Array types and the few array operations that the generator is built on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True)
class Columns:
    """Base of dataclasses whose every field is an array with one entry for each of the same things."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def take(self, chosen: Ints | Bools) -> Self:
        """Return some of the entries, by index or by flag."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Put parts behind one another; at least one part is needed."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def epoch_ms(moment: datetime) -> int:
    """Return an aware datetime as milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def chances(weights: Iterable[float]) -> Floats:
    """Return weights as probabilities that sum to one."""
    array = np.fromiter(weights, float)
    shares: Floats = array / array.sum()
    return shares


def zeros(count: int) -> Ints:
    """Return as many zeros."""
    return np.zeros(count, dtype=np.int64)


def filled(count: int, value: int) -> Ints:
    """Return `value` as many times."""
    return np.full(count, value, dtype=np.int64)


def within(counts: Ints) -> Ints:
    """Number the members of groups of the given sizes from 0, group after group."""
    return np.arange(counts.sum(), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)


def running(values: Ints, group: Ints) -> Ints:
    """Return the running sum of `values` inside each group; members of a group stand together."""
    total = np.cumsum(values)
    opening = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(np.append(opening, len(group)))
    sums: Ints = total - np.repeat(total[opening] - values[opening], sizes)
    return sums


def overlap(start: Ints, end: Ints, low: int, high: int) -> Floats:
    """Return the share of each interval that lies in ``[low, high)``; an empty one counts as a moment."""
    shared = np.minimum(end, high) - np.maximum(start, low)
    share: Floats = np.clip(shared / np.maximum(end - start, 1), 0.0, 1.0)
    return share
