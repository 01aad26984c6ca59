"""A run's window follows from when it was scheduled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import ScheduleSettings
from flows.due import anchor, due_window

SCHEDULES = ScheduleSettings(step=timedelta(minutes=15), settle=timedelta(minutes=1))


def at(clock):
    return datetime.fromisoformat(f"2026-03-09T{clock}+00:00")


@pytest.mark.parametrize(
    ("scheduled", "start", "end"),
    [
        ("14:16", "14:00", "14:15"),
        ("14:16:00.000001", "14:00", "14:15"),
        ("14:15:59", "13:45", "14:00"),
        ("14:30:59", "14:00", "14:15"),
        ("14:31", "14:15", "14:30"),
    ],
)
def test_a_window_is_due_when_it_has_ended_and_settled(scheduled, start, end):
    window = due_window(at(scheduled), SCHEDULES)
    assert (window.start, window.end) == (at(start), at(end))


def test_another_zone_changes_nothing():
    there = at("14:16").astimezone(tz=datetime.fromisoformat("2026-01-01T00:00+05:30").tzinfo)
    assert due_window(there, SCHEDULES) == due_window(at("14:16"), SCHEDULES)


@settings(deadline=None)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from([1, 5, 15, 60, 1440]),
    st.integers(0, 3600),
)
def test_consecutive_runs_get_consecutive_windows(moment, minutes, settle):
    schedules = ScheduleSettings(step=timedelta(minutes=minutes), settle=timedelta(seconds=settle))
    now = moment.replace(tzinfo=UTC)
    window, following = due_window(now, schedules), due_window(now + schedules.step, schedules)
    assert window.end == following.start
    assert window.end + schedules.settle <= now < following.end + schedules.settle


def test_runs_are_scheduled_just_when_a_window_is_due():
    first = anchor(SCHEDULES)
    assert due_window(first, SCHEDULES).end + SCHEDULES.settle == first
