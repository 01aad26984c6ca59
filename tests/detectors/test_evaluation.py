"""Judging detectors: the arithmetic by hand, and who beats whom."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.evaluation import Evaluation, Fault, evaluate, run
from detectors.registry import make_detector
from detectors.rules import Alarm, alarms, threshold_for

NOON = 5_900_000


def test_an_alarm_is_a_run_of_slots_above_the_threshold() -> None:
    scores = np.array([[0, 2], [2, 2], [2, 1], [0, 0], [2, 0]], float)
    assert alarms(scores, 100, 1.0) == [Alarm(0, 101, 103), Alarm(0, 104, 105), Alarm(1, 100, 102)]


def test_nothing_above_is_no_alarm() -> None:
    assert alarms(np.zeros((3, 4)), 0, 0.0) == []
    assert alarms(np.zeros((0, 4)), 0, 0.0) == []


def test_a_threshold_lets_a_share_of_the_usual_through() -> None:
    usual = np.arange(1000.0).reshape(100, 10)
    assert (usual > threshold_for(usual, 0.01)).sum() <= 10
    assert (usual > threshold_for(usual, 0.01) - 1).sum() >= 10
    assert (usual > threshold_for(usual, 0.0)).sum() == 0


def test_an_evaluation_by_hand() -> None:
    scores = np.zeros((288, 2))
    scores[12:30, 0] = 5  # finds the fault of unit 0, two slots late
    scores[100:101, 0] = 4  # false
    scores[40:42, 1] = 3  # false: the fault of unit 1 is missed
    judged = evaluate(scores, NOON, [Fault(0, NOON + 10, NOON + 20), Fault(1, NOON + 200, NOON + 210)], 1.0)
    assert judged.recall == pytest.approx(1 / 2)
    assert judged.precision == pytest.approx(1 / 3)
    assert judged.delay_slots == 2
    assert judged.false_alarms_per_unit_day == pytest.approx(1.0)


def test_an_alarm_that_was_on_before_comes_without_delay() -> None:
    scores = np.zeros((20, 1))
    scores[2:9] = 1
    assert evaluate(scores, 0, [Fault(0, 5, 15)], 0.5).delay_slots == 0


def test_the_aftermath_of_a_fault_is_neither_right_nor_wrong() -> None:
    scores = np.zeros((40, 2))
    scores[5:10, 1] = scores[15:18, 1] = scores[35:36, 1] = 1
    judged = evaluate(scores, 0, [Fault(1, 5, 10)], 0.5, aftermath_slots=10)
    assert judged.precision == pytest.approx(1 / 2)
    assert judged.average_precision == pytest.approx(5 / 6)


def test_a_perfect_ranking_has_a_precision_of_one() -> None:
    scores = np.zeros((20, 2))
    scores[5:9, 1] = np.arange(1, 5)
    assert evaluate(scores, 0, [Fault(1, 5, 9)], 0.5) == Evaluation(1.0, 1.0, 0.0, 0.0, 1.0)


def test_without_faults_and_alarms_there_is_nothing_to_average() -> None:
    judged = evaluate(np.zeros((20, 2)), 0, [], 0.5)
    assert judged.false_alarms_per_unit_day == 0
    assert all(math.isnan(it) for it in (judged.recall, judged.precision, judged.delay_slots, judged.average_precision))


@pytest.fixture(scope="module")
def judged(stream) -> dict[str, Evaluation]:
    """Detectors compared at the same price: one slot in a thousand of a calm day."""
    evidence, faults = stream
    verdicts = {}
    for name in ("cohort_scan", "isolation_forest", "null", "random"):
        scores = run(make_detector(name), evidence)
        threshold = threshold_for(scores[144:288], 0.001)
        verdicts[name] = evaluate(scores[288:], NOON + 288, faults, threshold, aftermath_slots=288)
    return verdicts


@pytest.mark.parametrize("control", ["null", "random", "isolation_forest"])
def test_the_scan_beats_the_controls(control: str, judged: dict[str, Evaluation]) -> None:
    scan, other = judged["cohort_scan"], judged[control]
    assert scan.average_precision > 1.5 * other.average_precision
    assert scan.recall >= other.recall
    assert not scan.precision <= other.precision


def test_the_scan_finds_every_fault_within_the_hour(judged: dict[str, Evaluation]) -> None:
    scan = judged["cohort_scan"]
    assert scan.recall == 1
    assert scan.delay_slots <= 12
    assert scan.false_alarms_per_unit_day < 0.2


def test_luck_ranks_as_badly_as_saying_nothing(judged: dict[str, Evaluation]) -> None:
    assert judged["random"].average_precision == pytest.approx(judged["null"].average_precision, abs=0.01)
