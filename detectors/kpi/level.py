"""Where a series stands just now: medians of its last points, with and without its season."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rank_filter

Array = NDArray[np.float64]

PLACES_TO_POINTS = 10
"""Where places are fewer than a tenth of the points, one by one is quicker."""


def medians_before(line: Array, places: NDArray[np.int64], width: int) -> Array:
    """Return the median of the `width` (odd) values just before each place of a line; each place is at least `width`.

    Many places are taken by a running median, O(log width) a point; few one by one.
    """
    if len(places) * PLACES_TO_POINTS < len(line):
        windows = line[places[:, None] + np.arange(-width, 0)]
        return np.asarray(np.partition(windows, width // 2, axis=1)[:, width // 2], dtype=float)
    ranked = rank_filter(line, width // 2, size=width)
    return np.asarray(ranked[places - width + width // 2], dtype=float)


def middle_of_four(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return the mean of the middle two of four, elementwise: their median."""
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray((low + high) / 2, dtype=float)
