"""The migrations make the tables that the schema describes, from anywhere, once."""

import subprocess
import sys

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select

from incidents.ledger import schema
from incidents.ledger.migrating import migrations
from incidents.ledger.store import Ledger


def test_the_migrations_make_the_schema(ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_upgrading_again_keeps_what_is_there(ledger, incident):
    with ledger.write() as connection:
        ledger.save_incidents(connection, [incident])
    ledger.upgrade()
    assert ledger.incidents() == [incident]


def test_a_ledger_of_the_newest_version_is_opened_though_somebody_writes(ledger):
    with ledger.write(), Ledger(ledger.url) as other:
        other.upgrade()
        assert other.incidents() == []


def test_the_migrations_can_be_undone(empty_url):
    with Ledger(empty_url) as ledger, ledger.write() as connection:
        command.upgrade(migrations(connection), "head")
        command.downgrade(migrations(connection), "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]


def test_the_migrations_run_from_another_folder_without_a_configuration_file(tmp_path, root):
    code = (
        "from incidents.ledger.store import Ledger\n"
        "ledger = Ledger('sqlite:///there.db')\n"
        "ledger.upgrade()\n"
        "print(len(ledger.incidents()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_memory_ledger_works_too(incident):
    with Ledger("sqlite://", durable=False) as ledger:
        ledger.upgrade()
        with ledger.write() as connection:
            ledger.save_incidents(connection, [incident])
        assert ledger.incidents() == [incident]


def test_incidents_from_before_are_found_by_their_words(empty_url):
    with Ledger(empty_url) as ledger:
        with ledger.write() as connection:
            command.upgrade(migrations(connection), "0011")
            connection.exec_driver_sql(
                "INSERT INTO incidents (incident_id, signal, cohort, onset_time, detected_time, severity,"
                " affected_subscribers, cause, cause_probability, evidence, observed, expected, sessions, surprise,"
                " alternatives, chart, updated_time) VALUES ('inc-1', 'buffering', '{\"cdn\": \"CDN-\\u00c4mber\"}',"
                " '2026-03-09', '2026-03-09', 'major', 1, 'service', 1, '[]', 1, 1, 1, 1, '[]', '[]', '2026-03-09')"
            )
        ledger.upgrade()
        with ledger.read() as connection:
            assert connection.scalar(select(schema.incidents.c.words)) == "cdn cdn-ämber"


def test_messages_keep_what_is_in_them_when_their_key_changes(empty_url):
    with Ledger(empty_url) as ledger:
        with ledger.write() as connection:
            command.upgrade(migrations(connection), "0003")
            connection.exec_driver_sql(
                "INSERT INTO notices (notice_id, subscriber_id, episode, kind, decided_time, problem, cause, channel)"
                " VALUES ('n1', 'u-1', 'inc-1', 'problem', '2026-03-09 12:00:00', 'buffering', 'service', 'email')"
            )
            connection.exec_driver_sql(
                "INSERT INTO outbox (notice_id, channel, subject, html, text, card, state, attempts, queued_time,"
                " next_attempt_time) VALUES ('n1', 'email', 's', 'h', 't', '{}', 'sent', 1, '2026-03-09 12:00:00',"
                " '2026-03-09 12:00:00')"
            )
            connection.exec_driver_sql(
                "INSERT INTO deliveries (notice_id, attempt, attempted_time, outcome)"
                " VALUES ('n1', 1, '2026-03-09 12:00:01', 'sent')"
            )
        ledger.upgrade()
        with ledger.read() as connection:
            (message,) = connection.execute(schema.outbox.select()).all()
            (attempt,) = connection.execute(schema.deliveries.select()).all()
        assert (message.message_id, message.notice_id, message.stage, message.state) == ("n1", "n1", "first", "sent")
        assert (attempt.message_number, attempt.outcome) == (message.message_number, "sent")
        with ledger.write() as connection:
            command.downgrade(migrations(connection), "0003")
            assert connection.exec_driver_sql("SELECT notice_id, state FROM outbox").all() == [("n1", "sent")]
            assert connection.exec_driver_sql("SELECT notice_id, outcome FROM deliveries").all() == [("n1", "sent")]
