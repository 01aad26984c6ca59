"""The inbox: no change is missed, none counts twice, and nobody touches anybody else's cards."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from incidents.ledger.schema import inbox, inbox_heads, notices
from notifiers.cards import (
    BadCursorError,
    Counts,
    Mark,
    changed_cards,
    counts,
    heads,
    is_unread,
    list_cards,
    mark_cards,
    put_card,
    update_card,
)
from notifiers.insert import insert_new
from tests.notifiers.conftest import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def put(ledger):
    """Put a card into an inbox; its notice is made with it."""

    def build(card_id: str, subscriber_id: str = "u-1", minutes: int = 0) -> bool:
        notice = {
            "notice_id": card_id,
            "subscriber_id": subscriber_id,
            "episode": card_id,
            "kind": "problem",
            "decided_time": NOON,
            "problem": "buffering",
            "cause": "service",
            "channel": "in_app",
        }
        with ledger.engine.begin() as connection:
            insert_new(connection, notices, [notice])
            return put_card(connection, subscriber_id, card_id, {"title": "It stalls"}, NOON + minutes * MINUTE)

    return build


@pytest.fixture
def read(ledger):
    def run(function, *args, **named):
        with ledger.read() as connection:
            return function(connection, *args, **named)

    return run


@pytest.fixture
def write(ledger):
    def run(function, *args, **named):
        with ledger.engine.begin() as connection:
            return function(connection, *args, **named)

    return run


def test_a_card_is_put_once_and_its_change_is_counted_once(put, read) -> None:
    assert [put("a"), put("a"), put("b")] == [True, False, True]
    assert read(heads, ["u-1", "u-2"]) == {"u-1": 2}
    assert [(it.card_id, it.change, it.version) for it in read(changed_cards, {"u-1": 0})] == [
        ("a", 1, 1),
        ("b", 2, 1),
    ]


def test_a_reader_gets_what_came_after_the_change_they_know(put, read, write) -> None:
    put("a"), put("b"), put("c", "u-2")
    write(update_card, "u-1", "a", {"title": "It is over"}, NOON + MINUTE)
    assert [it.card_id for it in read(changed_cards, {"u-1": 1})] == ["b", "a"]
    assert [it.card_id for it in read(changed_cards, {"u-1": 3, "u-2": 0})] == ["c"]
    assert read(changed_cards, {}) == []


def test_a_card_that_says_something_new_is_unread_again_but_was_seen(put, read, write) -> None:
    put("a")
    write(mark_cards, "u-1", ["a"], Mark.READ, NOON)
    assert read(counts, ["u-1"]) == {"u-1": Counts(0, 0)}
    assert write(update_card, "u-1", "a", {"title": "It is over"}, NOON + MINUTE)
    assert read(counts, ["u-1"]) == {"u-1": Counts(1, 1)}
    (card,) = read(list_cards, "u-1", 5).cards
    assert (card.version, card.seen_time, is_unread(card)) == (2, NOON, True)


@pytest.mark.parametrize("mark", [Mark.SEEN, Mark.READ, Mark.ARCHIVED])
def test_words_written_before_a_card_was_looked_at_and_come_after_are_news(put, read, write, mark) -> None:
    """A sender was stopped, or slow: what it brings was queued before the reader looked, and is not what they saw."""
    put("c-1")
    write(mark_cards, "u-1", ["c-1"], mark, NOON + 5 * MINUTE)
    write(update_card, "u-1", "c-1", {"title": "It is over"}, NOON + MINUTE)
    write(mark_cards, "u-1", ["c-1"], Mark.RESTORED, NOON + 5 * MINUTE)
    assert read(counts, ["u-1"]) == {"u-1": Counts(1, 1)}
    write(mark_cards, "u-1", ["c-1"], Mark.READ, NOON + 6 * MINUTE)
    assert read(counts, ["u-1"]) == {"u-1": Counts()}


def test_the_same_words_again_are_no_change(put, read, write) -> None:
    put("a")
    assert not write(update_card, "u-1", "a", {"title": "It stalls"}, NOON)
    assert not write(update_card, "u-1", "unknown", {"title": "It stalls"}, NOON)
    assert read(heads, ["u-1"]) == {"u-1": 1}


@pytest.mark.parametrize("mark", Mark)
def test_a_mark_changes_once(put, read, write, mark) -> None:
    put("a")
    if mark is Mark.RESTORED:
        write(mark_cards, "u-1", ["a"], Mark.ARCHIVED, NOON)
    before = read(heads, ["u-1"])["u-1"]
    assert write(mark_cards, "u-1", ["a", "unknown"], mark, NOON) == 1
    assert write(mark_cards, "u-1", ["a"], mark, NOON + MINUTE) == 0
    assert read(heads, ["u-1"]) == {"u-1": before + 1}


def test_nobody_marks_somebody_elses_card(put, read, write) -> None:
    put("a", "u-2")
    assert write(mark_cards, "u-1", ["a"], Mark.ARCHIVED, NOON) == 0
    assert read(heads, ["u-1", "u-2"]) == {"u-1": 0, "u-2": 1}


def test_what_is_archived_is_listed_apart_and_not_counted(put, read, write) -> None:
    put("a"), put("b")
    write(mark_cards, "u-1", ["a"], Mark.ARCHIVED, NOON)
    assert [it.card_id for it in read(list_cards, "u-1", 5).cards] == ["b"]
    assert [it.card_id for it in read(list_cards, "u-1", 5, archived=True).cards] == ["a"]
    assert read(counts, ["u-1"]) == {"u-1": Counts(1, 1)}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(minutes=st.lists(st.integers(0, 3), min_size=1, max_size=9), limit=st.integers(1, 4), late=st.integers(0, 5))
def test_pages_hold_each_card_once_whatever_comes_in_between(put, read, write, minutes, limit, late) -> None:
    write(lambda connection: [connection.execute(delete(table)) for table in (inbox, notices, inbox_heads)])
    for number, minute in enumerate(minutes):
        put(f"c-{number}", minutes=minute)
    listed, cursor = [], None
    while True:
        page = read(list_cards, "u-1", limit, cursor)
        listed += [it.card_id for it in page.cards]
        cursor = page.next_cursor
        if cursor is None:
            break
        put(f"late-{len(listed)}", minutes=4 + late)
    assert sorted(listed) == sorted(f"c-{number}" for number in range(len(minutes)))


@pytest.mark.parametrize("cursor", ["", "x", "%%%", "MjAyNg==", "bm90IGEgdGltZQ==", "MjAyNi0wMS0wMVQwMDowMCBh", "é"])
def test_a_made_up_cursor_is_refused(read, cursor) -> None:
    with pytest.raises(BadCursorError):
        read(list_cards, "u-1", 5, cursor)


def test_writers_at_once_give_each_change_its_own_number(put, read) -> None:
    threads = [Thread(target=lambda it=it: [put(f"{it}-{n}") for n in range(10)]) for it in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    changes = [it.change for it in read(changed_cards, {"u-1": 0})]
    assert changes == list(range(1, 41))
