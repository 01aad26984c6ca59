"""When an incident is grave, and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.finding import Cohort
from incidents.lifecycle import (
    LifecycleRule,
    has_dried_up,
    incident_id,
    is_over,
    is_settled,
    overlap,
    recovery_evidence,
    related,
    severity,
)
from incidents.model import Severity
from telemetry.contract import Signal

RULE = LifecycleRule()
NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
TRIED = 40.0
RATE = 0.03
few = settings(max_examples=60, deadline=None)


def of_one_kind(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=float)[:, np.newaxis]


def over(*seen: float, tried: float = TRIED) -> bool:
    observed, exposures = of_one_kind(*seen), np.full((len(seen), 1), tried)
    return is_over(observed, exposures * RATE, exposures, RULE)


def evidence(*seen: float, tried: float = TRIED) -> float:
    exposures = np.full((len(seen), 1), tried)
    return recovery_evidence(of_one_kind(*seen), exposures * RATE, exposures, RULE.persistence)


@pytest.mark.parametrize(
    ("seen", "ended"),
    [
        pytest.param((20, 22, 18), False, id="as bad as ever: goes on"),
        pytest.param((20, 22, 18, 1, 1), True, id="well for half an hour: over"),
        pytest.param((20, 22, 18, 1, 12), False, id="well and bad again: goes on"),
        pytest.param((20, 22, 18, 0, 0, 20, 1, 1), True, id="a last blow, then well: over"),
        pytest.param((8, 8, 8, 8), False, id="a mild one: goes on"),
    ],
)
def test_a_fault_is_over_when_playback_is_well(seen: tuple[float, ...], ended: bool) -> None:
    assert over(*seen) is ended


def test_silence_is_no_recovery() -> None:
    exposures = of_one_kind(TRIED, TRIED, 0, 0, 0, 0)
    assert not is_over(of_one_kind(20, 20, 0, 0, 0, 0), exposures * RATE, exposures, RULE)


def test_where_sessions_fail_as_they_start_one_that_plays_on_tells_little() -> None:
    going_on = np.full(9, 20.0)
    asked = np.array([9.0, 9, 9, 9, 9, 2, 2, 2, 2])
    failed = np.array([4.0, 4, 4, 4, 4, 0, 0, 0, 0])
    observed, exposures = np.stack([0 * going_on, failed], 1), np.stack([going_on, asked], 1)
    assert not is_over(observed, exposures * RATE / 10, exposures, RULE)
    together = [it.sum(axis=1, keepdims=True) for it in (observed, exposures)]
    assert is_over(together[0], together[1] * RATE / 10, together[1], RULE)


def test_where_few_watch_recovery_takes_longer() -> None:
    assert over(10, 10, 0, 0, tried=20)
    assert not over(1, 1, 0, 0, tried=2)
    assert over(1, 1, *(0,) * 100, tried=2)


@few
@given(st.lists(st.integers(0, 40), min_size=2, max_size=12))
def test_evidence_is_never_negative_and_a_good_bucket_never_lowers_it(seen: list[int]) -> None:
    assert evidence(*seen) >= 0
    exposures = np.full((len(seen) + 1, 1), TRIED)
    assert recovery_evidence(of_one_kind(*seen, 0.0), exposures * RATE, exposures, RULE.persistence) >= 0


@few
@given(st.lists(st.integers(5, 39), min_size=2, max_size=12))
def test_a_struck_bucket_is_never_a_recovery(seen: list[int]) -> None:
    assert not over(*seen)


def test_nothing_known_is_not_over() -> None:
    none = np.zeros((1, 1))
    assert not is_over(none, none, none, RULE)


@pytest.mark.parametrize(
    ("since", "everyone", "left"),
    [
        pytest.param((2, 0, 1), (1_000, 1_000, 1_000), True, id="others go on, nobody is left: gone"),
        pytest.param((90, 110, 95), (1_000, 1_000, 1_000), False, id="as many as ever"),
        pytest.param((12, 8, 15), (100, 100, 100), False, id="everybody sleeps"),
        pytest.param((0, 0, 0), (10, 5, 10), False, id="night, too few due to tell"),
        pytest.param((40, 40, 40), (1_000, 1_000, 1_000), False, id="some are left"),
    ],
)
def test_a_cohort_that_everybody_left_is_over_and_one_at_night_is_not(since, everyone, left: bool) -> None:
    exposures, impaired = np.array([100.0, 100, *since]), np.array([20.0, 25, 0, 0, 0])
    assert has_dried_up(exposures, np.array([1_000.0, 1_000, *everyone]), impaired, RULE) is left
    assert not has_dried_up(exposures, np.array([1_000.0, 1_000, *everyone]), np.zeros(5), RULE)


@pytest.mark.parametrize(
    ("hours", "observed", "settled"),
    [(23.9, 60, False), (24, 60, True), (24, 89, True), (24, 90, False), (240, 300, False)],
)
def test_a_slight_excess_that_lasts_a_day_is_the_new_level(hours: float, observed: float, settled: bool) -> None:
    assert is_settled(timedelta(hours=hours), observed, 30.0, RULE) is settled


@pytest.mark.parametrize(
    ("affected", "watching", "grave"),
    [
        (0, 0, Severity.MINOR),
        (24, 500, Severity.MINOR),
        (25, 500, Severity.MAJOR),
        (99, 1_000_000, Severity.MINOR),
        (100, 1_000_000, Severity.MAJOR),
        (100, 2_000, Severity.CRITICAL),
        (999, 1_000_000, Severity.MAJOR),
        (1_000, 1_000_000, Severity.CRITICAL),
    ],
)
def test_severity_is_how_many_and_what_share(affected: int, watching: int, grave: Severity) -> None:
    assert severity(affected, watching, RULE) is grave


@few
@given(st.integers(0, 5_000), st.integers(0, 500), st.integers(0, 100_000))
def test_more_people_are_never_less_grave(affected: int, more: int, watching: int) -> None:
    order = list(Severity)
    assert order.index(severity(affected + more, watching, RULE)) >= order.index(severity(affected, watching, RULE))


def test_an_incident_has_the_same_id_whoever_finds_it() -> None:
    one = incident_id(Signal.STARTUP, Cohort.of({"isp": "n", "cdn": "a"}), NOON)
    assert one == incident_id(Signal.STARTUP, Cohort.of({"cdn": "a", "isp": "n"}), NOON) == "inc-" + one[4:]
    others = {
        incident_id(Signal.FAILURE, Cohort.of({"isp": "n", "cdn": "a"}), NOON),
        incident_id(Signal.STARTUP, Cohort.of({"isp": "n"}), NOON),
        incident_id(Signal.STARTUP, Cohort.of({"isp": "n", "cdn": "a"}), NOON.replace(minute=15)),
    }
    assert len(others | {one}) == 4


def test_the_id_of_an_incident_never_changes_between_versions() -> None:
    assert incident_id(Signal.STARTUP, Cohort.of({"isp": "Nørd"}), NOON) == "inc-c6e44ce4893c"


def test_refusals_stand_alone_and_playback_goes_together() -> None:
    assert list(related(Signal.ACCESS)) == [Signal.ACCESS]
    for signal in (Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE):
        assert set(related(signal)) == {Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE}


def test_overlap_is_what_is_shared_of_all() -> None:
    first, second = np.array([True, True, False, False]), np.array([False, True, True, False])
    assert overlap(first, second, np.ones(4)) == pytest.approx(1 / 3)
    assert overlap(first, second, np.array([1.0, 4, 3, 9])) == pytest.approx(1 / 2)
    assert overlap(~first & first, second & ~second, np.ones(4)) == 0
