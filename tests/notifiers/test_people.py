"""Addresses, names and clocks of people."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifiers.address import is_deliverable, normalised
from notifiers.links import with_query
from notifiers.local_time import is_quiet, known_zone, quiet_end, week_start, zone
from notifiers.names import MAX_NAME_LENGTH, greeting_name, one_line


@pytest.mark.parametrize(
    ("address", "deliverable"),
    [
        ("ada@example.net", True),
        ("a.b+c_d@mail.example.co.uk", True),
        ("o'neil@example.net", True),
        (None, False),
        ("", False),
        ("ada", False),
        ("ada@localhost", False),
        ("ada@@example.net", False),
        ("a b@example.net", False),
        (".ada@example.net", False),
        ("ada@-example.net", False),
        ("ada@example.net\n", False),
        ("ada@example.net\r\nBcc: x@example.net", False),
        ('"a b"@example.net', False),
        ("Ada <ada@example.net>", False),
        ("ada@exämple.net", False),
        ("a" * 65 + "@example.net", False),
        ("a@" + "b" * 64 + ".net", False),
        ("a@" + "b." * 130 + "net", False),
    ],
)
def test_addresses_that_can_be_written_to(address, deliverable):
    assert is_deliverable(address) is deliverable


def test_addresses_are_compared_without_case_and_blanks():
    assert normalised(" Ada@Example.NET ") == "ada@example.net"


@given(st.text(max_size=400))
def test_a_greeting_is_short_visible_and_on_one_line(text):
    name = greeting_name(text)
    assert name is None or (name.strip("\u2068\u2069").isprintable() and len(name) <= MAX_NAME_LENGTH + 2)


@given(st.text(max_size=200))
def test_one_line_is_one_line(text):
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(one_line(text)) == one_line(text)


@pytest.mark.parametrize(
    "name",
    [None, "", "Mars/Olympus", "../../etc/passwd", "America", "/etc/localtime", "\x00", "é", "x" * 500],
)
def test_zones_that_are_none_are_utc(name):
    assert known_zone(name) is None
    assert zone(name) is UTC


@given(st.times(), st.times(), st.times())
def test_quiet_and_loud_hours_are_opposites(moment, start, end):
    local = datetime.combine(date(2026, 3, 9), moment, UTC)
    if start != end:
        assert is_quiet(local, start, end) is not is_quiet(local, end, start)
    else:
        assert not is_quiet(local, start, end)


def test_quiet_hours_end_on_the_persons_clock_across_a_change_of_it():
    before = datetime(2026, 3, 28, 23, tzinfo=zone("Europe/Berlin"))
    assert quiet_end(before, time(8)) == datetime(2026, 3, 29, 6, tzinfo=UTC)


def test_weeks_begin_on_monday():
    assert week_start(date(2026, 3, 15)) == week_start(date(2026, 3, 9)) == date(2026, 3, 9)


@pytest.mark.parametrize(
    ("url", "linked"),
    [
        ("https://a.example", "https://a.example?case=x%26y"),
        ("https://a.example?b=1", "https://a.example?b=1&case=x%26y"),
    ],
)
def test_links_carry_the_case(url, linked):
    assert with_query(url, case="x&y") == linked
