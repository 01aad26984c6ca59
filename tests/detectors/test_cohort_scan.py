"""What a scan keeps added up is what its ring holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.cohort_scan import HORIZONS, SLOTS_PER_BUCKET, CohortScan
from detectors.evidence import Evidence

NOON = 5_900_000
LEAPS = st.sampled_from([0, 1, 2, 3, 40, max(HORIZONS) * SLOTS_PER_BUCKET])
"""Slots from one window to the next: the same bucket, the next one, and so many that all are cleared."""


def some(seed: int, slot: int, units: int) -> Evidence:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(0, 12))
    slots = slot - rng.integers(0, 300, n)
    return Evidence(rng.integers(0, units, n), slots, rng.integers(-1, 3, n) + 0.0, rng.random(n), np.ones(n))


@given(st.lists(st.tuples(st.integers(0, 1 << 20), LEAPS, st.integers(1, 9)), min_size=1, max_size=8))
def test_what_is_kept_is_what_would_be_worked_out_afresh(steps: list[tuple[int, int, int]]) -> None:
    """However the ring has turned, grown and been asked in between."""
    scan, slot, units = CohortScan(), NOON, 1
    for seed, leap, more in steps:
        slot, units = slot + leap, units + more
        scan.learn(some(seed, slot, units), units, slot)
        np.testing.assert_array_equal(scan.struck(units), scan._observed[:units].sum(axis=1))
        np.testing.assert_array_equal(scan.expected_total(units), scan._expected[:units].sum(axis=1))
        rows = np.flatnonzero(np.arange(units) % 3 != seed % 3)
        np.testing.assert_array_equal(scan.surprise(rows), scan._work_out(rows, 1))
