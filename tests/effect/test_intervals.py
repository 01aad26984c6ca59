"""Limits contain what they should as often as they say, and verdicts do not cry wolf."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from notifiers.effect.intervals import (
    Mean,
    Share,
    cluster_effect,
    lasting_z,
    mean_difference,
    normal_z,
    ratio,
    share_difference,
    wilson,
)
from notifiers.effect.verdicts import LEAST_PEOPLE, Outcome, compare_means, compare_shares, sentence

Z = normal_z()
counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))).map(lambda it: Share(*it))


def judged(told, held, better=-1, smallest=0.02, days=14, alpha=0.05 / 6):
    return compare_shares(told, held, better=better, smallest=smallest, days=days, alpha=alpha)


@given(one=counts, other=counts)
@settings(deadline=None)
def test_limits_hold_the_difference_and_turn_round_with_it(one, other):
    low, high = share_difference(one, other, Z)
    assert -1 - 1e-9 <= low <= one.value - other.value + 1e-9
    assert one.value - other.value - 1e-9 <= high <= 1 + 1e-9
    back_low, back_high = share_difference(other, one, Z)
    assert (back_low, back_high) == pytest.approx((-high, -low))


@given(share=counts, effect=st.floats(1, 20))
@settings(deadline=None)
def test_people_who_are_alike_widen_the_limits(share, effect):
    low, high = wilson(share, Z)
    wide_low, wide_high = wilson(Share(share.some, share.all, effect), Z)
    assert wide_low <= low + 1e-9
    assert high <= wide_high + 1e-9
    assert 0 <= wide_low <= share.value + 1e-9
    assert share.value - 1e-9 <= wide_high <= 1


def test_the_limits_are_those_of_the_books():
    assert share_difference(Share(56, 70), Share(48, 80), Z) == pytest.approx((0.0524, 0.3339), abs=1e-4)  # Newcombe
    rng = np.random.default_rng(1)
    one, other = rng.normal(3, 1, 40), rng.normal(2.5, 2, 25)
    ours = mean_difference(Mean(one.mean(), one.var(ddof=1), 40), Mean(other.mean(), other.var(ddof=1), 25), Z)
    theirs = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert ours == pytest.approx((theirs.low, theirs.high))


def test_a_ratio_needs_a_case():
    assert ratio(Share(3, 100), Share(0, 50), Z) is None
    value, low, high = ratio(Share(5, 100), Share(10, 100), Z)
    assert low < value == 0.5 < high
    assert ratio(Share(0, 100), Share(10, 100), Z)[0] == 0


@given(size=st.floats(1, 1e7), alpha=st.floats(1e-4, 0.2))
@settings(deadline=None)
def test_limits_that_last_are_wider_than_those_for_one_look(size, alpha):
    assert lasting_z(size, alpha) > normal_z(1 - alpha)


@pytest.mark.parametrize(("share", "held"), [(0.02, 60), (0.1, 100), (0.3, 400)])
def test_fixed_limits_hold_the_truth_nineteen_times_in_twenty(share, held):
    rng = np.random.default_rng(2)
    told, kept = rng.binomial(5000, share, 2000), rng.binomial(held, share, 2000)
    inside = [
        low <= 0 <= high
        for one, other in zip(told, kept, strict=True)
        for low, high in [share_difference(Share(one, 5000), Share(other, held), Z)]
    ]
    assert 0.93 <= np.mean(inside) <= 0.985


def test_clusters_are_seen_where_they_are_and_not_where_they_are_not():
    rng = np.random.default_rng(3)
    people = rng.poisson(200, 32).astype(float)
    alone = rng.binomial(people.astype(int), 0.1).astype(float)
    assert cluster_effect(alone, people, 0.09) < 2
    alike = rng.binomial(people.astype(int), np.clip(rng.normal(0.1, 0.08, 32), 0.001, 1)).astype(float)
    assert cluster_effect(alike, people, 0.09) > 4
    assert cluster_effect(alone[:3], people[:3], 0.09) == 1


def test_looking_every_day_at_two_like_groups_seldom_cries_wolf_where_a_fixed_limit_often_does():
    rng = np.random.default_rng(4)
    days, runs = 60, 100
    told = rng.binomial(900, 0.1, (runs, days)).cumsum(1)
    held = rng.binomial(18, 0.1, (runs, days)).cumsum(1)
    cried, naive = 0, 0
    for run in range(runs):
        looks = [
            judged(Share(told[run, day], 900 * (day + 1)), Share(held[run, day], 18 * (day + 1)), days=day + 1)
            for day in range(1, days, 2)
        ]
        cried += any(look.outcome in (Outcome.HELPS, Outcome.HARMS) for look in looks)
        naive += any(look.low is not None and (look.low > 0 or look.high < 0) for look in looks)
    assert naive / runs > 0.15
    assert cried / runs <= 0.05 / 6 + 0.02


@pytest.mark.parametrize(
    ("told", "held", "better", "outcome"),
    [
        (Share(300, 10_000), Share(100, 1_000), -1, Outcome.HELPS),
        (Share(300, 10_000), Share(100, 1_000), 1, Outcome.HARMS),
        (Share(1_000, 10_000), Share(30, 1_000), -1, Outcome.HARMS),
        (Share(10_000, 100_000), Share(5_000, 50_000), -1, Outcome.SAME),
        (Share(100, 1_000), Share(10, 100), -1, Outcome.TOO_EARLY),
        (Share(0, 1_000), Share(0, 100), -1, Outcome.TOO_EARLY),
    ],
)
def test_the_verdict_is_plain(told, held, better, outcome):
    assert judged(told, held, better).outcome is outcome


def test_too_early_says_for_how_long_and_keeps_its_word():
    early = judged(Share(1_000, 10_000), Share(100, 1_000), smallest=0.03, days=10)
    assert early.outcome is Outcome.TOO_EARLY
    assert early.days_to_go is not None
    assert sentence(early, "3 points") == f"Too early to tell: about {early.days_to_go} more days."
    outcomes = []
    for more in (early.days_to_go - 3, early.days_to_go + 3):
        times = 1 + more / 10
        told, held = Share(1_000 * times, 10_000 * times), Share(100 * times, 1_000 * times)
        outcomes.append(judged(told, held, smallest=0.03, days=10 * times).outcome)
    assert outcomes == [Outcome.TOO_EARLY, Outcome.SAME]


def test_what_would_take_years_asks_for_more_people_held_out():
    slow = judged(Share(1_000, 10_000), Share(3, 30), smallest=0.001, days=30)
    assert slow.days_to_go is None
    assert "hold out a larger share" in sentence(slow, "0.1 points")


def test_a_few_people_are_hidden_and_some_are_marked():
    hidden = judged(Share(5, 1_000), Share(1, LEAST_PEOPLE - 1))
    assert (hidden.told, hidden.held_out, hidden.difference, hidden.hidden) == (None, None, None, True)
    assert "Too few people" in sentence(hidden, "2 points")
    assert judged(Share(5, 1_000), Share(1, LEAST_PEOPLE)).shaky
    assert judged(None, Share(1, 100)).hidden
    assert compare_means(None, None, better=1, smallest=1, days=1, alpha=0.01).hidden


def test_means_without_any_spread_say_nothing_rash():
    same = compare_means(Mean(5, 0, 50), Mean(5, 0, 50), better=1, smallest=0.2, days=3, alpha=0.01)
    assert same.outcome is Outcome.TOO_EARLY
