"""The detector of plain series: block by block, whatever their unit, whatever is missing."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.kpi.detector import KpiDetector
from detectors.kpi.finding import findings
from detectors.kpi.level import medians_before, middle_of_four
from detectors.kpi.season import DAILY, NONE, WEEKLY, fill_round, median_of_days
from detectors.kpi.tail import TAIL_SHARE, Tails

STEP_S = 600.0
DAY = 144


def clock(days: int) -> np.ndarray:
    return np.arange(days * DAY) * STEP_S


def noise(days: int, series: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((series, days * DAY))


def daily(days: int, seed: int = 0, height: float = 30.0) -> np.ndarray:
    return 100 + height * np.sin(clock(days) * 2 * np.pi / 86_400) + noise(days, seed=seed)


def judge(values: np.ndarray, step_s: float = STEP_S):
    return KpiDetector(len(values), step_s).update(np.arange(values.shape[1]) * step_s, values)


@given(cuts=st.lists(st.integers(1, 4 * DAY - 1), max_size=6, unique=True), missing=st.integers(0, 400))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_length_give_the_answers_of_one(cuts, missing):
    values = np.concatenate([daily(4), noise(4, seed=1), daily(4, seed=2, height=5.0)])
    values[1, 100 : 100 + missing] = np.nan
    whole = judge(values)
    detector = KpiDetector(3, STEP_S)
    edges = [0, *sorted(cuts), 4 * DAY]
    parts = [detector.update(clock(4)[a:b], values[:, a:b]) for a, b in pairwise(edges)]
    np.testing.assert_allclose(
        np.concatenate([p.surprise for p in parts], axis=1), whole.surprise, rtol=1e-7, atol=1e-7
    )
    np.testing.assert_allclose(np.concatenate([p.expected for p in parts], axis=1), whole.expected, rtol=1e-9)


@given(shift=st.floats(-1e4, 1e4), scale=st.floats(1e-3, 1e3), turned=st.booleans())
@settings(max_examples=20, deadline=None)
def test_unit_and_zero_and_direction_do_not_matter(shift, scale, turned):
    values = daily(4)
    sign = -1 if turned else 1
    np.testing.assert_allclose(
        judge(sign * scale * values + shift).surprise, judge(values).surprise, rtol=1e-3, atol=1e-3
    )


def test_series_do_not_know_of_each_other():
    values = np.concatenate([daily(4), noise(4, seed=1), np.full((1, 4 * DAY), 5.0)])
    together = judge(values).surprise
    for row in range(3):
        np.testing.assert_allclose(judge(values[[row]]).surprise[0], together[row], rtol=1e-7, atol=1e-9)


def test_days_on_which_only_others_have_points_change_nothing():
    values = np.concatenate([daily(12), noise(12, seed=1)])
    values[0, : 2 * DAY + 50] = values[0, 6 * DAY : 8 * DAY + 30] = np.nan
    together = judge(values).surprise[0]
    own = ~np.isnan(values[0])
    alone = KpiDetector(1, STEP_S).update(clock(12)[own], values[:1, own]).surprise[0]
    np.testing.assert_allclose(alone, together[own], rtol=1e-7, atol=1e-9)


def test_a_point_is_judged_by_the_past_alone():
    values = daily(5)
    changed = values.copy()
    changed[:, 4 * DAY :] = 1e6
    np.testing.assert_array_equal(judge(changed).surprise[:, : 4 * DAY], judge(values).surprise[:, : 4 * DAY])


@given(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, -3.5, 1e12]), min_size=1, max_size=400))
@settings(max_examples=40, deadline=None)
def test_anything_that_is_fed_scores_finite_and_what_is_missing_scores_0(points):
    values = np.array([points])
    judged = judge(values, step_s=3_600.0)
    assert np.all(np.isfinite(judged.surprise))
    assert np.all(judged.surprise >= 0)
    assert np.all(judged.surprise[~np.isfinite(values)] == 0)
    assert np.all(np.isnan(judged.expected[~np.isfinite(values)]))


def test_a_constant_series_is_silent_until_it_moves():
    values = np.full((1, 4 * DAY), 0.1)
    values[0, 3 * DAY + 50] = 0.2
    surprise = judge(values).surprise[0]
    assert surprise[3 * DAY + 50] > 100
    surprise[3 * DAY + 50 : 3 * DAY + 100] = 0
    assert np.all(surprise == 0) or surprise.max() < 3


@pytest.mark.parametrize("points", [0, 1, 2, 5, 30])
def test_a_very_short_series_is_not_judged(points):
    assert np.all(judge(daily(1)[:, :points]).surprise == 0)


def test_both_a_fall_and_a_rise_are_found_at_any_time_of_day():
    values = daily(10, height=10.0)
    places = [8 * DAY + 20, 8 * DAY + 110, 9 * DAY + 20, 9 * DAY + 110]
    values[0, places] += [-15, 15, 15, -15]
    surprise = judge(values).surprise[0]
    assert np.all(surprise[places] > 12)
    surprise[places] = 0
    assert surprise[2 * DAY :].max() < 12


def test_more_deviation_is_more_surprise():
    scores = []
    for depth in (0.0, 4.0, 8.0, 16.0, 32.0):
        values = daily(8)
        values[0, 7 * DAY + 60] -= depth
        scores.append(judge(values).surprise[0, 7 * DAY + 60])
    assert scores[2:] == sorted(scores[2:])
    assert scores[-1] > scores[0] + 10


def test_a_series_with_wild_tails_needs_more_for_the_same_surprise():
    calm = noise(20)
    wild = np.random.default_rng(0).standard_t(2.5, size=(1, 20 * DAY))
    calm[0, -1] = wild[0, -1] = 8.0
    surprise = judge(np.concatenate([calm, wild])).surprise[:, -1]
    assert surprise[0] > 1.5 * surprise[1]


def test_a_day_of_fault_teaches_nothing():
    values = daily(14)
    faulty = values.copy()
    faulty[0, 10 * DAY : 11 * DAY] = 0.0
    after = slice(11 * DAY + 61, 14 * DAY)
    assert judge(faulty).surprise[0, after].max() < 12
    spike = 13 * DAY + 70
    faulty[0, spike] -= 20
    assert judge(faulty).surprise[0, spike] > 12


@pytest.mark.parametrize(("weekend", "height", "season"), [(0.0, 0.0, NONE), (0.0, 30.0, DAILY), (1.0, 30.0, WEEKLY)])
def test_the_season_is_found_from_the_past(weekend, height, season):
    days = 35
    times = clock(days)
    swing = height * np.sin(times * 2 * np.pi / 86_400)
    weekday = times // 86_400 % 7
    swing = np.where(weekday >= 5, swing * (1 - 2 * weekend), swing)
    detector = KpiDetector(1, STEP_S)
    detector.update(times, (100 + swing + noise(days))[:, :])
    assert detector.season.tolist() == [season]


def test_points_may_come_off_the_grid_and_with_gaps():
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(200, 1_500, size=2_000))
    values = 100 + 30 * np.sin(times * 2 * np.pi / 86_400) + rng.standard_normal(2_000)
    times[1_000:] += 9 * 86_400.0
    values[1_900] = 40.0
    judged = KpiDetector(1, STEP_S).update(times, values[None])
    assert judged.surprise[0].argmax() == 1_900


def test_times_must_rise_and_shapes_fit():
    detector = KpiDetector(1, STEP_S)
    detector.update(np.array([0.0, 600.0]), np.ones((1, 2)))
    with pytest.raises(ValueError, match="rise"):
        detector.update(np.array([600.0]), np.ones((1, 1)))
    with pytest.raises(ValueError, match="shape"):
        detector.update(np.array([1_200.0]), np.ones((2, 1)))


def test_it_can_be_copied_and_pickled_and_leaves_its_input_alone():
    values = daily(4)
    before = values.copy()
    detector = KpiDetector(1, STEP_S)
    detector.update(clock(3), values[:, : 3 * DAY])
    np.testing.assert_array_equal(values, before)
    twins = [copy.deepcopy(detector), pickle.loads(pickle.dumps(detector))]
    rest = [one.update(clock(4)[3 * DAY :], values[:, 3 * DAY :]).surprise for one in (detector, *twins)]
    np.testing.assert_array_equal(rest[0], rest[1])
    np.testing.assert_array_equal(rest[0], rest[2])


def test_memory_does_not_grow():
    detector = KpiDetector(2, STEP_S)
    sizes = []
    for day in range(30):
        detector.update(clock(1) + day * 86_400, noise(1, 2, seed=day))
        sizes.append(len(pickle.dumps(detector)))
    assert max(sizes[1:]) - min(sizes[1:]) < 100
    assert max(sizes) / 2 < 60_000


def test_a_finding_says_expected_and_observed_and_how_surprising():
    values = daily(8)
    values[0, 7 * DAY + 60] = 20.0
    judged = judge(values)
    (found,) = findings(["plays of north"], clock(8), values, judged, threshold=20.0)
    assert found.time == datetime(1970, 1, 8, 10, tzinfo=UTC)
    assert found.falls
    assert found.expected == pytest.approx(115, abs=5)
    assert str(found).startswith("plays of north at 1970-01-08 10:00 UTC: 20 observed, below the 11")
    assert "less than once in" in str(found)


def test_surprise_is_the_log_of_how_rare():
    deviations = np.random.default_rng(0).exponential(2.0, size=(1, 200_000))
    tails = Tails(1)
    tails.add(deviations, np.ones(deviations.shape, dtype=bool))
    tails.fit()
    rare = np.array([[-2.0 * np.log(p) for p in (TAIL_SHARE, 0.01, 1e-4, 1e-6)]])
    np.testing.assert_allclose(tails.surprise(rare)[0], -np.log([TAIL_SHARE, 0.01, 1e-4, 1e-6]), rtol=0.08)


@given(st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=200), st.sampled_from([3, 5, 15]), st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_medians_before_are_medians_of_what_was_before(line, width, count):
    line = np.array(line)
    places = np.arange(width, len(line))[:count]
    due = [np.median(line[place - width : place]) for place in places]
    np.testing.assert_array_equal(medians_before(line, places, width), due)


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=4))
def test_the_middle_of_four_is_their_median(four):
    assert middle_of_four(*(np.array([x]) for x in four))[0] == pytest.approx(np.median(four), rel=1e-12, abs=1e-9)


def test_days_are_summed_up_without_what_is_missing():
    days = np.random.default_rng(0).standard_normal((3, 7, 5))
    days[0, :4, 0] = np.nan
    days[1, :, 2] = np.nan
    medians = median_of_days(days)
    assert medians[0, 0] == np.median(days[0, 4:, 0])
    assert np.isnan(medians[1, 2])
    np.testing.assert_array_equal(medians[2], np.median(days[2], axis=0))
    filled = fill_round(np.array([[np.nan, 1.0, np.nan, 2.0], [np.nan] * 4]), np.array([0.0, 9.0]))
    assert filled.tolist() == [[2.0, 1.0, 1.0, 2.0], [9.0] * 4]
