"""Whose fault a bad session is: chance, or one of the faults that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.observations import SIGNALS, Observations
from incidents.blame import OWN_FAULT, Fault, blame, kinds_of, usual_shares
from telemetry.contract import Signal
from tests.incidents.slices import slices

FAILURE, BUFFERING = SIGNALS.index(Signal.FAILURE), SIGNALS.index(Signal.BUFFERING)
FAILED = {"bad": {Signal.FAILURE}, "error_class": 0}
STALLED = {"bad": {Signal.BUFFERING}, "stalled_ms": 20_000}
FINE: dict[str, Any] = {}
KINDS = 4


def people(*rows: dict[str, Any]) -> Observations:
    """Slices of one person each."""
    return slices(*({"subscriber": i} | row for i, row in enumerate(rows)))


def busy(failing: int, of: int, slot: int, error_class: int = 0) -> list[dict[str, Any]]:
    return [(FAILED | {"error_class": error_class} if i < failing else FINE) | {"slot": slot} for i in range(of)]


def share(
    rows: Observations,
    usual: float = 0.01,
    faults: tuple[Fault, ...] = (),
    prone: np.ndarray | None = None,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    shape = (len(rows), len(SIGNALS))
    faults = faults or (Fault(np.ones(len(rows), bool), int(rows.slot.min())),)
    even = np.full((len(SIGNALS), KINDS), 1 / KINDS) if shares is None else shares
    return blame(rows, np.full(shape, usual), faults, even, np.ones(shape) if prone is None else prone)


def test_blame_is_the_share_of_impairments_that_are_more_than_usual() -> None:
    alike = np.ones((len(SIGNALS), KINDS))
    certain = share(people(*busy(failing=40, of=100, slot=300)), shares=alike)[0, :40, FAILURE]
    assert certain == pytest.approx(1 - 1 / 40, abs=0.02)
    assert share(people(*busy(failing=2, of=200, slot=300)), shares=alike)[0, :2, FAILURE] == pytest.approx(0, abs=0.3)


def test_when_the_fault_is_over_a_failure_is_blamed_on_it_less() -> None:
    blamed = share(people(*busy(failing=40, of=100, slot=300), *busy(failing=5, of=500, slot=360)))[0, :, FAILURE]
    assert blamed[0] > 0.95
    assert blamed[-1] < blamed[0]


def test_what_came_before_the_onset_must_speak_for_itself() -> None:
    rows = people(*busy(failing=1, of=20, slot=300), *busy(failing=40, of=100, slot=303))
    alike = np.ones((len(SIGNALS), KINDS))
    blamed = share(rows, faults=(Fault(np.ones(len(rows), bool), 303),), shares=alike)[0, :, FAILURE]
    before, since = blamed[0], blamed[20]
    assert since > 0.9
    assert before < 0.7


def test_somebody_prone_to_stalls_is_struck_by_chance_more_often() -> None:
    rows = people(*[STALLED | {"slot": 300}] * 3)
    prone = np.ones((3, len(SIGNALS)))
    prone[2] = OWN_FAULT
    steady, _, often = share(rows, usual=0.2, prone=prone)[0, :, BUFFERING]
    assert often < steady / 2


def test_an_error_of_another_class_is_not_the_faults() -> None:
    rows = people(*busy(10, 200, slot=300, error_class=1), *busy(2, 200, slot=300, error_class=0))
    blamed = share(rows, usual=0.01)[0, :, FAILURE]
    assert blamed[0] > 0.8
    assert blamed[200] < 0.6


def test_two_faults_at_once_are_told_apart_by_place_and_by_kind() -> None:
    network, delivery = busy(20, 100, slot=300, error_class=1), busy(20, 100, slot=300, error_class=2)
    both = [FAILED | {"slot": 300, "error_class": kind} for kind in (1, 2)]
    rows = people(*network, *delivery, *both)
    first, second = np.zeros(202, bool), np.zeros(202, bool)
    first[:100], second[100:200] = True, True
    first[200:] = second[200:] = True
    blamed = share(rows, faults=(Fault(first, 300), Fault(second, 300)))[:, :, FAILURE]
    assert blamed[0, 200] > 0.7 > blamed[1, 200]
    assert blamed[1, 201] > 0.7 > blamed[0, 201]
    assert np.all(blamed[1, :100] == 0)


def test_nobodys_bad_session_speaks_for_its_own_kind() -> None:
    rows = people(*busy(6, 200, slot=300, error_class=1), *busy(1, 1, slot=300, error_class=0))
    usual = np.full((len(SIGNALS), KINDS), 0.01)
    usual[:, 2] = 0.97
    assert share(rows, shares=usual)[0, -1, FAILURE] < share(rows, shares=usual)[0, 0, FAILURE]


def test_the_usual_shares_count_people_and_leave_nothing_out() -> None:
    many, other = [FAILED | {"subscriber": 1}] * 50, [FAILED | {"subscriber": 2, "error_class": 1}]
    shares = usual_shares(slices(*many, *other), KINDS)
    assert shares[FAILURE] == pytest.approx([0.125, 0.375, 0.375, 0.125])
    assert shares.sum(axis=1) == pytest.approx(1.0)


def test_kinds_of_stalls_are_by_how_badly() -> None:
    stalls = [
        {"bad": {Signal.BUFFERING}, "stalled_ms": ms, "playing_ms": 100_000 - ms} for ms in (3_000, 9_000, 40_000)
    ]
    assert kinds_of(slices(*stalls, FINE))[:, BUFFERING].tolist() == [0, 1, 2, 0]


def test_nothing_is_nobodys_fault() -> None:
    none = Observations.empty()
    assert (
        blame(none, np.zeros((0, 4)), (Fault(np.zeros(0, bool), 300),), np.ones((4, KINDS)), np.ones((0, 4))).size == 0
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 30), st.integers(0, 30), st.floats(1e-6, 1.0), st.floats(0.1, 50))
def test_what_is_blamed_on_faults_is_a_probability(first: int, second: int, usual: float, prone: float) -> None:
    rows = people(*busy(first, 30, slot=300), *busy(second, 30, slot=310, error_class=1))
    inside = np.arange(60) < 40
    faults = (Fault(inside, 300), Fault(~inside | (np.arange(60) > 20), 303))
    blamed = share(rows, usual, faults, np.full((60, len(SIGNALS)), prone))
    assert np.all(blamed >= 0)
    assert np.all(blamed.sum(axis=0) <= 1 + 1e-9)
