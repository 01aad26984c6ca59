"""Durations, moments and windows read as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.times import duration_text, parse_duration, parse_moment, parse_window
from telemetry.time import Window


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 2 h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("0s", timedelta(0)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "1.5h", "15 minutes", "٣m ", "15m15s", "1" * 30 + "d"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="15m, 2h"):
        parse_duration(text)


@settings(deadline=None)
@given(st.integers(0, 10_000_000))
def test_a_duration_is_written_as_it_is_read(seconds):
    duration = timedelta(seconds=seconds)
    assert parse_duration(duration_text(duration)) == duration


def test_a_moment_without_a_zone_is_utc():
    assert parse_moment("2026-03-09T14:15") == datetime(2026, 3, 9, 14, 15, tzinfo=UTC)
    assert parse_moment("2026-03-09") == datetime(2026, 3, 9, tzinfo=UTC)
    assert parse_moment("2026-03-09T14:15+02:00") == datetime(2026, 3, 9, 12, 15, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "14:15", "2026-13-01"])
def test_a_moment_that_is_none_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="2026-03-09T14:15"):
        parse_moment(text)


def test_a_window_is_two_moments():
    day = Window(datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))
    assert parse_window("2026-03-09/2026-03-10") == day


@pytest.mark.parametrize("text", ["2026-03-09", "2026-03-09/", "2026-03-09/2026-03-09", "2026-03-10/2026-03-09"])
def test_a_window_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"window|time"):
        parse_window(text)
