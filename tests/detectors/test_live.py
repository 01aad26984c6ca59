"""The minute alarm: in time, once, and silent when nothing is wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from detectors.leaf_cohorts import Cohort, LeafCohorts, holds
from detectors.leaf_rates import UsualRates
from detectors.live import LiveAlarm, LiveWatch, causes_at, leaf_evidence

LEAVES = np.array(list(product(range(3), range(4), range(2))), np.int32)
BITRATE, CDN = ((1, 2),), ((0, 0), (2, 1))


def stream(*faults: tuple[Cohort, int, int, float], minutes: int = 30, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return stalled and all viewers; a fault strikes a cohort from a minute to another."""
    rng = np.random.default_rng(seed)
    seen = np.tile(rng.integers(100, 2000, len(LEAVES)), (minutes, 1)).astype(float)
    chance = np.full(seen.shape, 0.02)
    for cohort, start, end, effect in faults:
        chance[start:end, holds(LEAVES, cohort)] += effect
    return rng.binomial(seen.astype(int), chance).astype(float), seen


def alarms(struck: np.ndarray, seen: np.ndarray) -> list[LiveAlarm]:
    watch = LiveWatch(LeafCohorts(LEAVES))
    return [alarm for k, n in zip(struck, seen, strict=True) for alarm in watch.step(k, n)]


@pytest.mark.parametrize("seed", range(5))
def test_calm_minutes_raise_no_alarm(seed: int) -> None:
    assert alarms(*stream(minutes=60, seed=seed)) == []


@pytest.mark.parametrize("cohort", [BITRATE, CDN])
def test_a_fault_is_alarmed_at_once_and_only_once(cohort: Cohort) -> None:
    found = alarms(*stream((cohort, 12, 25, 0.2)))
    assert [alarm.minute for alarm in found] == [12]
    assert found[0].causes[0].cohorts == (cohort,)


def test_another_cause_raises_its_own_alarm() -> None:
    found = alarms(*stream((BITRATE, 10, 25, 0.2), (CDN, 16, 25, 0.3)))
    assert [alarm.minute for alarm in found] == [10, 16]


def test_what_gets_much_worse_is_raised_again() -> None:
    found = alarms(*stream((BITRATE, 10, 25, 0.05), (BITRATE, 16, 25, 0.5)))
    assert [alarm.minute for alarm in found] == [10, 16]


@pytest.mark.parametrize(("again", "raised"), [(11, [8]), (13, [8, 13]), (25, [8, 25])])
def test_after_quiet_minutes_the_same_fault_is_raised_again(again: int, raised: list[int]) -> None:
    found = alarms(*stream((BITRATE, 8, 9, 0.2), (BITRATE, again, again + 1, 0.2), minutes=30))
    assert [alarm.minute for alarm in found] == raised


def test_the_name_is_corrected_by_a_minute_that_shows_more() -> None:
    part: Cohort = ((1, 2), (2, 0))
    struck, seen = stream((part, 10, 11, 0.2), (BITRATE, 11, 20, 0.3))
    assert alarms(struck, seen)[0].causes[0].cohorts == (BITRATE,)


def test_fewer_stalls_are_no_alarm() -> None:
    struck, seen = stream()
    struck[15:] = 0
    assert alarms(struck, seen) == []


def test_told_the_minute_only_it_and_the_past_count() -> None:
    struck, seen = stream((BITRATE, 10, 11, 0.2), (CDN, 12, 20, 0.5))
    cohorts = LeafCohorts(LEAVES)
    assert causes_at(cohorts, struck, seen, 10)[0].cohorts == (BITRATE,)
    assert causes_at(cohorts, struck, seen, 10) == causes_at(cohorts, struck[:11], seen[:11], 10)


def test_the_first_minute_is_judged_by_what_most_leaves_do() -> None:
    struck, seen = stream((BITRATE, 0, 1, 0.4), minutes=1)
    assert causes_at(LeafCohorts(LEAVES), struck, seen, 0)[0].cohorts == (BITRATE,)


def test_minutes_without_viewers_do_no_harm() -> None:
    struck, seen = stream((BITRATE, 12, 20, 0.2))
    struck[5:8], seen[5:8] = 0, 0
    assert [alarm.minute for alarm in alarms(struck, seen)] == [12]


def test_without_any_attribute_nobody_is_named() -> None:
    watch = LiveWatch(LeafCohorts(np.zeros((1, 0), np.int32)))
    assert [watch.step(np.array([k]), np.array([1000.0])) for k in (10.0, 10.0, 10.0, 900.0)] == [[]] * 4


def test_the_evidence_of_one_leaf_is_bounded() -> None:
    usual = UsualRates(np.array([0.02]), np.array([1000.0]))
    assert 0 < leaf_evidence(np.array([9e5]), np.array([1e6]), usual).max() < 25
    assert leaf_evidence(np.zeros(1), np.zeros(1), usual).max() == 0
