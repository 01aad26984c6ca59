"""The cause of a minute among leaves: named exactly, whatever the labels, the order and the size."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import comb

from detectors.leaf_causes import MinuteCounts, rank_causes
from detectors.leaf_cohorts import Cohort, LeafCohorts, holds, holds_any
from detectors.leaf_rates import PastCounts, log_beta_binomial, typical_rate, usual_rates
from detectors.observations import MISSING

LEAVES = np.array(list(product(range(3), range(4), range(2))), np.int32)
RATE = 0.02


def counts(*struck: Cohort, seed: int = 1, minutes: int = 8, effect: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Return stalled and all viewers of the leaves; in the last minute some cohorts are struck."""
    rng = np.random.default_rng(seed)
    size = rng.integers(30, 3000, len(LEAVES))
    seen = np.tile(size, (minutes, 1)).astype(float)
    chance = np.full(seen.shape, RATE)
    chance[-1, holds_any(LEAVES, struck)] += effect
    return rng.binomial(seen.astype(int), chance).astype(float), seen


def first_of(leaves: np.ndarray, struck: np.ndarray, seen: np.ndarray) -> set[Cohort]:
    return set(rank_causes(LeafCohorts(leaves), [last_of(struck, seen)])[0].cohorts)


def last_of(struck: np.ndarray, seen: np.ndarray) -> MinuteCounts:
    return MinuteCounts(struck[-1], seen[-1], PastCounts(struck[:-1], seen[:-1]))


@pytest.mark.parametrize(
    "cause",
    [
        [((0, 1),)],
        [((1, 2),)],
        [((2, 0),)],
        [((0, 1), (1, 3))],
        [((1, 0), (2, 1))],
        [((0, 2), (1, 1), (2, 0))],
        [((1, 0),), ((1, 2),)],
        [((0, 0), (1, 0)), ((0, 2), (1, 3))],
    ],
    ids=str,
)
def test_the_cause_is_named_exactly(cause: list[Cohort]) -> None:
    assert first_of(LEAVES, *counts(*cause)) == set(cause)


def test_a_leaf_that_does_not_respond_does_not_change_the_name() -> None:
    struck, seen = counts(((1, 2),))
    quiet = int(np.flatnonzero(holds(LEAVES, ((1, 2),)))[0])
    struck[-1, quiet] = struck[-2, quiet]
    assert first_of(LEAVES, struck, seen) == {((1, 2),)}


def test_one_leaf_struck_by_chance_does_not_change_the_name() -> None:
    struck, seen = counts(((0, 1),))
    struck[-1, -1] = 0.5 * seen[-1, -1]
    assert first_of(LEAVES, struck, seen) == {((0, 1),)}


def minute(cohort: Cohort, seed: int = 3) -> MinuteCounts:
    return last_of(*counts(cohort, seed=seed))


def test_minutes_together_name_what_one_alone_does_not() -> None:
    part, other = minute(((0, 1), (2, 0))), minute(((0, 1), (2, 1)))
    named = [rank_causes(LeafCohorts(LEAVES), minutes)[0].cohorts for minutes in ([part], [other], [part, other])]
    assert named[:2] == [(((0, 1), (2, 0)),), (((0, 1), (2, 1)),)]
    assert (holds_any(LEAVES, named[2]) == holds(LEAVES, ((0, 1),))).all()


def test_a_minute_counted_twice_changes_nothing() -> None:
    once, twice = (rank_causes(LeafCohorts(LEAVES), [minute(((1, 2),))] * times) for times in (1, 2))
    assert [cause.cohorts for cause in once] == [cause.cohorts for cause in twice]
    assert [cause.score for cause in once] == pytest.approx([cause.score for cause in twice])


