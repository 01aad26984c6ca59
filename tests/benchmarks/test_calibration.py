"""P-values of honest expectations are uniform, those of others are not, and the benchmark gathers them rightly."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.calibration import main
from benchmarks.cohort_cells import Spread, model_cells
from benchmarks.pit import Cells, count_cdf, ks_distance, pit, upper_tail
from detectors.observations import MISSING, SIGNALS, Observations, Vocabularies, slot_of
from detectors.rates import RateModel
from incidents.state import WatchState
from telemetry.time import Window


def cells(observed, mean, dispersion) -> Cells:
    count = len(observed)
    return Cells(
        np.asarray(observed, float), np.full(count, mean), np.full(count, float(dispersion)), np.zeros(count, np.int64)
    )


@given(st.integers(-1, 60), st.floats(0.05, 30), st.sampled_from([1.0, 1.3, 4.0]))
def test_the_distribution_is_the_known_one(count, mean, dispersion):
    found = count_cdf(np.array([float(count)]), np.array([mean]), np.array([dispersion]))[0]
    known = (stats.poisson(mean) if dispersion == 1 else stats.nbinom(mean / (dispersion - 1), 1 / dispersion)).cdf(
        count
    )
    assert found == pytest.approx(known, abs=1e-9)


@pytest.mark.parametrize("mean", [0.3, 2.0, 40.0])
def test_what_comes_from_the_model_is_uniform_and_what_does_not_is_not(mean):
    rng = np.random.default_rng(3)
    right = rng.negative_binomial(mean / 0.5, 1 / 1.5, 20_000)
    values = pit(cells(right, mean, 1.5), rng)
    assert ks_distance(values) < 0.015
    assert upper_tail(values, 0.01) == pytest.approx(0.01, abs=0.004)
    assert ks_distance(pit(cells(right, 1.5 * mean, 1.5), rng)) > 0.05
    assert upper_tail(pit(cells(right, mean, 1.0), rng), 0.01) > 0.012


def test_nothing_seen_has_no_distance():
    assert np.isnan(ks_distance(np.zeros(0)))
    assert len(Cells.concat([])) == 0


def test_cells_count_each_slice_in_all_of_its_cohorts(busy_evening):
    state, window = busy_evening
    spread = Spread.of(state, window, 1.0)
    found = model_cells(state, spread)
    everyone = spread.sums(state.rows.at_risk[:, 0].astype(float))[:, 0]
    assert everyone.tolist() == [300.0, 300.0]
    assert found.expected.min() >= 1
    assert found.observed.max() == state.rows.fresh[:300].sum(axis=0).max()
    drawn = model_cells(state, spread, np.random.default_rng(1))
    assert drawn.expected.tolist() == found.expected.tolist()
    assert set(drawn.dispersion) == {1.0}


@pytest.fixture
def busy_evening():
    """Two hours of 300 people each, one in ten impaired by everything, all in one cohort."""
    start = datetime(2026, 3, 9, 18, tzinfo=UTC)
    none, count = Observations.empty(), 600
    plain = {
        f.name: np.zeros((count, *getattr(none, f.name).shape[1:]), getattr(none, f.name).dtype) for f in fields(none)
    }
    bad = np.repeat(np.arange(count) % 10 == 0, len(SIGNALS)).reshape(count, -1)
    rows = Observations(
        **plain
        | {
            "session": np.arange(count, dtype=np.int32),
            "subscriber": np.arange(count, dtype=np.int32),
            "slot": slot_of(start) + np.repeat([3, 17], 300),
            "exposed": np.ones_like(bad),
            "bad": bad,
            "error_class": np.full(count, MISSING, np.int32),
        }
    )
    model = RateModel()
    model.base_, model.repeats_ = np.full(4, 0.1), np.ones(4)
    model.factors_ = [np.ones((1, 4))] * 9
    model.dispersion_ = np.full(4, 1.2)
    state = WatchState.of(Vocabularies(), model, 144, timedelta(0))
    state.take_in(rows, (), start - timedelta(hours=1), start + timedelta(hours=2))
    return state, Window(start, start + timedelta(hours=2))


def test_the_benchmark_says_how_far_from_uniform_it_is(capsys):
    assert main(["--days", "1", "--seeds", "4", "--subscribers", "250", "--step", "2h"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["false_incidents_per_week"] >= 0
    assert facts["cells"] > 30
    assert 0 < facts["ks_distance_if_right"] < facts["ks_distance_plain_poisson"] < 1
    assert 0 < facts["ks_distance"] < 1
    assert facts["weeks"] == pytest.approx(1 / 7, abs=1e-3)
