"""One person's sessions in a row: how sure we are that a fault of their own has begun."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.evidence import Evidence
from detectors.subscriber_run import NEVER, SubscriberRun

NOON = 5_900_000
P0 = 0.03
GOOD, BAD = 0.0, 1.0


def after(evidence, *sessions: float, expected: float = P0) -> SubscriberRun:
    run = SubscriberRun()
    run.learn(evidence(*((0, i, impaired, expected) for i, impaired in enumerate(sessions))), 1, NOON)
    return run


def probability(run: SubscriberRun) -> float:
    return float(run.probability(1)[0])


def test_the_posterior_by_hand(evidence) -> None:
    rho, p1 = 0.0015, 0.7
    odds = rho / (1 - rho)
    for ratio in (p1 / P0, (1 - p1) / (1 - P0), p1 / P0):
        odds = (odds + rho) / (1 - rho) * ratio
    assert probability(after(evidence, BAD, GOOD, BAD)) == pytest.approx(odds / (1 + odds))


def test_nothing_known_is_nothing_suspected() -> None:
    run = SubscriberRun()
    np.testing.assert_array_equal(run.current(3), 0)
    np.testing.assert_allclose(run.probability(3), run.hazard)
    assert run.resting(3).all()


@pytest.mark.parametrize(
    ("sessions", "certain"),
    [
        ((BAD,), False),
        ((GOOD,) * 30, False),
        ((BAD, BAD, BAD), True),
        ((BAD, BAD, GOOD, BAD, BAD), True),
        ((BAD, GOOD, GOOD, GOOD, GOOD, BAD), False),
        ((BAD, BAD, BAD, *(GOOD,) * 12), False),
    ],
    ids=["one bad", "all good", "three bad", "one good among bad", "rarely bad", "long well again"],
)
def test_when_we_are_sure(sessions: tuple[float, ...], certain: bool, evidence) -> None:
    assert (probability(after(evidence, *sessions)) > 0.85) is certain


def test_a_long_good_past_does_not_hide_a_bad_evening(evidence) -> None:
    short, long = after(evidence, GOOD, BAD, BAD, BAD), after(evidence, *(GOOD,) * 500, BAD, BAD, BAD)
    assert probability(long) == pytest.approx(probability(short), abs=0.02)


def test_what_is_usual_for_a_person_is_no_fault(evidence) -> None:
    assert probability(after(evidence, BAD, BAD, BAD, expected=0.6)) < 0.05


def test_certainty_is_held_so_that_an_end_can_be_seen(evidence) -> None:
    run = after(evidence, *(BAD,) * 100)
    assert run.current(1)[0] == pytest.approx(run.most_odds - run.rest)
    assert probability(after(evidence, *(BAD,) * 100, *(GOOD,) * 20)) < 0.05


def test_a_run_knows_since_when_and_how_often(evidence) -> None:
    state = after(evidence, GOOD, GOOD, BAD, GOOD, BAD, BAD).state_
    assert (state.since[0], state.impaired[0], state.sessions[0]) == (NOON + 2, 3, 4)
    assert after(evidence, GOOD, GOOD).state_.since[0] == NEVER


def test_people_do_not_mix(evidence) -> None:
    run = SubscriberRun()
    rows = [(person, i, float(person == 1), P0) for i in range(6) for person in range(3)]
    run.learn(evidence(*rows), 3, NOON)
    np.testing.assert_array_equal(run.probability(3) > 0.9, [False, True, False])
    assert run.current(3)[0] == run.current(3)[2]


def test_odds_are_calibrated() -> None:
    """Of those found, about as many are false as the posterior says."""
    rng = np.random.default_rng(4)
    people, sessions, run = 20_000, 20, SubscriberRun(hazard=0.002, impaired_share=0.7)
    began = rng.geometric(run.hazard, people) - 1
    faulty = np.arange(sessions)[None, :] >= began[:, None]
    bad = rng.random((people, sessions)) < np.where(faulty, 0.7, P0)
    unit, slot = np.repeat(np.arange(people), sessions), NOON + np.tile(np.arange(sessions), people)
    n = people * sessions
    run.learn(Evidence(unit, slot, bad.ravel().astype(float), np.full(n, P0), np.ones(n)), people, NOON)
    found = run.probability(people) >= 0.5
    assert found.sum() > 100
    assert faulty[found, -1].mean() == pytest.approx(run.probability(people)[found].mean(), abs=0.05)
