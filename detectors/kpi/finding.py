"""Odd points, told in words: what was observed, what was expected, and how surprising that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from detectors.kpi.detector import Judged

Array = NDArray[np.float64]

MOST_SAID_NATS = 30.0
"""Beyond this, "less than once in 10 million million points" says enough."""


@dataclass(frozen=True)
class KpiFinding:
    """One odd point of one series.

    Parameters
    ----------
    series
        Its name.
    time
        When, aware.
    observed, expected
        In the unit of the series.
    surprise
        ``-log`` of how often the series strays as far by itself, in nats.
    """

    series: str
    time: datetime
    observed: float
    expected: float
    surprise: float

    @property
    def falls(self) -> bool:
        """Whether less was observed than expected."""
        return self.observed < self.expected

    def __str__(self) -> str:
        side = "below" if self.falls else "above"
        once = 10 ** math.floor(min(self.surprise, MOST_SAID_NATS) / math.log(10))
        return (
            f"{self.series} at {self.time:%Y-%m-%d %H:%M} UTC: {self.observed:,.6g} observed, "
            f"{side} the {self.expected:,.6g} expected; by itself it strays as far less than once in {once:,} points."
        )


def findings(names: Sequence[str], times_s: Array, values: Array, judged: Judged, threshold: float) -> list[KpiFinding]:
    """Return the points of a block whose surprise is above a threshold, in order of time.

    Parameters
    ----------
    names
        One for each series.
    times_s, values, judged
        What went into `KpiDetector.update`, and what came out.
    threshold
        In nats.
    """
    points, rows = np.nonzero((judged.surprise > threshold).T)
    return [
        KpiFinding(
            names[row],
            datetime.fromtimestamp(float(times_s[point]), UTC),
            float(values[row, point]),
            float(judged.expected[row, point]),
            float(judged.surprise[row, point]),
        )
        for point, row in zip(points.tolist(), rows.tolist(), strict=True)
    ]
