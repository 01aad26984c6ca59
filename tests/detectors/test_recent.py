"""What is kept up to date is what would be built afresh."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.cohorts import NO_COHORT, TITLE, CohortIndex
from detectors.evidence import Evidence
from detectors.observations import MISSING, SIGNALS, Flags, Observations
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts, RateModel
from detectors.recent import Change, Recent
from telemetry.contract import DIMENSIONS

NOON = 5_900_000
MEMORY = 6
LENGTH = 24
"""Slots that are remembered; several times the memory of an impairment, as in life."""
SUBSETS = ((), (0,), (3,), (0, 3), (TITLE,))


@pytest.fixture(scope="module")
def model() -> RateModel:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, (400, len(MODEL_DIMENSIONS))).astype(np.int32)
    exposed = np.full((400, len(SIGNALS)), 50.0)
    return RateModel().fit(
        HourlyCounts(codes, np.arange(400), exposed, exposed, rng.poisson(2.0, (400, 4)) + 0.0, exposed)
    )


def batch(make_observed, seed: int, first: int, width: int) -> Observations:
    """Random slices of few people and sessions, one a session and slot; a session keeps its person and codes."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(30 * width, rng.integers(0, 25), replace=False)
    session = (keys % 30).astype(np.int32)
    n = len(keys)
    codes = np.random.default_rng(0).integers(MISSING, 3, (30, len(DIMENSIONS))).astype(np.int32)[session]
    return make_observed(
        n,
        session=session,
        subscriber=(session // 4).astype(np.int32),
        slot=first + keys // 30,
        codes=codes,
        exposed=rng.random((n, 4)) < 0.8,
        bad=rng.random((n, 4)) < 0.2,
    )


def explain_by(faults: list[tuple[int, int]]) -> Callable[[Observations], Flags]:
    """Some known faults: a delivery network from a slot on."""

    def explain(rows: Observations) -> Flags:
        flags = np.zeros((len(rows), len(SIGNALS)), bool)
        for cdn, slot in faults:
            flags[(rows.codes[:, 3] == cdn) & (rows.slot >= slot), :3] = True
        return flags

    return explain


def spread(changes: Iterable[Change]) -> list[list[Evidence]]:
    """The evidence of changes, piece by piece, each by signal."""
    return [piece for change in changes for piece in change.pieces()]


def together(changes: Iterable[Change]) -> list[Evidence]:
    """The evidence of changes by signal."""
    return [Evidence.concat([Evidence.empty(), *parts]) for parts in zip(*spread(changes), strict=True)]


def lengths(changes: Iterable[Change]) -> list[int]:
    """How much evidence there is of each signal."""
    return [sum(len(piece[signal]) for piece in spread(changes)) for signal in range(len(SIGNALS))]


def totals(index: CohortIndex, evidence: list[list[Evidence]]) -> dict[tuple[int, int, int], np.ndarray]:
    """Sums by signal, cohort key and slot, without what cancels out."""
    sums: dict[tuple[int, int, int], np.ndarray] = {}
    for parts in evidence:
        for signal, new in enumerate(parts):
            for i in range(len(new)):
                place = (signal, index._keys[int(new.unit[i])], int(new.slot[i]))
                numbers = np.array([new.observed[i], new.expected[i], new.exposures[i]])
                sums[place] = sums.get(place, np.zeros(3)) + numbers
    return {place: numbers for place, numbers in sums.items() if np.abs(numbers).max() > 1e-9}


def test_a_day_kept_up_to_date_is_the_day_built_afresh(model, make_observed) -> None:
    """Later batches change older slices, and known faults come and go in between."""

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 1 << 20), st.booleans()), min_size=1, max_size=6))
    def holds(steps: list[tuple[int, bool]]) -> None:
        hot, faults, gathered = Recent(model, CohortIndex(SUBSETS), MEMORY), [], []
        for number, (seed, turn) in enumerate(steps):
            first = NOON + 4 * number
            changed = batch(make_observed, seed, first - 4, 8)
            gathered.extend(spread(hot.update(changed, explain_by(faults), NOON - 100)))
            if turn:
                faults = [*faults, (seed % 3, first)] if len(faults) < 2 else []
                gathered.extend(spread(hot.explain(explain_by(faults)(hot.rows))))
        fresh = Recent(model, CohortIndex(SUBSETS), MEMORY)
        built = spread(fresh.update(hot.rows, explain_by(faults), NOON - 100))
        ours, theirs = totals(hot.index, gathered), totals(fresh.index, built)
        ours = {place: numbers for place, numbers in ours.items() if is_watched(fresh, place[1])}
        assert ours.keys() == theirs.keys()
        assert all(np.allclose(ours[place], theirs[place]) for place in ours)
        same_rows(hot, fresh)

    holds()


