"""Waits before the next try, and the times that a provider gives."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.provider_time import provider_time
from notifiers.waits import Waits

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_waits_double_up_to_a_limit():
    waits = Waits(2 * SECOND, 9 * SECOND)
    assert [waits.after(tries) // SECOND for tries in (1, 2, 3, 4, 5, 10_000)] == [2, 4, 8, 9, 9, 9]


@given(st.integers(1, 10**6), st.text(), st.floats(0, 1))
def test_a_spread_wait_is_the_same_each_time_and_never_longer(tries, key, jitter):
    plain, spread = (Waits(SECOND, 60 * SECOND, share) for share in (0.0, jitter))
    assert spread.after(tries, key) == spread.after(tries, key)
    assert (1 - jitter) * plain.after(tries) <= spread.after(tries, key) + timedelta.resolution
    assert spread.after(tries, key) <= plain.after(tries)


def test_a_crowd_that_failed_together_comes_back_spread():
    waits = Waits(60 * SECOND, 60 * SECOND, 1.0)
    back = sorted(waits.after(1, f"m-{number}") / waits.longest for number in range(1000))
    assert max(abs(at - number / 1000) for number, at in enumerate(back)) < 0.06


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (int(NOON.timestamp()) - 60, NOON - 60 * SECOND),
        (str(int(NOON.timestamp()) - 60), NOON - 60 * SECOND),
        (NOON.timestamp() + 0.5, NOON),
        (int(NOON.timestamp()) + 3600, NOON),
        (10**20, NOON),
        (1, None),
        (-1, None),
        (-(10**20), None),
        (float("nan"), None),
        (float("inf"), NOON),
        (True, None),
        ("soon", None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_time_is_never_later_than_now_and_nonsense_is_none(value, moment):
    assert provider_time(value, NOON) == moment
