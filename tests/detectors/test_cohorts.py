"""Numbers of cohorts: there and back, and the same members however one asks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.cohorts import (
    ALL_SUBSETS,
    NO_COHORT,
    TITLE,
    WATCHED,
    CohortIndex,
    cohort_keys,
    key_values,
    members,
    subset_keys,
    subsets,
)
from detectors.finding import Cohort
from detectors.observations import MISSING, Vocabularies
from telemetry.contract import DIMENSIONS

VALUES = 5
few = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def words() -> Vocabularies:
    words = Vocabularies()
    for name, vocabulary in zip(DIMENSIONS, words.dimensions, strict=True):
        vocabulary.encode(pa.chunked_array([[f"{name}-{i}" for i in range(VALUES)]]))
    return words


rows = st.lists(
    st.lists(st.integers(MISSING, VALUES - 1), min_size=len(DIMENSIONS), max_size=len(DIMENSIONS)),
    min_size=1,
    max_size=8,
).map(lambda it: np.array(it, np.int32))


def test_there_is_one_subset_for_every_few_dimensions() -> None:
    assert len(ALL_SUBSETS) == 1 + 9 + 36 + 84
    assert len(WATCHED) == 1 + 8 + 28 + 56 + 1
    assert [subset for subset in WATCHED if TITLE in subset] == [(TITLE,)]
    assert subsets((2, 5), 1) == ((), (2,), (5,))


@given(st.sampled_from(ALL_SUBSETS), st.lists(st.integers(0, (1 << 18) - 1), min_size=3, max_size=3))
def test_a_key_holds_its_values(subset: tuple[int, ...], values: list[int]) -> None:
    codes = np.full((1, len(DIMENSIONS)), MISSING, np.int32)
    codes[0, list(subset)] = values[: len(subset)]
    key = int(subset_keys(codes, ALL_SUBSETS.index(subset), subset)[0])
    assert key_values(key, subset) == tuple(values[: len(subset)])


def test_of_very_many_values_the_last_go_unnamed() -> None:
    codes = np.full((2, len(DIMENSIONS)), 1 << 18, np.int32)
    keys = cohort_keys(codes, ALL_SUBSETS)
    assert (keys[:, 0] == 0).all()
    assert (keys[:, 1:] == NO_COHORT).all()


@few
@given(rows)
def test_keys_of_different_cohorts_differ(codes: np.ndarray) -> None:
    keys = cohort_keys(codes, ALL_SUBSETS)
    named = {
        (i, tuple(codes[row, list(s)])): int(keys[row, i])
        for row in range(len(codes))
        for i, s in enumerate(ALL_SUBSETS)
        if keys[row, i] != NO_COHORT
    }
    assert len(set(named.values())) == len(named)


@few
@given(rows)
def test_keys_of_all_subsets_are_the_keys_of_each(codes: np.ndarray) -> None:
    one_by_one = [subset_keys(codes, number, subset) for number, subset in enumerate(ALL_SUBSETS)]
    np.testing.assert_array_equal(cohort_keys(codes, ALL_SUBSETS), np.column_stack(one_by_one))


@few
@given(rows)
def test_the_index_and_membership_agree(words: Vocabularies, codes: np.ndarray) -> None:
    index = CohortIndex()
    units = index.units(codes)
    for unit in range(len(index)):
        listed = (units == unit).any(axis=1)
        np.testing.assert_array_equal(listed, members(words, codes, index.cohort(unit, words)))


@few
@given(rows, rows)
def test_a_cohort_keeps_its_number(words: Vocabularies, first: np.ndarray, second: np.ndarray) -> None:
    index = CohortIndex()
    before = index.units(first)
    names = [index.cohort(unit, words) for unit in range(len(index))]
    index.units(second)
    np.testing.assert_array_equal(index.units(first), before)
    assert [index.cohort(unit, words) for unit in range(len(names))] == names


@few
@given(rows)
def test_a_missing_value_is_in_no_cohort_that_names_it(codes: np.ndarray) -> None:
    units = CohortIndex(ALL_SUBSETS).units(codes)
    for i, subset in enumerate(ALL_SUBSETS):
        gone = (codes[:, list(subset)] == MISSING).any(axis=1)
        np.testing.assert_array_equal(units[:, i] == NO_COHORT, gone)


def test_everyone_is_the_cohort_of_no_values(words: Vocabularies) -> None:
    codes = np.full((2, len(DIMENSIONS)), MISSING, np.int32)
    index = CohortIndex()
    assert index.cohort(int(index.units(codes)[0, 0]), words) == Cohort()
    assert members(words, codes, Cohort()).all()


def test_a_value_never_seen_has_no_members(words: Vocabularies) -> None:
    codes = np.full((2, len(DIMENSIONS)), MISSING, np.int32)
    assert not members(words, codes, Cohort.of({"cdn": "never"})).any()


@pytest.mark.parametrize("values", [(("planet", "x"),), (("cdn", "a"), ("cdn", "b"))])
def test_a_cohort_names_known_dimensions_once(values) -> None:
    with pytest.raises(ValueError, match="at most once"):
        Cohort(values)


@given(st.dictionaries(st.sampled_from(DIMENSIONS), st.text(max_size=20), max_size=4))
def test_a_cohort_is_read_back_from_its_json(values: dict[str, str]) -> None:
    assert Cohort.from_json(Cohort.of(values).json) == Cohort.of(values)
    assert Cohort.of(dict(reversed(values.items()))) == Cohort.of(values)
