"""Log likelihood ratios of counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def excess_llr(observed: Array, expected: Array, dispersion: float | Array = 1.0) -> Array:
    """Return the log likelihood ratio of "worse than expected" against "as expected", in nats.

    For counts with mean mu and variance ``dispersion * mu`` (quasi-Poisson),

        (observed * log(observed / expected) - (observed - expected)) / dispersion

    where observed > expected, and 0 elsewhere: better is not an anomaly. This is the expectation-based scan
    statistic of Neill (2009).

    Parameters
    ----------
    observed, expected
        Counts, any shape; an expectation of 0 is lifted to a tiny one.
    dispersion
        Variance over mean, at least 1.
    """
    due = np.maximum(expected, 1e-9)
    seen = np.maximum(observed, due)
    return np.asarray(np.maximum(seen * np.log(seen / due) - (seen - due), 0) / dispersion, dtype=float)