def split_counts(strays: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return leaves split by a fourth attribute, of which one value has most viewers, and their counts.

    Value 2 of the second attribute is struck where the third is 1. Where it is 0, only small leaves are, by themselves.
    """
    rng = np.random.default_rng(seed)
    leaves = np.array(list(product(range(3), range(4), range(2), range(8))), np.int32)
    share = np.where(leaves[:, 3] == 0, 0.8, 0.2 / 7)
    seen = np.tile((rng.integers(500, 3000, 24).repeat(8) * share).round(), (8, 1))
    chance = np.full(seen.shape, RATE)
    chance[-1, holds(leaves, ((1, 2), (2, 1)))] += 0.3
    chance[-1, holds(leaves, ((1, 2), (2, 0))) & (leaves[:, 3] > 0) & (leaves[:, 3] <= strays)] = 0.25
    return leaves, rng.binomial(seen.astype(int), chance).astype(float), seen


@pytest.mark.parametrize("strays", [0, 4, 7])
@pytest.mark.parametrize("seed", range(3))
def test_leaves_split_by_what_does_not_matter_do_not_outvote_a_large_one(strays: int, seed: int) -> None:
    assert first_of(*split_counts(strays, seed)) == {((1, 2), (2, 1))}


@pytest.mark.parametrize("seed", range(3))
def test_leaves_struck_by_themselves_do_not_speak_for_all_they_are_merged_with(seed: int) -> None:
    rng = np.random.default_rng(seed)
    leaves = np.array(list(product(range(3), range(4), range(2), range(12))), np.int32)
    seen = np.tile(rng.integers(20, 200, len(leaves)), (8, 1)).astype(float)
    chance = np.full(seen.shape, RATE)
    chance[-1, holds(leaves, ((1, 2), (2, 1)))] += 0.12
    chance[-1, rng.choice(np.flatnonzero(~holds(leaves, ((1, 2), (2, 1)))), 25, replace=False)] += 0.15
    struck = rng.binomial(seen.astype(int), chance).astype(float)
    assert first_of(leaves, struck, seen) == {((1, 2), (2, 1))}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 500), st.integers(0, 2)), min_size=1, max_size=12))
def test_merged_counts_keep_their_rate_and_say_no_more_than_their_sum(rows: list[tuple[int, int, int]]) -> None:
    struck, fine, place = np.array(rows, float).T
    place = np.unique(place, return_inverse=True)[1]
    none = np.zeros((0, len(rows)))
    merged = MinuteCounts(struck, struck + fine, PastCounts(none, none)).merged(place)
    seen = np.bincount(place, struck + fine)
    assert (merged.seen <= seen + 1e-9).all()
    assert merged.struck * seen == pytest.approx(np.bincount(place, struck) * merged.seen)


def test_merged_leaves_that_agree_add_up_and_others_say_less() -> None:
    none, seen = np.zeros((0, 4)), np.full(4, 100.0)
    alike, unlike = np.full(4, 10.0), np.array([0.0, 40, 0, 0])
    whole = [MinuteCounts(k, seen, PastCounts(none, none)).merged(np.zeros(4, int)).seen[0] for k in (alike, unlike)]
    assert whole[0] == 400
    assert whole[1] < 400 / 10


def test_an_explained_leaf_speaks_only_against_a_cause() -> None:
    found = minute(((1, 2), (2, 1)))
    explained = MinuteCounts(found.struck, found.seen, found.past, holds(LEAVES, ((2, 0),)))
    assert rank_causes(LeafCohorts(LEAVES), [explained])[0].cohorts == (((1, 2), (2, 1)),)
    struck = MinuteCounts(found.struck, found.seen, found.past, holds(LEAVES, ((1, 2),)))
    assert all(((1, 2), (2, 1)) not in cause.cohorts for cause in rank_causes(LeafCohorts(LEAVES), [struck]))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([((0, 1),), ((1, 2), (2, 0)), ((0, 0), (1, 1))]))
def test_relabelling_values_and_reordering_leaves_change_nothing(random, cause: Cohort) -> None:
    struck, seen = counts(cause)
    names = [random.sample(range(50), 4) for _ in range(3)]
    order = np.array(random.sample(range(len(LEAVES)), len(LEAVES)))
    relabelled = np.column_stack([np.array(names[a])[LEAVES[:, a]] for a in range(3)]).astype(np.int32)[order]
    expected = {tuple((a, names[a][v]) for a, v in cohort) for cohort in first_of(LEAVES, struck, seen)}
    assert first_of(relabelled, struck[:, order], seen[:, order]) == expected


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-1, 2)] * 3), min_size=1, max_size=20, unique=True))
def test_sums_over_cohorts_are_sums_over_their_leaves(rows: list[tuple[int, ...]]) -> None:
    leaves = np.array(rows, np.int32)
    cohorts, values = LeafCohorts(leaves), np.arange(1.0, len(rows) + 1)
    sums = cohorts.sums(values) if len(cohorts) else np.zeros(0)
    for number in range(len(cohorts)):
        cohort = cohorts.cohort(number)
        assert MISSING not in [code for _, code in cohort]
        assert sums[number] == values[holds(leaves, cohort)].sum()
    assert len({cohorts.cohort(number) for number in range(len(cohorts))}) == len(cohorts)


def test_an_attribute_with_one_value_is_never_named() -> None:
    struck, seen = counts(((0, 1),))
    leaves = np.column_stack([LEAVES, np.zeros(len(LEAVES), np.int32)]).astype(np.int32)
    assert first_of(leaves, struck, seen) == {((0, 1),)}
    assert not len(LeafCohorts(leaves[:1]))


def test_many_attributes_are_tried_only_a_few_at_a_time() -> None:
    leaves = np.random.default_rng(1).integers(0, 2, (30, 14)).astype(np.int32)
    assert {len(subset) for subset in LeafCohorts(leaves).subsets} == {1, 2}


def test_without_viewers_or_cohorts_nothing_is_named() -> None:
    nobody = np.zeros(len(LEAVES))
    past = PastCounts(nobody[None], nobody[None])
    assert rank_causes(LeafCohorts(LEAVES), [MinuteCounts(nobody, nobody, past)]) == []
    assert rank_causes(LeafCohorts(LEAVES[:, :0]), [MinuteCounts(nobody, nobody + 5, past)]) == []
    assert rank_causes(LeafCohorts(LEAVES), []) == []


def test_a_struck_past_minute_teaches_little() -> None:
    struck, seen = counts()
    calm = usual_rates(struck, seen, weight=30, wander=5e-4)
    struck[3, 5] = 0.6 * seen[3, 5]
    assert usual_rates(struck, seen, weight=30, wander=5e-4).rate[5] < 2 * calm.rate[5] + 0.01


def test_a_restless_leaf_is_less_sure_than_a_steady_one() -> None:
    rng = np.random.default_rng(3)
    seen = np.full((20, 2), 5000.0)
    struck = np.column_stack([np.full(20, 100), 100 + 60 * rng.standard_normal(20)]).round()
    strength = usual_rates(np.maximum(struck, 0), seen, weight=30, wander=5e-4).strength
    assert strength[0] > 3 * strength[1]


def test_the_typical_rate_is_not_moved_by_a_struck_minority() -> None:
    struck, seen = counts()
    before = typical_rate(struck, seen)
    struck[:, :8] = 0.7 * seen[:, :8]
    assert typical_rate(struck, seen) < 3 * before


def test_beta_binomial_likelihoods_sum_to_one() -> None:
    k = np.arange(11.0)
    total = (comb(10, k) * np.exp(log_beta_binomial(k, np.full(11, 10.0), 0.3, 5.0))).sum()
    assert total == pytest.approx(1)
