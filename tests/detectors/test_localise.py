"""One fault, hundreds of suspicious cohorts: the guilty one is named."""

from __future__ import annotations

import time

import numpy as np
import pytest

from detectors.cohorts import TITLE
from detectors.localise import Suspect, suspects
from detectors.observations import MISSING
from telemetry.contract import DIMENSIONS

SIZES = (4, 10, 6, 3, 6, 5, 4, 2, 200)
RATE = 0.02
D = {name: place for place, name in enumerate(DIMENSIONS)}


def traffic(seed: int, rows: int = 12_000, titles: int = SIZES[-1]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    sizes = (*SIZES[:-1], titles)
    return np.column_stack([(rng.random(rows) ** 1.5 * size).astype(np.int32) for size in sizes])


def with_faults(codes: np.ndarray, *faults: dict[str, int], rate: float = 0.5, seed: int = 8) -> np.ndarray:
    chance = np.full(len(codes), RATE)
    for fault in faults:
        chance[inside(codes, fault)] = rate
    return (np.random.default_rng(seed).random(len(codes)) < chance).astype(float)


def inside(codes: np.ndarray, fault: dict[str, int]) -> np.ndarray:
    return np.logical_and.reduce([codes[:, D[name]] == value for name, value in fault.items()])


def named(suspect: Suspect) -> dict[str, int]:
    return {DIMENSIONS[d]: value for d, value in zip(suspect.subset, suspect.values, strict=True)}


def due(codes: np.ndarray) -> np.ndarray:
    return np.full(len(codes), RATE)


@pytest.mark.parametrize(
    "fault",
    [
        {"cdn": 1},
        {"isp": 3},
        {"device_type": 2},
        {"app_version": 1},
        {"country": 2},
        {"title_id": 3},
        {"isp": 1, "cdn": 0},
        {"device_type": 1, "app_version": 2},
        {"region": 2, "content_type": 1},
        {"cdn": 1, "title_id": 0},
        {"country": 0, "isp": 1, "cdn": 1},
        {"isp": 0, "device_type": 1, "connection_type": 1},
    ],
    ids=str,
)
def test_the_guilty_cohort_is_named_exactly(fault: dict[str, int]) -> None:
    codes = traffic(1)
    ranked = suspects(codes, with_faults(codes, fault), due(codes))
    assert named(ranked[0]) == fault
    np.testing.assert_array_equal(ranked[0].holds(codes), inside(codes, fault))


def test_a_fault_of_everyone_has_no_dimension() -> None:
    codes = traffic(1)
    ranked = suspects(codes, with_faults(codes, {}, rate=RATE) + (np.arange(len(codes)) % 10 == 0), due(codes))
    assert ranked[0].subset == ()


def test_of_equal_cohorts_the_one_with_fewer_dimensions_is_named() -> None:
    codes = traffic(1)
    codes[:, D["isp"]] = np.where(codes[:, D["region"]] == 4, 5, np.minimum(codes[:, D["isp"]], 4))
    codes[:, D["country"]] = np.where(codes[:, D["region"]] == 4, 2, codes[:, D["country"]])
    ranked = suspects(codes, with_faults(codes, {"region": 4}), due(codes))
    assert len(ranked[0].subset) == 1


def test_suspects_are_ranked_and_tell_what_they_hold() -> None:
    codes = traffic(3)
    seen = with_faults(codes, {"cdn": 1})
    ranked = suspects(codes, seen, due(codes), most=6)
    assert len(ranked) == 6
    assert [s.gain for s in ranked] == sorted((s.gain for s in ranked), reverse=True)
    for suspect in ranked:
        assert sum(suspect.observed) == seen[suspect.holds(codes)].sum()
        assert sum(suspect.expected) == pytest.approx(due(codes)[suspect.holds(codes)].sum())


def test_two_faults_are_named_one_after_the_other() -> None:
    codes, faults = traffic(4), ({"isp": 1, "cdn": 0}, {"app_version": 2})
    seen = with_faults(codes, *faults)
    first = suspects(codes, seen, due(codes))[0]
    left = ~first.holds(codes)
    second = suspects(codes[left], seen[left], due(codes)[left])[0]
    assert sorted((named(first), named(second)), key=str) == sorted(faults, key=str)


def test_signals_of_one_fault_add_up() -> None:
    """A fault too faint in each of two signals is named by both."""
    codes, fault = traffic(3), {"isp": 2, "cdn": 1}
    both = np.column_stack([with_faults(codes, fault, rate=0.09, seed=seed) for seed in (20, 21)])
    joint = suspects(codes, both, np.column_stack([due(codes)] * 2))[0]
    assert named(joint) == fault
    assert joint.gain > max(suspects(codes, column, due(codes))[0].gain for column in both.T)
    assert joint.excess == pytest.approx(both[joint.holds(codes)].sum() - 2 * due(codes)[joint.holds(codes)].sum())


def test_the_order_of_rows_does_not_matter() -> None:
    codes = traffic(5)
    seen, order = with_faults(codes, {"cdn": 2}), np.random.default_rng(1).permutation(len(codes))
    one, other = suspects(codes, seen, due(codes)), suspects(codes[order], seen[order], due(codes)[order])
    assert [named(s) for s in one] == [named(s) for s in other]


def test_rows_added_up_beforehand_name_the_same() -> None:
    codes = traffic(5)
    codes[:, TITLE] = 0
    seen = with_faults(codes, {"cdn": 2})
    unique, inverse = np.unique(codes, axis=0, return_inverse=True)
    sums = [np.bincount(inverse.ravel(), it, len(unique)) for it in (seen, due(codes))]
    assert named(suspects(unique, *sums)[0]) == named(suspects(codes, seen, due(codes))[0])


def test_missing_values_are_never_named() -> None:
    codes = traffic(6)
    codes[::2, D["isp"]] = MISSING
    seen = with_faults(codes, {"cdn": 1}) + (codes[:, D["isp"]] == MISSING)
    ranked = suspects(codes, seen, due(codes))
    assert ranked
    assert not any(MISSING in suspect.values for suspect in ranked)


def test_when_every_dimension_is_missing_only_everyone_is_left() -> None:
    codes = np.full((50, len(DIMENSIONS)), MISSING, np.int32)
    ranked = suspects(codes, np.ones(50), np.full(50, RATE))
    assert [suspect.subset for suspect in ranked] == [()]


def test_without_rows_or_impairments_nobody_is_suspect() -> None:
    codes = traffic(7)
    assert suspects(codes[:0], np.zeros(0), np.zeros(0)) == []
    assert suspects(codes, np.zeros(len(codes)), due(codes)) == []


def test_a_title_among_a_hundred_thousand_is_named_in_good_time() -> None:
    codes = traffic(9, 100_000, titles=50_000)
    codes[:, TITLE] = np.arange(100_000)
    codes[:300, TITLE] = 7
    seen = with_faults(codes, {"title_id": 7})
    start = time.perf_counter()
    ranked = suspects(codes, seen, due(codes))
    assert named(ranked[0]) == {"title_id": 7}
    assert time.perf_counter() - start < 10


def test_of_many_values_those_struck_most_compete() -> None:
    """Chance strikes hundreds of titles once each; the one that is struck again and again is not lost among them."""
    codes = np.zeros((60_000, len(DIMENSIONS)), np.int32)
    codes[:, TITLE] = np.r_[np.arange(500), np.full(100, 90_000), np.arange(59_400)]
    seen = (np.arange(60_000) < 600).astype(float)
    assert named(suspects(codes, seen, due(codes))[0]) == {"title_id": 90_000}
