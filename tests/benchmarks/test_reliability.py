"""Honest probabilities have no calibration error, others have, and claims are judged by the truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.reliability import Claims, bins_of, of_cohorts, of_own, of_runs


def drawn(count: int = 20_000, *, start: float = 0.0, slope: float = 1.0) -> Claims:
    """Claims whose true log odds are ``start + slope * log odds said``."""
    rng = np.random.default_rng(1)
    said = rng.uniform(0.02, 0.98, count)
    true = 1 / (1 + np.exp(-(start + slope * np.log(said / (1 - said)))))
    return Claims(said, rng.random(count) < true)


def test_who_says_what_is_so_has_nothing_to_mend() -> None:
    claims = drawn()
    assert claims.ece < 0.02
    assert claims.brier < claims.by_base_rate.brier
    np.testing.assert_allclose(claims.line(), (0, 1), atol=0.08)


def test_too_sure_claims_are_mended_by_the_line() -> None:
    claims = drawn(start=-1.0, slope=0.4)
    assert claims.ece > 0.1
    np.testing.assert_allclose(claims.line(), (-1.0, 0.4), atol=0.08)
    assert claims.along(claims.line()).ece < 0.02
    assert claims.along(claims.line()).brier < claims.brier


def test_the_base_rate_is_right_on_average_and_knows_nobody() -> None:
    base = drawn().by_base_rate
    assert base.ece == pytest.approx(0, abs=1e-9)
    assert base.brier == pytest.approx(base.right.mean() * (1 - base.right.mean()))


def test_bins_hold_every_claim() -> None:
    claims = Claims(np.array([0.0, 0.5, 1.0, 1.0]), np.array([False, True, True, False]))
    assert [(count, right) for _, count, _, right in bins_of(claims)] == [
        ("1", "0.000"),
        ("1", "1.000"),
        ("2", "0.500"),
    ]


def test_no_claims_have_no_figures() -> None:
    none = Claims.concat([])
    assert np.isnan([none.brier, none.ece, none.by_base_rate.brier]).all()
    assert none.line() == (0.0, 1.0)
    assert Claims(np.array([0.7]), np.array([True])).line() == (0.0, 1.0)


def at(hour: float) -> pd.Timestamp:
    return pd.Timestamp("2026-03-09") + pd.Timedelta(hours=hour)


def found(*rows: tuple[str, float, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["subscriber_id", "hour", "cause"])
    return table.assign(found_time=[at(hour) for hour in table["hour"]], cause_probability=0.9)


def test_a_cause_of_many_is_right_if_it_struck_the_person_lately() -> None:
    sessions = pd.DataFrame(
        {
            "subscriber_id": ["a", "b", "c"],
            "impaired": [True, True, False],
            "bad_time": [at(1), at(1), at(1)],
            "cause": ["isp", "isp", "isp"],
        }
    )
    claims = of_cohorts(found(("a", 2, "isp"), ("a", 20, "isp"), ("b", 2, "app"), ("c", 2, "isp")), sessions)
    assert claims.right.tolist() == [True, False, False, False]
    assert (claims.said == 0.9).all()


OWN = pd.DataFrame(
    {"subscriber_id": ["a"], "cause": ["household"], "first_bad_time": [at(1)], "end": [at(5)]},
)


def test_an_own_trouble_is_right_while_such_a_fault_is_there_or_just_over() -> None:
    claims = of_own(found(("a", 3, "household"), ("a", 3, "account"), ("a", 10, "household"), ("a", 12, "household"),
                          ("a", 0, "household"), ("b", 3, "household")), OWN)  # fmt: skip
    assert claims.right.tolist() == [True, False, True, False, False, False]


def test_a_run_is_right_if_a_fault_was_there_within_it() -> None:
    runs = pd.DataFrame(
        {
            "subscriber_id": ["a", "a", "b"],
            "log_odds": [0.0, 2.0, 0.0],
            "since": [at(0), at(6), at(0)],
            "time": [at(24), at(24), at(24)],
        }
    )
    claims = of_runs(runs, OWN)
    assert claims.right.tolist() == [True, False, False]
    assert claims.said[0] == pytest.approx(0.5)