def is_watched(recent: Recent, key: int) -> bool:
    """Whether a cohort is no title, or one of which somebody is struck still."""
    subset, title = divmod(key, 1 << 18)
    return subset != SUBSETS.index((TITLE,)) or bool(recent.titles[title])


def same_rows(hot: Recent, fresh: Recent) -> None:
    one, other = np.argsort(hot.rows.key), np.argsort(fresh.rows.key)
    for name in ("key", "at_risk", "fresh", "codes"):
        np.testing.assert_array_equal(getattr(hot.rows, name)[one], getattr(fresh.rows, name)[other])
    np.testing.assert_allclose(hot.expected[one], fresh.expected[other])
    np.testing.assert_array_equal(hot.explained[one], fresh.explained[other])


def nothing(rows: Observations) -> Flags:
    return np.zeros((len(rows), len(SIGNALS)), bool)


def test_what_is_old_is_forgotten(model, make_observed) -> None:
    recent = Recent(model, CohortIndex(SUBSETS), MEMORY)
    recent.update(make_observed(3, slot=np.array([NOON, NOON + 5, NOON + 9])), nothing, NOON)
    recent.update(make_observed(1, session=np.array([9], np.int32), slot=np.array([NOON + 20])), nothing, NOON + 6)
    assert sorted(recent.rows.slot) == [NOON + 9, NOON + 20]
    assert len(recent.expected) == len(recent.explained) == 2


def test_a_slice_that_comes_again_is_no_evidence(model, make_observed) -> None:
    recent = Recent(model, CohortIndex(SUBSETS), MEMORY)
    rows = make_observed(5, bad=np.eye(5, 4, dtype=bool))
    recent.update(rows, nothing, NOON)
    assert lengths(recent.update(rows, nothing, NOON)) == [0, 0, 0, 0]


def test_no_slices_are_no_evidence(model) -> None:
    recent = Recent(model, CohortIndex(SUBSETS), MEMORY)
    assert lengths(recent.update(Observations.empty(), nothing, NOON)) == [0, 0, 0, 0]


def test_a_struck_slice_counts_in_each_of_its_cohorts_once(model, make_observed) -> None:
    recent = Recent(model, CohortIndex(SUBSETS), MEMORY)
    codes = np.zeros((1, len(DIMENSIONS)), np.int32)
    codes[0, 3] = MISSING
    evidence = together(recent.update(make_observed(1, codes=codes, bad=np.ones((1, 4), bool)), nothing, NOON))
    assert [it.observed.tolist() for it in evidence] == [[1.0, 1.0, 1.0]] * 4


def test_a_title_is_watched_from_its_first_victim_on_with_all_that_was_due_before(model, make_observed) -> None:
    recent, codes = Recent(model, CohortIndex(((TITLE,),)), MEMORY), np.zeros((4, len(DIMENSIONS)), np.int32)
    codes[:, TITLE] = [0, 0, 1, 1]
    assert lengths(recent.update(make_observed(4, codes=codes), nothing, NOON)) == [0, 0, 0, 0]
    assert (recent.unwatched_titles(NOON, range(len(SIGNALS))) > 0).all()
    struck = make_observed(1, session=np.array([9], np.int32), subscriber=np.array([9], np.int32))
    struck = replace(struck, codes=codes[:1], bad=np.array([[True, False, False, False]]))
    for signal, it in enumerate(together(recent.update(struck, nothing, NOON))):
        assert it.observed.sum() == (signal == 0)
        assert it.expected.sum() == pytest.approx(recent.expected[recent.rows.codes[:, TITLE] == 0, signal].sum())
    assert recent.titles.tolist() == [True, False]


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
def test_evidence_is_the_same_in_the_same_order_however_much_is_spread_at_once(
    at_once, model, make_observed, monkeypatch
) -> None:
    monkeypatch.setattr("detectors.recent.ROWS_AT_ONCE", at_once)
    changes = Recent(model, CohortIndex(SUBSETS), MEMORY).update(batch(make_observed, 5, NOON, 8), nothing, NOON - 100)
    for number, found in enumerate(together(changes)):
        spread_at_once = [c.index.spread(c.places)[c.at_risk[:, number]] for c in changes]
        units = np.concatenate([units.ravel() for units in spread_at_once])
        np.testing.assert_array_equal(found.unit, units[units != NO_COHORT])
        slots = np.concatenate(
            [np.repeat(c.slot[c.at_risk[:, number]], u.shape[1]) for c, u in zip(changes, spread_at_once, strict=True)]
        )
        np.testing.assert_array_equal(found.slot, slots[units != NO_COHORT])
