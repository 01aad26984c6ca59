"""What every detector keeps to, whatever it computes."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import fields, replace

import numpy as np
import pytest

from detectors.evidence import Detector, Evidence
from detectors.registry import DETECTORS, UnknownDetectorError, make_detector

NOON = 5_900_000
UNITS = 12
NAMES = sorted(DETECTORS)
ORDERLY = [name for name in NAMES if name != "subscriber_run"]
"""Those for which evidence only adds up; the run of a subscriber's sessions is read in order and never unread."""
DIRECTED = ["cohort_scan", "subscriber_run"]
"""Those that promise that worse never scores lower."""

every = pytest.mark.parametrize("name", NAMES)


def taught(name: str, *parts: Evidence, units: int = UNITS) -> Detector:
    """A detector that has learnt the parts, one slot after the other."""
    detector = make_detector(name)
    for i, part in enumerate(parts):
        detector.learn(part, units, NOON + i)
    return detector


def answer(detector: Detector, evidence: Evidence | None = None, units: int = UNITS, slot: int = 5) -> np.ndarray:
    return detector.score(Evidence.empty() if evidence is None else evidence, units, NOON + slot)


def shuffled(evidence: Evidence, seed: int = 3) -> Evidence:
    return evidence.take(np.random.default_rng(seed).permutation(len(evidence)))


def negated(evidence: Evidence) -> Evidence:
    return replace(evidence, observed=-evidence.observed, expected=-evidence.expected, exposures=-evidence.exposures)


@every
def test_it_is_a_detector(name: str) -> None:
    assert isinstance(make_detector(name), Detector)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownDetectorError, match=r"no detector 'z_score'; there are cohort_scan, .*subscriber_run\."):
        make_detector("z_score")


@every
def test_parameters_are_stored_as_given(name: str) -> None:
    make = DETECTORS[name]
    names = [it for it in inspect.signature(make).parameters if not it.startswith("_")]
    given = {parameter: 3 + i for i, parameter in enumerate(names)} if name != "subscriber_run" else {
        "hazard": 0.01, "impaired_share": 0.5, "most_odds": 9.0
    }  # fmt: skip
    assert set(given) == set(names)
    detector = make(**given)
    assert {parameter: getattr(detector, parameter) for parameter in names} == given


@every
def test_the_input_is_left_alone(name: str, drawn) -> None:
    given, kept = drawn(1), copy.deepcopy(drawn(1))
    detector = taught(name, given)
    answer(detector, given)
    assert all(np.array_equal(getattr(given, f.name), getattr(kept, f.name)) for f in fields(given))


@every
def test_instances_share_nothing(name: str, drawn) -> None:
    one, other = taught(name, drawn(1)), taught(name, drawn(1))
    expected = answer(other, drawn(2))
    one.learn(drawn(3, worse=(4,)), UNITS, NOON + 1)
    np.testing.assert_array_equal(answer(other, drawn(2)), expected)


@every
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))], ids=["copy", "pickle"])
def test_a_copy_goes_on_as_the_original_would(name: str, copied, drawn) -> None:
    detector = taught(name, drawn(1), drawn(2))
    twin = copied(detector)
    detector.learn(drawn(3), UNITS, NOON + 3)
    twin.learn(drawn(3), UNITS, NOON + 3)
    np.testing.assert_array_equal(answer(twin, drawn(4)), answer(detector, drawn(4)))


