"""A ledger that holds the samples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine

from incidents.ledger.rows import incident_row, trouble_row
from incidents.ledger.schema import incidents, metadata, troubles
from tests.report.samples import EVERYONE, HOSTILE_ONE, LARGE, MERGED, ONSET, OPEN, decide, trouble_of


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An in-memory ledger with the incidents above."""
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as connection:
        for incident in (LARGE, OPEN, HOSTILE_ONE, EVERYONE, MERGED):
            connection.execute(incidents.insert(), incident_row(incident))
        decide(connection, 41, state="sent")
        decide(connection, 2, state="failed")
        decide(connection, 18, channel="in_app", state="sent")
        decide(connection, 9, reason="quiet_hours")
        decide(connection, 7, reason="no_consent")
        decide(connection, 4, reason="holdout")
        decide(connection, 2, reason="recovered")
        decide(connection, 55, kind="all_clear", state="sent", decided=timedelta(hours=4))
        decide(connection, 4, kind="all_clear", reason="quiet_hours", decided=timedelta(hours=4))
        decide(connection, 1, incident=HOSTILE_ONE, reason="a_reason_of_tomorrow")
        connection.execute(troubles.insert(), [trouble_row(trouble_of(f"sub-{i}"), ONSET) for i in ("w0", "w1", "w2")])
    yield engine
    engine.dispose()
