"""Who is troubled by an incident: people who noticed, with what was worst for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.observations import SIGNALS, ImpairmentRule, Observations
from incidents.affected import Affected, affected
from telemetry.contract import Signal
from tests.incidents.slices import slices

RULE = ImpairmentRule()
ALL = tuple(Signal)


LATER = 10**12


def found_in(
    rows: Observations,
    signals=ALL,
    known=(),
    sure: float = 1.0,
    least: float = 0.6,
    whole: Observations | None = None,
    onset_slot: int = 0,
    now_us: int = LATER,
) -> list[Affected]:
    """Who is affected if every impairment is the fault's with probability `sure`."""
    certain = np.full((1, len(rows), len(SIGNALS)), sure)
    return affected(rows, whole or rows, onset_slot, now_us, signals, RULE, certain, least, known)


def one(*rows: dict[str, Any]) -> Affected:
    (person,) = found_in(slices(*rows))
    return person


FAILED, SLOW, REFUSED = ({"bad": {signal}} for signal in (Signal.FAILURE, Signal.STARTUP, Signal.ACCESS))
STALLED = {"bad": {Signal.BUFFERING}, "stalled_ms": 20_000}
FINE: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("rows", "signal"),
    [
        pytest.param([FAILED], Signal.FAILURE, id="one failure is a problem"),
        pytest.param([REFUSED], Signal.ACCESS, id="one refusal is a problem"),
        pytest.param([STALLED], Signal.BUFFERING, id="a session that stalls badly is a problem"),
        pytest.param([SLOW], None, id="one slow start is an annoyance"),
        pytest.param([SLOW, SLOW], Signal.STARTUP, id="two slow starts are a problem"),
        pytest.param([FINE, FINE], None, id="playing well is none"),
        pytest.param([STALLED, FAILED], Signal.FAILURE, id="a failure is worse than stalls"),
        pytest.param([FAILED, REFUSED], Signal.ACCESS, id="a refusal is worse than a failure"),
    ],
)
def test_who_is_troubled_and_by_what(rows: list[dict[str, Any]], signal: Signal | None) -> None:
    found = found_in(slices(*rows))
    assert [person.signal for person in found] == ([] if signal is None else [signal])


def test_stalls_are_judged_over_the_session() -> None:
    slow_burn = [{"session": 1, "stalled_ms": 7_000, "bad": {Signal.BUFFERING}}, *[{"session": 1}] * 5]
    assert found_in(slices(*slow_burn)) == []
    faint = [{"session": 1, "stalled_ms": 5_900}, {"session": 1, "stalled_ms": 5_900, "playing_ms": 200_000}]
    assert [person.signal for person in found_in(slices(*faint))] == [Signal.BUFFERING]


@pytest.mark.parametrize(("stalled_s", "played_s"), [(7, 60), (20, 600)])
def test_a_session_that_goes_on_is_not_judged_by_its_first_minutes(stalled_s: int, played_s: int) -> None:
    rows = slices({"stalled_ms": stalled_s * 1_000, "playing_ms": played_s * 1_000, "bad": {Signal.BUFFERING}})
    assert found_in(rows, now_us=60_000_000) == []
    assert len(found_in(rows, now_us=LATER)) == 1


def test_a_session_that_goes_on_is_judged_by_what_it_stalled_for_good() -> None:
    lasting = slices({"stalled_ms": 40_000, "playing_ms": 60_000, "bad": {Signal.BUFFERING}})
    assert len(found_in(lasting, now_us=60_000_000)) == 1


def test_stalls_before_the_incident_are_not_its_own() -> None:
    before, since = {"session": 1, "stalled_ms": 60_000}, {"session": 1, "stalled_ms": 20_000}
    assert len(found_in(slices(since), whole=slices(since))) == 1
    assert found_in(slices(since), whole=slices(before, since)) == []


def test_what_went_well_before_the_incident_does_not_count_once_the_session_is_over() -> None:
    well = [{"session": 1, "slot": slot} for slot in range(20)]
    rows = slices(*well, {"session": 1, "slot": 20, "stalled_ms": 20_000, "bad": {Signal.BUFFERING}})
    assert found_in(rows) == []
    assert len(found_in(rows, onset_slot=20)) == 1
    assert found_in(rows, onset_slot=20, now_us=int(rows.last_us.max())) == []


def test_stalls_that_are_usual_for_a_person_are_none() -> None:
    assert found_in(slices(STALLED | {"own_ratio": 0.05})) == []


def test_only_what_the_incident_raises_counts() -> None:
    assert found_in(slices(FAILED), (Signal.ACCESS,)) == []


def test_those_who_know_are_left_out() -> None:
    rows = slices(FAILED, FAILED | {"subscriber": 3})
    assert [person.subscriber for person in found_in(rows, known={0})] == [3]
    assert [person.subscriber for person in found_in(rows, known={-1})] == [0, 3]


def test_times_and_counts_are_those_of_the_bad_slices() -> None:
    person = one(FINE, FAILED | {"error_class": 2}, FAILED | {"error_class": 2, "session": 1}, FINE, FAILED)
    assert (person.first_us, person.last_us) == (10, 45)
    assert (person.impaired, person.sessions) == (2, 4)
    assert person.error_class == 2


def test_the_commonest_device_is_named_and_none_if_unknown() -> None:
    codes = np.zeros(9)
    codes[4] = 3
    assert one(FAILED | {"codes": codes}).device == 3
    assert one(FAILED | {"codes": np.full(9, -1)}).device == -1


def test_nobody_is_troubled_by_nothing() -> None:
    assert found_in(Observations.empty()) == []


def test_a_session_that_was_probably_bad_by_chance_is_no_trouble() -> None:
    assert found_in(slices(FAILED), sure=0.5) == []
    assert [person.impaired for person in found_in(slices(FAILED, FAILED), sure=0.5)] == [2]  # 1 - 0.5 * 0.5


def test_whose_bad_session_may_be_either_faults_hears_of_the_likelier_one() -> None:
    rows = slices(FAILED)
    of = lambda *shares: np.array([np.full((1, len(SIGNALS)), share) for share in shares])  # noqa: E731
    tell = lambda blame, told=(): affected(rows, rows, 0, LATER, ALL, RULE, blame, 0.7, (), told)  # noqa: E731
    assert len(tell(of(0.5, 0.4))) == 1
    assert tell(of(0.4, 0.5)) == []
    assert tell(of(0.5, 0.1)) == []
    assert tell(of(0.5, 0.4), told={0}) == []
    assert len(tell(of(0.8, 0.1), told={0})) == 1
