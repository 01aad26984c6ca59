"""The log likelihood ratio of an excess."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.poisson import excess_llr

few = settings(max_examples=60, deadline=None)
counts = st.floats(0, 1e6)
dues = st.floats(1e-3, 1e6)


def llr(observed: float, expected: float, dispersion: float = 1.0) -> float:
    return float(excess_llr(np.array(observed), np.array(expected), dispersion))


def test_by_hand() -> None:
    assert llr(10, 2) == pytest.approx(10 * math.log(5) - 8)


@few
@given(counts, dues)
def test_it_is_never_negative_and_nothing_where_all_is_as_usual_or_better(observed: float, expected: float) -> None:
    assert llr(observed, expected) >= 0
    assert observed > expected or llr(observed, expected) == 0


@few
@given(counts, st.floats(0, 1e6), dues)
def test_more_is_never_less_surprising(observed: float, more: float, expected: float) -> None:
    assert llr(observed + more, expected) >= llr(observed, expected) * (1 - 1e-9) - 1e-6


@few
@given(counts, dues, st.floats(0, 1e6))
def test_what_was_due_is_never_more_surprising(observed: float, expected: float, more: float) -> None:
    assert llr(observed, expected + more) <= llr(observed, expected) * (1 + 1e-9) + 1e-6


@few
@given(counts, dues, st.floats(1, 50))
def test_dispersion_divides(observed: float, expected: float, dispersion: float) -> None:
    assert llr(observed, expected, dispersion) == pytest.approx(llr(observed, expected) / dispersion)


@few
@given(st.floats(1, 1e5), dues, st.floats(1, 100))
def test_ten_times_the_evidence_is_ten_times_as_surprising(observed: float, expected: float, times: float) -> None:
    assert llr(observed * times, expected * times) == pytest.approx(llr(observed, expected) * times, abs=1e-6)


@pytest.mark.parametrize("expected", [0.0, -1.0])
def test_expecting_nothing_is_safe(expected: float) -> None:
    assert llr(0, expected) == pytest.approx(0)
    assert math.isfinite(llr(3, expected))
