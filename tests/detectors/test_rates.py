"""What is normal: planted factors are found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.cohort_scan import CohortScan
from detectors.evidence import Evidence
from detectors.observations import SIGNALS
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel

CDN, COUNTRY, ISP = (MODEL_DIMENSIONS.index(name) for name in ("cdn", "country", "isp"))
CDN_FACTOR = np.array([1.0, 1.0, 4.0])
BASE = 0.02


@pytest.fixture(scope="module")
def counts() -> HourlyCounts:
    """Four weeks in which one delivery network is four times worse, and evenings (18 to 22 h) in country 1 twice."""
    rng = np.random.default_rng(2)
    hours = np.repeat(np.arange(28 * 24), 12)
    codes = np.zeros((len(hours), len(MODEL_DIMENSIONS)), np.int32)
    codes[:, COUNTRY], codes[:, CDN] = rng.integers(0, 2, len(hours)), rng.integers(0, 3, len(hours))
    codes[:, ISP] = rng.integers(0, 4, len(hours))
    exposed = np.full((len(hours), len(SIGNALS)), 60.0)
    evening = (codes[:, COUNTRY] == 1) & (hours % 24 >= 18) & (hours % 24 < 22)
    rate = BASE * CDN_FACTOR[codes[:, CDN]] * np.where(evening, 2.0, 1.0)
    fresh = rng.poisson(exposed * rate[:, None]).astype(float)
    return HourlyCounts(codes, hours, exposed, exposed, fresh, 2 * fresh)


def at(model: RateModel, hour: int = 3, **values: int) -> np.ndarray:
    codes = np.zeros((1, len(MODEL_DIMENSIONS)), np.int32)
    for name, code in values.items():
        codes[0, MODEL_DIMENSIONS.index(name)] = code
    return model.rates(codes, np.array([hour]))[0]


def test_a_delivery_network_is_as_bad_as_it_was_planted(counts: HourlyCounts) -> None:
    model = RateModel().fit(counts)
    np.testing.assert_allclose(at(model, cdn=2) / at(model, cdn=0), 4.0, rtol=0.1)
    np.testing.assert_allclose(at(model, cdn=0), BASE, rtol=0.15)


def test_evenings_are_a_countrys_own(counts: HourlyCounts) -> None:
    model = RateModel().fit(counts)
    np.testing.assert_allclose(at(model, 20, country=1) / at(model, 3, country=1), 2.0, rtol=0.2)
    np.testing.assert_allclose(at(model, 20, country=0) / at(model, 3, country=0), 1.0, rtol=0.2)


def test_what_makes_no_difference_has_a_factor_of_one(counts: HourlyCounts) -> None:
    model = RateModel().fit(counts)
    np.testing.assert_allclose([at(model, isp=i) / at(model, isp=0) for i in range(4)], 1.0, rtol=0.15)


def test_expected_counts_add_up_to_those_seen(counts: HourlyCounts) -> None:
    model = RateModel().fit(counts)
    due = (counts.at_risk * model.rates(counts.codes, counts.hour)).sum(axis=0)
    np.testing.assert_allclose(due, counts.fresh.sum(axis=0), rtol=0.02)


@pytest.mark.parametrize("code", [77, -1])
def test_a_value_never_seen_and_a_missing_one_change_nothing(counts: HourlyCounts, code: int) -> None:
    model = RateModel().fit(counts)
    factor = at(model, isp=code) / at(model, isp=0)
    np.testing.assert_allclose(factor, 1.0, rtol=0.1)
    np.testing.assert_allclose(at(model, isp=77), at(model, isp=-1))


def test_dropped_hours_teach_nothing(counts: HourlyCounts) -> None:
    struck = (counts.codes[:, CDN] == 1) & (counts.hour >= 600)
    spoilt = replace(counts, fresh=np.where(struck[:, None], 60.0, counts.fresh))
    clean, taught = RateModel().fit(counts.drop(struck)), RateModel().fit(spoilt.drop(struck))
    np.testing.assert_array_equal(at(taught, cdn=1), at(clean, cdn=1))
    assert (at(RateModel().fit(spoilt), cdn=1) > 2 * at(clean, cdn=1)).all()


def test_repeats_say_how_many_more_impairments_there_are_than_fresh_ones(counts: HourlyCounts) -> None:
    np.testing.assert_allclose(RateModel().fit(counts).repeats_, 2.0, rtol=0.01)


def test_counts_by_chance_have_no_overdispersion_and_lumpy_ones_have(counts: HourlyCounts) -> None:
    assert (RateModel().fit(counts).dispersion_ < 1.3).all()
    rng = np.random.default_rng(5)
    lumps = rng.gamma(0.5, 2.0, counts.hour.max() // 4 + 1)[counts.hour // 4]
    lumpy = replace(counts, fresh=rng.poisson(counts.fresh.mean() * np.tile(lumps[:, None], 4)).astype(float))
    assert (RateModel().fit(lumpy).dispersion_ > 2).all()


def test_without_history_everything_is_rare(counts: HourlyCounts, make_observed) -> None:
    model = RateModel().fit(counts.drop(np.ones(len(counts.hour), bool)))
    assert ((at(model) > 0) & (at(model) <= 0.001)).all()
    assert (model.dispersion_ == 1).all()
    assert np.isfinite(model.usual(make_observed(3))).all()


def test_only_people_at_risk_are_expected_to_be_struck(counts: HourlyCounts, make_observed) -> None:
    rows = make_observed(2, at_risk=np.array([[True] * 4, [False] * 4]))
    expected = RateModel().fit(counts).expected(rows)
    assert (expected[0] > 0).all()
    assert (expected[1] == 0).all()


def test_a_clock_change_is_no_surprise_where_evenings_are_three_times_nights() -> None:
    """Hours are of UTC: once the clocks change each is an hour off, which the slack of the scan covers."""
    hours, rng = np.arange(28 * 24), np.random.default_rng(5)
    codes, many = np.zeros((len(hours), len(MODEL_DIMENSIONS)), np.int32), np.full((len(hours), len(SIGNALS)), 20_000.0)

    def rate(moment: np.ndarray) -> np.ndarray:
        return BASE * (1 + 0.5 * np.cos(2 * np.pi * (moment - 21) / 24))[:, None]

    fresh = rng.poisson(many * rate(hours)).astype(float)
    model = RateModel().fit(HourlyCounts(codes, hours, many, many, fresh, fresh))
    for moved in (-1, 1):
        scan, observed = CohortScan(model.dispersion_[0]), many[:24, 0] * rate(hours[:24] + moved)[:, 0]
        expected = many[:24, 0] * model.rates(codes[:24], hours[-1] + 1 + hours[:24])[:, 0]
        worst = 0.0
        for hour in range(24):
            slot = np.array([hour * 12])
            news = Evidence(np.zeros(1, np.int64), slot, observed[[hour]], expected[[hour]], many[[hour], 0])
            scan.learn(news, 1, hour * 12)
            worst = max(worst, float(scan.current(1)[0]))
        assert np.abs(observed / expected - 1).max() > 0.1  # the clock did move
        assert worst < 1
