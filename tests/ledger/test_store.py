"""The ledger keeps incidents and troubles as they were given, and never re-opens a decision."""

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from detectors.finding import Cohort
from incidents.ledger import schema
from incidents.ledger.schema import outbox
from incidents.ledger.store import BEGINNINGS, Ledger, transaction
from incidents.model import Cause, TroubleKind, Verdict
from incidents.quality import QualityKind


def save(ledger, *, incidents=(), troubles=(), found_time=None):
    with ledger.write() as connection:
        ledger.save_incidents(connection, incidents)
        ledger.save_troubles(connection, troubles, found_time)


def undecided(ledger):
    with ledger.read() as connection:
        return ledger.undecided_troubles(connection)


def decide(ledger, *troubles):
    with ledger.write() as connection:
        ledger.mark_decided(connection, troubles)


def test_an_incident_comes_back_as_it_was_saved(ledger, incident):
    save(ledger, incidents=[incident])
    assert ledger.incidents() == [incident]
    assert ledger.open_incidents() == [incident]
    assert ledger.incident(incident.incident_id) == incident
    assert ledger.incident("no such") is None


def test_a_cohort_of_everyone_and_an_empty_chart_come_back(ledger, incident):
    bare = replace(incident, cohort=Cohort(), chart=(), alternatives=())
    save(ledger, incidents=[bare])
    assert ledger.incidents() == [bare]


def test_saving_an_incident_again_replaces_it(ledger, incident, t0):
    save(ledger, incidents=[incident])
    resolved = replace(incident, resolved_time=t0 + timedelta(hours=1), affected_subscribers=99)
    save(ledger, incidents=[resolved])
    assert ledger.incidents() == [resolved]
    assert ledger.open_incidents() == []
    assert ledger.open_incidents(resolved_since=t0 + timedelta(hours=1)) == [resolved]
    assert ledger.open_incidents(resolved_since=t0 + timedelta(hours=2)) == []


def test_incidents_come_earliest_first_and_since_leaves_out_the_older(ledger, incident, t0):
    later = replace(incident, incident_id="a-later", detected_time=t0 + timedelta(hours=1))
    save(ledger, incidents=[later, incident])
    assert ledger.incidents() == [incident, later]
    assert ledger.incidents(since=t0 + timedelta(minutes=1)) == [later]


def test_a_merged_incident_is_neither_open_nor_listed_unless_asked_for(ledger, incident, t0):
    merged = replace(incident, incident_id="a-part", detected_time=t0 - timedelta(hours=1), merged_into="inc-1")
    save(ledger, incidents=[merged, incident])
    assert ledger.open_incidents() == [incident]
    assert ledger.incidents() == [incident]
    assert ledger.incidents(merged=True) == [merged, incident]


def test_a_trouble_comes_back_as_it_was_saved(ledger, incident, trouble, own_trouble, t0):
    save(ledger, incidents=[incident], troubles=[own_trouble, trouble], found_time=t0)
    assert undecided(ledger) == [trouble, own_trouble]


def test_an_undecided_trouble_is_brought_up_to_date(ledger, own_trouble, t0):
    save(ledger, troubles=[own_trouble], found_time=t0)
    worse = replace(own_trouble, impaired=5, verdict=Verdict(Cause.APP, 0.6))
    save(ledger, troubles=[worse], found_time=t0 + timedelta(minutes=15))
    assert undecided(ledger) == [worse]


def test_a_decided_trouble_is_never_opened_again(ledger, own_trouble, t0):
    save(ledger, troubles=[own_trouble], found_time=t0)
    decide(ledger, own_trouble)
    save(ledger, troubles=[replace(own_trouble, impaired=9)], found_time=t0)
    assert undecided(ledger) == []


def test_the_end_of_a_decided_problem_is_a_trouble_of_its_own(ledger, incident, trouble, t0):
    save(ledger, incidents=[incident], troubles=[trouble], found_time=t0)
    decide(ledger, trouble)
    over = replace(trouble, kind=TroubleKind.ALL_CLEAR)
    save(ledger, troubles=[over], found_time=t0)
    assert undecided(ledger) == [over]


def test_an_undecided_trouble_knows_that_its_incident_is_over(ledger, incident, trouble, t0):
    save(ledger, incidents=[incident], troubles=[trouble], found_time=t0)
    save(ledger, incidents=[replace(incident, resolved_time=t0)])
    assert undecided(ledger) == [replace(trouble, incident_resolved=True)]


def test_a_trouble_of_an_unknown_incident_is_refused_and_nothing_is_written(ledger, trouble, own_trouble, t0):
    with pytest.raises(IntegrityError):
        save(ledger, troubles=[own_trouble, trouble], found_time=t0)
    assert undecided(ledger) == []


