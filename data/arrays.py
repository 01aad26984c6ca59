"""Array types and the few array operations that the generator is built on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def epoch_ms(moment: datetime) -> int:
    """Return an aware datetime as milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def chances(weights: Iterable[float]) -> Floats:
    """Return weights as probabilities that sum to one."""
    array = np.fromiter(weights, float)
    shares: Floats = array / array.sum()
    return shares


def within(owners: Ints, counts: Ints) -> Ints:
    """Number the repeats of each owner from 0, owner after owner; `owners` is already repeated by `counts`."""
    offsets = np.repeat(np.cumsum(counts) - counts, counts)
    return np.arange(len(owners), dtype=np.int64) - offsets


def spans(starts: Ints, counts: Ints) -> Ints:
    """Flatten the ranges ``[start, start + count)`` into one array of indexes."""
    return np.repeat(starts, counts) + within(np.repeat(starts, counts), counts)


def overlap(start: Ints, end: Ints, low: int, high: int) -> Floats:
    """Return the share of each interval that lies in ``[low, high)``; an empty one counts as a moment."""
    shared = np.minimum(end, high) - np.maximum(start, low)
    share: Floats = np.clip(shared / np.maximum(end - start, 1), 0.0, 1.0)
    return share
