"""Support contacts come into the ledger when they are visible, each once, and late ones too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from sqlalchemy import select

from config.contacts import LATE, new_contacts, save_contacts
from incidents.ledger import schema
from incidents.ledger.store import Ledger
from telemetry.time import naive_utc

NOON = datetime(2026, 3, 9, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def warehouse(root):
    with duckdb.connect() as connection:
        connection.execute((root / "telemetry" / "sql" / "people.sql").read_text(encoding="utf-8"))
        yield connection


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url, durable=False) as ledger:
        yield ledger


def contact(warehouse, contact_id, when, csat=None):
    row = [contact_id, f"u-{contact_id}", naive_utc(when), "chat", "buffering", 60, True, csat, None]
    warehouse.execute("DELETE FROM contacts WHERE contact_id = ?", [contact_id])
    warehouse.execute(f"INSERT INTO contacts VALUES ({', '.join('?' * 9)})", row)


def copy(warehouse, ledger, until):
    with ledger.write() as connection:
        written = save_contacts(connection, new_contacts(warehouse, connection, until))
        return written, set(connection.execute(select(schema.contacts.c.contact_id, schema.contacts.c.csat)).tuples())


def test_a_contact_is_visible_from_its_moment_on(warehouse, ledger):
    contact(warehouse, "c1", NOON - HOUR)
    contact(warehouse, "c2", NOON)
    contact(warehouse, "c3", NOON + HOUR)
    assert copy(warehouse, ledger, NOON) == (2, {("c1", None), ("c2", None)})
    assert copy(warehouse, ledger, NOON + HOUR)[1] == {("c1", None), ("c2", None), ("c3", None)}


def test_what_comes_late_or_changes_is_caught_up(warehouse, ledger):
    contact(warehouse, "c1", NOON)
    copy(warehouse, ledger, NOON)
    contact(warehouse, "c0", NOON - LATE + HOUR)
    contact(warehouse, "c1", NOON, csat=5)
    assert copy(warehouse, ledger, NOON) == (2, {("c0", None), ("c1", 5)})


def test_the_cost_does_not_grow_with_the_past(warehouse, ledger):
    for n in range(200):
        contact(warehouse, f"c{n}", NOON - n * HOUR)
    assert copy(warehouse, ledger, NOON)[0] == 200
    assert copy(warehouse, ledger, NOON + HOUR)[0] <= LATE / HOUR


def test_no_contacts_are_no_trouble(warehouse, ledger):
    assert copy(warehouse, ledger, NOON) == (0, set())
