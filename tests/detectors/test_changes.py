"""What changes honestly is no fault: holidays, new networks, devices and versions; and what is faulty there is found.

The policy of a cold start: a value never seen has the factor 1, so it is expected to be as good as its other dimensions
say. A day later it speaks for itself, by as much as ten impairments due weigh.
"""

from __future__ import annotations

import numpy as np
import pytest

from detectors.cohort_scan import CohortScan
from detectors.evidence import Evidence
from detectors.observations import SIGNALS, Observations
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel

DAY = 24
LIVE = 28 * DAY
"""The first hour after four weeks of history."""
RATE, PEOPLE = 0.01, 400
NEW = 7
"""A code that history does not hold."""
QUIET, LOUD = 6.0, 20.0
"""Nats below which nothing is looked into at any price, and above which everything is."""


def history(rng: np.random.Generator) -> HourlyCounts:
    """Three networks, devices and versions, one delivery network of two three times as bad as the other."""
    hours = np.repeat(np.arange(LIVE), 6)
    codes = rng.integers(0, 3, (len(hours), len(MODEL_DIMENSIONS))).astype(np.int32)
    codes[:, place("cdn")] = rng.integers(0, 2, len(hours))
    many = np.full((len(hours), len(SIGNALS)), float(PEOPLE))
    rate = RATE * np.where(codes[:, place("cdn")] == 1, 3.0, 1.0)[:, None]
    fresh = rng.poisson(many * rate).astype(float)
    return HourlyCounts(codes, hours, many, many, fresh, fresh)


def place(name: str) -> int:
    return MODEL_DIMENSIONS.index(name)


@pytest.fixture(scope="module")
def model() -> RateModel:
    return RateModel().fit(history(np.random.default_rng(7)))


def surprise(model: RateModel, people: np.ndarray, times: float = 1.0, **values: int) -> float:
    """How surprising a day gets in which people are struck `times` as often as their delivery network says."""
    rng, scan = np.random.default_rng(8), CohortScan(float(model.dispersion_[0]))
    codes = np.zeros((DAY, len(MODEL_DIMENSIONS)), np.int32)
    for name, code in values.items():
        codes[:, place(name)] = code
    due = people * model.rates(codes, LIVE + np.arange(DAY))[:, 0]
    seen = rng.poisson(people * RATE * (3.0 if values.get("cdn") else 1.0) * times)
    worst = 0.0
    for hour in range(DAY):
        slot = np.array([(LIVE + hour) * 12])
        news = Evidence(np.zeros(1, np.int64), slot, seen[[hour]].astype(float), due[[hour]], people[[hour]])
        scan.learn(news, 1, int(slot[0]))
        worst = max(worst, float(scan.current(1)[0]))
    return worst


USUAL = np.full(DAY, float(PEOPLE))


def test_a_holiday_brings_more_people_and_as_many_more_are_due(model: RateModel) -> None:
    everybody_at_home = USUAL * np.where(np.arange(DAY) < 9, 1.0, 3.0)
    assert surprise(model, everybody_at_home) < QUIET
    assert surprise(model, everybody_at_home, times=3) > LOUD


@pytest.mark.parametrize("name", ["isp", "device_type", "app_version"])
@pytest.mark.parametrize("cdn", [0, 1])
def test_what_is_new_is_expected_to_be_as_its_other_dimensions_are(model: RateModel, name: str, cdn: int) -> None:
    assert surprise(model, USUAL, cdn=cdn, **{name: NEW}) < QUIET
    assert surprise(model, USUAL, times=3, cdn=cdn, **{name: NEW}) > LOUD


@pytest.mark.parametrize("name", ["isp", "device_type", "app_version"])
def test_what_is_new_and_honestly_worse_is_learnt_in_a_day(name: str) -> None:
    """Twice as bad: (observed + 10) / (due + 10) of 96 due in a day is 1.9, and the second day is no surprise."""
    counts, codes = history(np.random.default_rng(7)), np.zeros((DAY, len(MODEL_DIMENSIONS)), np.int32)
    codes[:, place(name)] = NEW
    many = np.full((DAY, len(SIGNALS)), float(PEOPLE))
    fresh = np.random.default_rng(9).poisson(many * RATE * 2).astype(float)
    parts = (codes, LIVE - DAY + np.arange(DAY), many, many, fresh, fresh)
    joined = (np.concatenate([old, new]) for old, new in zip(vars(counts).values(), parts, strict=True))
    model = RateModel().fit(HourlyCounts(*joined))
    assert surprise(model, USUAL, times=2, **{name: NEW}) < QUIET


def test_a_new_value_without_people_is_nothing(model: RateModel) -> None:
    assert surprise(model, np.zeros(DAY), isp=NEW) == 0
    assert len(model.expected(Observations.empty())) == 0