def test_those_with_trouble_and_those_told_are_told_apart(ledger, incident, trouble, t0):
    held_out = replace(trouble, subscriber_id="sub-9")
    save(ledger, incidents=[incident], troubles=[trouble, held_out], found_time=t0)
    notice = {
        "episode": trouble.episode,
        "kind": "problem",
        "decided_time": t0,
        "problem": "buffering",
        "cause": "service",
        "incident_id": incident.incident_id,
        "channel": "email",
    }
    with ledger.write() as connection:
        connection.execute(
            insert(schema.notices),
            [
                notice | {"notice_id": "n1", "subscriber_id": "sub-1", "withheld_reason": None},
                notice | {"notice_id": "n2", "subscriber_id": "sub-9", "withheld_reason": "holdout"},
            ],
        )
    assert ledger.troubled([incident.incident_id, "none"]) == {"inc-1": {"sub-1", "sub-9"}, "none": set()}
    assert ledger.troubled([]) == {}
    assert ledger.told_subscribers(incident.incident_id) == {"sub-1"}


def test_a_time_without_a_zone_is_refused(ledger, incident, t0):
    with pytest.raises(Exception, match="aware"):
        save(ledger, incidents=[replace(incident, onset_time=t0.replace(tzinfo=None))])


def test_an_error_inside_a_transaction_undoes_it(ledger, incident):
    def save_and_fail():
        with ledger.write() as connection:
            ledger.save_incidents(connection, [incident])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        save_and_fail()
    assert ledger.incidents() == []


def test_a_reader_is_not_blocked_by_a_writer_and_sees_what_was_committed(ledger, incident):
    with ledger.write() as connection:
        ledger.save_incidents(connection, [incident])
        assert ledger.incidents() == []
    assert ledger.incidents() == [incident]


def test_writers_wait_for_each_other(ledger, own_trouble, t0):
    def add_one():
        for _ in range(20):
            with ledger.write() as connection:
                found = ledger.undecided_troubles(connection)
                impaired = found[0].impaired + 1 if found else 1
                ledger.save_troubles(connection, [replace(own_trouble, impaired=impaired)], t0)

    threads = [threading.Thread(target=add_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert undecided(ledger)[0].impaired == 80


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 1), (False, 0)])
def test_sqlite_is_set_up_for_one_writer_and_many_readers(tmp_path, durable, synchronous):
    with Ledger(f"sqlite:///{tmp_path}/ledger.db", durable=durable) as ledger:
        ledger.upgrade()
        with ledger.read() as connection:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
            }
    assert pragmas == {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "synchronous": synchronous,
        "busy_timeout": 10_000,
    }


def test_what_a_killed_writer_left_open_is_not_there(ledger, incident, t0):
    connection = ledger.engine.connect()
    connection.begin()
    row = {"address": "a@example.com", "reason": "bounce", "since": t0}
    connection.execute(insert(schema.suppressions).values(row))
    connection.connection.driver_connection.close()
    connection.invalidate()
    save(ledger, incidents=[incident])
    with ledger.read() as reader:
        assert reader.execute(schema.suppressions.select()).all() == []


def test_a_quality_notice_comes_back_as_it_was_saved_and_again_replaces_it(ledger, quality, t0):
    closed = replace(quality, until=t0 + timedelta(hours=1), kind=QualityKind.MISSING_TELEMETRY, late=55.0)
    everyone = replace(quality, notice_id="dq-0", cohort=Cohort(), detected_time=t0 + timedelta(hours=2))
    for notices in ([quality], [quality], [closed, everyone]):
        with ledger.write() as connection:
            ledger.save_quality(connection, notices)
    assert ledger.quality_notices() == [closed, everyone]
    assert ledger.quality_notices(since=t0 + timedelta(minutes=1)) == [everyone]
    assert ledger.open_quality(closed_since=t0 + timedelta(hours=1)) == [closed, everyone]
    assert ledger.open_quality(closed_since=t0 + timedelta(hours=2)) == [everyone]


def test_a_quality_notice_is_in_a_transaction(ledger, quality):
    def save_and_fail():
        with ledger.write() as connection:
            ledger.save_quality(connection, [quality])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        save_and_fail()
    assert ledger.quality_notices() == []


class TestTurns:
    """A writer that misses its turn on SQLite begins again."""

    @pytest.fixture
    def impatient(self, tmp_path):
        """A ledger whose writers wait for a hundredth of a second."""
        with Ledger(f"sqlite:///{tmp_path}/turns.db") as ledger:
            event.listen(ledger.engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 10"))
            ledger.upgrade()
            yield ledger

    @pytest.fixture
    def other(self, impatient):
        """Somebody who is writing."""
        with sqlite3.connect(impatient.engine.url.database, isolation_level=None) as raw:
            raw.execute("BEGIN IMMEDIATE")
            yield raw
        raw.close()

    def test_and_gets_it(self, impatient, other):
        event.listen(impatient.engine, "handle_error", lambda _: other.rollback(), once=True)
        with transaction(impatient.engine) as connection:
            assert connection.scalar(select(func.count()).select_from(outbox)) == 0

    def test_but_not_for_ever(self, impatient, other):
        missed = []
        event.listen(impatient.engine, "handle_error", missed.append)
        with pytest.raises(OperationalError, match="locked"), impatient.write():
            pass
        assert len(missed) == BEGINNINGS

    def test_and_never_after_it_began(self, impatient):
        with pytest.raises(OperationalError, match="later"), transaction(impatient.engine):
            raise OperationalError("later", None, Exception("later"))
