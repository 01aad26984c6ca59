"""Evidence and observations, made by hand or by chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from detectors.evaluation import Fault, Stream
from detectors.evidence import Evidence
from detectors.observations import MISSING, SIGNALS, Observations

NOON = 5_900_000
"""A slot in 2026."""


@pytest.fixture
def evidence() -> Callable[..., Evidence]:
    """Makes evidence from rows of unit, slot after noon, observed and expected; each is one exposure."""

    def make(*rows: tuple[int, int, float, float], exposures: float = 1.0) -> Evidence:
        unit, slot, observed, expected = np.array(rows, float).reshape(-1, 4).T
        return Evidence(
            unit.astype(np.int64), NOON + slot.astype(np.int64), observed, expected, np.full(len(rows), exposures)
        )

    return make


@pytest.fixture
def drawn() -> Callable[..., Evidence]:
    """Draws single exposures of some units over some slots up to noon."""

    def draw(seed: int, rows: int = 400, units: int = 12, slots: int = 40, worse: Sequence[int] = ()) -> Evidence:
        rng = np.random.default_rng(seed)
        unit = rng.integers(0, units, rows)
        share = np.where(np.isin(unit, worse), 0.8, 0.05)
        observed = (rng.random(rows) < share).astype(float)
        slot = NOON - rng.integers(0, slots, rows)
        return Evidence(unit, slot, observed, rng.uniform(0.02, 0.08, rows), np.ones(rows))

    return draw


@pytest.fixture(scope="session")
def stream() -> tuple[Stream, list[Fault]]:
    """Two dozen units over a day and a half; on the second day five have a fault each, two of them faint and long."""
    rng = np.random.default_rng(11)
    units, slots = 24, 470
    rate = rng.uniform(0.02, 0.06, units)
    lengths = (6, 12, 24, 60, 60)
    faults = [Fault(5 * i, NOON + 300 + 25 * i, NOON + 300 + 25 * i + n) for i, n in enumerate(lengths)]
    factor = np.ones((slots, units))
    for fault, strength in zip(faults, (8, 6, 5, 3, 3), strict=True):
        factor[fault.first_slot - NOON : fault.end_slot - NOON, fault.unit] = strength
    tried = rng.poisson(30, (slots, units))
    seen = rng.poisson(tried * rate * factor)
    unit = np.arange(units)
    arrivals = [
        Evidence(unit, np.full(units, NOON + i), seen[i].astype(float), tried[i] * rate, tried[i].astype(float))
        for i in range(slots)
    ]
    return Stream(units, NOON, arrivals), faults


@pytest.fixture(scope="session")
def make_observed() -> Callable[..., Observations]:
    """Makes observations from keyword columns; what is not given is a good, exposed slice of somebody."""

    def make(n: int, **columns: Any) -> Observations:
        none = Observations.empty()
        zeros = {
            f.name: np.zeros((n, *getattr(none, f.name).shape[1:]), getattr(none, f.name).dtype) for f in fields(none)
        }
        usual = {
            "session": np.arange(n, dtype=np.int32),
            "subscriber": np.arange(n, dtype=np.int32),
            "slot": np.full(n, NOON),
            "exposed": np.ones((n, len(SIGNALS)), bool),
            "playing_ms": np.full(n, 300_000),
            "stalling_factor": np.ones(n),
            "error_class": np.full(n, MISSING, np.int32),
        }
        return Observations(**zeros | usual | columns)

    return make
