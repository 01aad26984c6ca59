"""A window runs once, by one runner at a time, and only forwards."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.ledger import schema
from incidents.ledger.leases import (
    Lease,
    LeaseLostError,
    finish,
    finished_counts,
    is_finished,
    latest_end,
    lease,
)
from incidents.ledger.store import Ledger
from telemetry.time import Window

T0 = datetime(2026, 3, 9, tzinfo=UTC)
STEP = timedelta(minutes=15)
FIRST, SECOND = Window(T0, T0 + 2 * STEP).split(STEP)
TEN_MINUTES = timedelta(minutes=10)


def ask(ledger, window=FIRST, owner="a", now=T0, stage="detect", **options):
    with ledger.write() as connection:
        return lease(connection, stage, window, owner=owner, now=now, duration=TEN_MINUTES, **options)


def done(ledger, window=FIRST, owner="a", now=T0, stage="detect", counts=None):
    with ledger.write() as connection:
        finish(connection, stage, window, owner=owner, now=now, counts=counts or {})


def test_a_new_window_is_granted_and_finished_once(ledger):
    assert ask(ledger) is Lease.GRANTED
    done(ledger, counts={"incidents": 2})
    assert ask(ledger, owner="b") is Lease.FINISHED
    with ledger.read() as connection:
        assert is_finished(connection, "detect", FIRST)
        assert finished_counts(connection, "detect", FIRST) == {"incidents": 2}
        assert latest_end(connection, "detect") == FIRST.end


def test_nothing_is_finished_before_it_ran(ledger):
    with ledger.read() as connection:
        assert not is_finished(connection, "detect", FIRST)
        assert finished_counts(connection, "detect", FIRST) == {}
        assert latest_end(connection, "detect") is None


def test_another_runner_waits_until_the_lease_ends(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger, owner="b", now=T0 + TEN_MINUTES - timedelta(seconds=1)) is Lease.HELD
    assert ask(ledger, owner="b", now=T0 + TEN_MINUTES) is Lease.GRANTED


def test_another_window_of_the_same_stage_waits_too(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger, SECOND, owner="b") is Lease.HELD


def test_another_stage_does_not_wait(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger, SECOND, owner="b", stage="notify") is Lease.GRANTED


def test_the_same_owner_may_ask_again(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger) is Lease.GRANTED


def test_a_dead_owners_lease_is_void(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger, owner="b", is_gone=lambda owner: owner == "a") is Lease.GRANTED


def test_a_window_before_a_finished_one_is_superseded(ledger):
    assert ask(ledger, SECOND) is Lease.GRANTED
    done(ledger, SECOND)
    assert ask(ledger, FIRST) is Lease.SUPERSEDED


def test_a_finished_window_stays_finished_when_later_ones_are(ledger):
    for window in (FIRST, SECOND):
        assert ask(ledger, window) is Lease.GRANTED
        done(ledger, window)
    assert ask(ledger, FIRST) is Lease.FINISHED


def test_who_lost_the_lease_cannot_finish(ledger):
    assert ask(ledger) is Lease.GRANTED
    assert ask(ledger, owner="b", now=T0 + TEN_MINUTES) is Lease.GRANTED
    with pytest.raises(LeaseLostError, match="detect of window 20260309T0000Z-20260309T0015Z"):
        done(ledger, owner="a")
    done(ledger, owner="b")


def test_a_window_cannot_be_finished_twice(ledger):
    assert ask(ledger) is Lease.GRANTED
    done(ledger)
    with pytest.raises(LeaseLostError):
        done(ledger)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab"), st.integers(0, 30), st.booleans()), max_size=12))
def test_whatever_the_order_of_runners_each_window_is_finished_at_most_once_and_forwards(requests):
    windows = Window(T0, T0 + 4 * STEP).split(STEP)
    finished = []
    with Ledger("sqlite://", durable=False) as ledger:
        schema.windows.create(ledger.engine)
        for index, owner, minutes, completes in requests:
            now = T0 + timedelta(minutes=minutes)
            if ask(ledger, windows[index], owner, now) is Lease.GRANTED and completes:
                done(ledger, windows[index], owner, now)
                finished.append(index)
    assert finished == sorted(set(finished))
