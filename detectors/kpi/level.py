"""Where a series stands just now: medians of its last points, with and without its season."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import rank_filter

Array = NDArray[np.float64]


def medians_before(line: Array, places: NDArray[np.int64], width: int) -> Array:
    """Return the median of the `width` (odd) values just before each place of a line; each place is at least `width`.

    The running median takes O(log width) a point.
    """
    ranked = rank_filter(line, width // 2, size=width)
    return np.asarray(ranked[places - width + width // 2], dtype=float)


def middle_of_four(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return the mean of the middle two of four, elementwise: their median."""
    low = np.minimum(np.minimum(a, b), np.minimum(c, d))
    high = np.maximum(np.maximum(a, b), np.maximum(c, d))
    return np.asarray((a + b + c + d - low - high) / 2, dtype=float)
