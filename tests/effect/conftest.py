"""A ledger with people told and held out, and their contacts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, notices
from incidents.ledger.store import Ledger

START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url, durable=False) as ledger:
        yield ledger


class World:
    """Makes notices and contacts; `told_rate` and `held_rate` are the shares that contact support within the hour."""

    def __init__(self, ledger, seed=1):
        self.ledger = ledger
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def notice(self, who, at, reason=None, region="US-TX", language="en", device="web", incident=None):
        self.count += 1
        key = f"n{self.count}"
        row = {
            "notice_id": key,
            "subscriber_id": who,
            "episode": f"e{self.count}",
            "kind": "problem",
            "decided_time": at,
            "problem": "buffering",
            "cause": "service",
            "channel": "email",
            "withheld_reason": reason,
            "incident_id": incident,
        }
        traits = {"notice_id": key, "region": region, "language": language, "device_type": device}
        with self.ledger.write() as connection:
            connection.execute(notices.insert(), row)
            connection.execute(notice_traits.insert(), traits)

    def contact(self, who, at, **values):
        self.count += 1
        row = {"contact_id": f"c{self.count}", "subscriber_id": who, "contacted_time": at, **values}
        with self.ledger.write() as connection:
            connection.execute(contacts.insert(), row)

    def crowd(self, days, people, *, told_rate=0.1, held_rate=0.1, held_share=0.2, region=lambda _: "US-TX", seed=None):
        rng = self.rng if seed is None else np.random.default_rng(seed)
        rows, traits, reached = [], [], []
        for day in range(days):
            for number in range(people):
                self.count += 1
                key, who = f"n{self.count}", f"p{day}-{number}"
                is_held = rng.random() < held_share
                at = START + timedelta(days=day, minutes=float(rng.random() * 1400))
                rows.append(_row(key, who, at, "holdout" if is_held else None))
                traits.append({"notice_id": key, "region": region(number), "language": "en", "device_type": "web"})
                if rng.random() < (held_rate if is_held else told_rate):
                    reached.append(_contact(f"c{self.count}", who, at + timedelta(minutes=30), rng))
        with self.ledger.write() as connection:
            connection.execute(notices.insert(), rows)
            connection.execute(notice_traits.insert(), traits)
            if reached:
                connection.execute(contacts.insert(), reached)


def _row(key, who, at, reason):
    return {
        "notice_id": key,
        "subscriber_id": who,
        "episode": key,
        "kind": "problem",
        "decided_time": at,
        "problem": "buffering",
        "cause": "service",
        "channel": "email",
        "withheld_reason": reason,
    }


def _contact(key, who, at, rng):
    return {
        "contact_id": key,
        "subscriber_id": who,
        "contacted_time": at,
        "handle_seconds": int(rng.gamma(4, 90)),
        "resolved_first_contact": bool(rng.random() < 0.7),
        "csat": int(rng.integers(1, 6)),
        "nps": int(rng.integers(0, 11)),
    }


@pytest.fixture
def world(ledger):
    return World(ledger)
