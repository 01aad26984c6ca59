"""The benchmark of speed feeds detection with what it says it does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.detection_speed import Walk, main, market_of
from benchmarks.synthetic import SHARES, Market
from detectors.cohorts import CohortIndex
from telemetry.contract import DIMENSIONS


def test_a_market_has_as_many_cohorts_as_are_asked_for():
    market, index = market_of(2_000, np.random.default_rng(1)), CohortIndex()
    index.units(market.leaves)
    assert 2_000 <= len(index) < 4_000
    country, region = (market.leaves[:, DIMENSIONS.index(name)] for name in ("country", "region"))
    assert all(len(set(country[region == it])) == 1 for it in set(region))
    with pytest.raises(SystemExit):
        market_of(10**9, np.random.default_rng(1))


def test_slices_are_impaired_as_often_as_they_should_be():
    rng = np.random.default_rng(2)
    rows = Market.draw(50, rng).sessions(20_000, 5_900_000, rng)
    assert len(rows) == 30_000
    assert len(set(rows.session)) == 30_000
    assert rows.bad.mean(axis=0) == pytest.approx(SHARES, rel=0.3)


def test_a_window_reaches_every_cohort():
    rng = np.random.default_rng(3)
    walk = Walk.start(market_of(500, rng), 50, rng)
    seconds, cpu = walk.median_step()
    assert seconds > 0
    assert cpu > 0
    cohorts = len(walk.state.recent.index)
    assert cohorts >= 500
    assert (walk.state.scans[0].expected_total(cohorts) > 0).all()


def test_the_last_line_has_the_figures(capsys):
    assert main(["--cohorts", "500", "--subscribers", "2000", "--days", "1"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"cohorts_s", "subscribers_s", "peak_mb", "cohorts_growth", "cohorts_over_read"} <= set(facts)
    assert facts["cohorts"] >= 500
    assert (facts["subscribers"], facts["sessions"]) == (2_000, 3_000)