@every
def test_the_same_seed_gives_the_same_answer(name: str, drawn) -> None:
    one, other = (answer(taught(name, drawn(1), drawn(2)), drawn(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@every
def test_no_evidence_is_safe(name: str) -> None:
    detector = make_detector(name)
    detector.learn(Evidence.empty(), 0, NOON)
    assert answer(detector, units=0).shape == (0,)
    assert np.isfinite(answer(detector, units=UNITS)).all()


@pytest.mark.parametrize("name", [it for it in NAMES if it != "random"])
def test_units_never_heard_of_score_nothing(name: str, drawn) -> None:
    scores = answer(taught(name, drawn(1), drawn(2)), units=UNITS + 5)
    assert (scores[UNITS:] == 0).all()


@every
def test_there_is_a_score_for_every_unit(name: str, drawn) -> None:
    detector = taught(name, drawn(1))
    assert answer(detector, drawn(2), units=500).shape == (500,)
    assert answer(detector, drawn(2), units=UNITS).shape == (UNITS,)


@every
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_broken_numbers_do_not_break_scores(name: str, broken: float, drawn) -> None:
    good = drawn(1)
    parts = []
    for field in ("observed", "expected", "exposures"):
        values = getattr(drawn(2), field).copy()
        values[::3] = broken
        parts.append(replace(drawn(2), **{field: values}))
    scores = answer(taught(name, good, *parts), parts[0])
    assert np.isfinite(scores).all()


@every
def test_rows_of_no_unit_count_for_nothing(name: str, drawn) -> None:
    good = drawn(1)
    stray = replace(drawn(2), unit=np.full(len(drawn(2)), -1))
    one, other = taught(name, good), taught(name, Evidence.concat([good, stray]))
    np.testing.assert_array_equal(answer(one), answer(other))


@every
def test_the_order_of_rows_does_not_matter(name: str, drawn) -> None:
    one, other = taught(name, drawn(1), drawn(2)), taught(name, shuffled(drawn(1)), shuffled(drawn(2)))
    np.testing.assert_allclose(answer(other, shuffled(drawn(3))), answer(one, drawn(3)), atol=1e-4)


@every
def test_a_window_split_in_two_teaches_the_same(name: str, drawn) -> None:
    whole = drawn(2)
    early = whole.slot <= np.median(whole.slot)
    one, other = taught(name, drawn(1)), taught(name, drawn(1))
    one.learn(whole, UNITS, NOON + 1)
    other.learn(whole.take(early), UNITS, NOON + 1)
    other.learn(whole.take(~early), UNITS, NOON + 1)
    np.testing.assert_allclose(answer(other, drawn(3)), answer(one, drawn(3)), atol=1e-4)


@every
def test_scoring_teaches_nothing(name: str, drawn) -> None:
    asked, unasked = taught(name, drawn(1)), taught(name, drawn(1))
    first = answer(asked, drawn(2, worse=(1, 2)))
    np.testing.assert_array_equal(answer(asked, drawn(2, worse=(1, 2))), first)
    for detector in (asked, unasked):
        detector.learn(drawn(3), UNITS, NOON + 1)
    np.testing.assert_array_equal(answer(asked, drawn(4)), answer(unasked, drawn(4)))


@pytest.mark.parametrize("name", ["cohort_scan", "subscriber_run"])
def test_a_score_counts_what_is_not_learnt_yet(name: str, drawn) -> None:
    ahead = answer(taught(name, drawn(1)), drawn(2, worse=(5,)), slot=1)
    after = answer(taught(name, drawn(1), drawn(2, worse=(5,))), slot=1)
    np.testing.assert_allclose(ahead, after, atol=1e-4)
    assert ahead.argmax() == 5


@pytest.mark.parametrize("name", ORDERLY)
def test_evidence_can_be_taken_back(name: str, drawn) -> None:
    mistake = drawn(2, worse=(3,))
    corrected = taught(name, drawn(1), Evidence.concat([drawn(4), mistake]), negated(mistake))
    spared = taught(name, drawn(1), drawn(4), Evidence.empty())
    np.testing.assert_allclose(answer(corrected, drawn(5)), answer(spared, drawn(5)), atol=1e-3)


@pytest.mark.parametrize("name", DIRECTED)
@pytest.mark.parametrize("seed", range(8))
def test_worse_never_scores_lower(name: str, seed: int, drawn) -> None:
    before, now = drawn(seed), drawn(seed + 100, rows=60)
    good = np.flatnonzero(now.observed == 0)
    worse = now.observed.copy()
    worse[np.random.default_rng(seed).choice(good, 10, replace=False)] = 1
    detector = taught(name, before)
    assert (answer(detector, replace(now, observed=worse)) >= answer(detector, now) - 1e-9).all()


@pytest.mark.parametrize("name", DIRECTED)
def test_the_bad_unit_scores_highest(name: str, drawn) -> None:
    assert answer(taught(name, drawn(1)), drawn(2, worse=(6,))).argmax() == 6


def test_the_run_of_sessions_passes_over_what_is_taken_back(drawn) -> None:
    taken_back = taught("subscriber_run", drawn(1), negated(drawn(2)))
    np.testing.assert_array_equal(answer(taken_back), answer(taught("subscriber_run", drawn(1))))


@every
def test_one_exposure_is_safe(name: str, evidence) -> None:
    detector = taught(name, evidence((0, 0, 1.0, 0.05)), units=1)
    scores = answer(detector, evidence((0, 1, 1.0, 0.05)), units=1)
    assert scores.shape == (1,)
    assert np.isfinite(scores).all()


@every
def test_a_constant_series_is_safe(name: str, evidence) -> None:
    detector = make_detector(name)
    for slot in range(30):
        detector.learn(evidence(*((unit, slot, 0.0, 0.01) for unit in range(3))), 3, NOON + slot)
    scores = answer(detector, evidence((0, 30, 0.0, 0.01)), units=3, slot=30)
    assert np.isfinite(scores).all()
    assert name == "random" or (scores < 0.5).all()


@every
def test_years_of_silence_are_safe(name: str, drawn) -> None:
    detector = taught(name, drawn(1, worse=(2,)))
    late = NOON + 3 * 365 * 288
    detector.learn(Evidence.empty(), UNITS, late)
    assert np.isfinite(detector.score(Evidence.empty(), UNITS, late + 1)).all()


@every
def test_evidence_of_years_ago_is_safe(name: str, drawn) -> None:
    old = replace(drawn(2), slot=drawn(2).slot - 3 * 365 * 288)
    assert np.isfinite(answer(taught(name, drawn(1), old), old)).all()


@every
def test_many_units_are_safe(name: str) -> None:
    units = 100_000
    rng = np.random.default_rng(0)
    new = Evidence(
        rng.integers(0, units, 20_000), np.full(20_000, NOON), np.ones(20_000), np.full(20_000, 0.1), np.ones(20_000)
    )
    detector = taught(name, new, units=units)
    scores = detector.score(new, units, NOON + 1)
    assert scores.shape == (units,)
    assert np.isfinite(scores).all()
