"""Who is troubled by an incident: people who noticed, with what was worst for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from detectors.observations import SIGNALS, ImpairmentRule, Observations
from incidents.affected import Affected, affected
from telemetry.contract import Signal

RULE = ImpairmentRule()
ALL = tuple(Signal)


def slices(*rows: dict[str, Any]) -> Observations:
    """Slices of person 0 unless said otherwise, each a session of its own unless said otherwise."""
    none = Observations.empty()
    count = len(rows)

    def column(name: str, usual: Callable[[int], Any]) -> np.ndarray:
        values = [row.get(name, usual(i)) for i, row in enumerate(rows)]
        return np.array(values, getattr(none, name).dtype).reshape((count, *getattr(none, name).shape[1:]))

    usual: dict[str, Callable[[int], Any]] = {
        "session": lambda i: i,
        "slot": lambda i: 5_900_000 + i,
        "playing_ms": lambda _: 300_000,
        "error_class": lambda _: -1,
        "first_us": lambda i: 10 * i,
        "last_us": lambda i: 10 * i + 5,
    }
    bad = np.array([[signal in row.get("bad", ()) for signal in SIGNALS] for row in rows], bool)
    names = [name for name in Observations.__dataclass_fields__ if name != "bad"]
    zeros = lambda name: lambda _: np.zeros(getattr(none, name).shape[1:])  # noqa: E731
    return Observations(bad=bad, **{name: column(name, usual.get(name, zeros(name))) for name in names})


def one(*rows: dict[str, Any]) -> Affected:
    (person,) = affected(slices(*rows), ALL, RULE)
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
    found = affected(slices(*rows), ALL, RULE)
    assert [person.signal for person in found] == ([] if signal is None else [signal])


def test_stalls_are_judged_over_the_session() -> None:
    slow_burn = [{"session": 1, "stalled_ms": 7_000, "bad": {Signal.BUFFERING}}, *[{"session": 1}] * 5]
    assert affected(slices(*slow_burn), ALL, RULE) == []
    faint = [{"session": 1, "stalled_ms": 5_900}, {"session": 1, "stalled_ms": 5_900, "playing_ms": 200_000}]
    assert [person.signal for person in affected(slices(*faint), ALL, RULE)] == [Signal.BUFFERING]


def test_stalls_that_are_usual_for_a_person_are_none() -> None:
    assert affected(slices(STALLED | {"own_ratio": 0.05}), ALL, RULE) == []


def test_only_what_the_incident_raises_counts() -> None:
    assert affected(slices(FAILED), (Signal.ACCESS,), RULE) == []


def test_those_who_know_are_left_out() -> None:
    rows = slices(FAILED, FAILED | {"subscriber": 3})
    assert [person.subscriber for person in affected(rows, ALL, RULE, known={0})] == [3]
    assert [person.subscriber for person in affected(rows, ALL, RULE, known={-1})] == [0, 3]


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
    assert affected(Observations.empty(), ALL, RULE) == []
