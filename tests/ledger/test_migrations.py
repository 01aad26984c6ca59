"""The migrations make the tables that the schema describes, from anywhere, once."""

import subprocess
import sys

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from incidents.ledger import schema
from incidents.ledger.store import Ledger, migrations


def test_the_migrations_make_the_schema(ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_upgrading_again_keeps_what_is_there(ledger, incident):
    with ledger.write() as connection:
        ledger.save_incidents(connection, [incident])
    ledger.upgrade()
    assert ledger.incidents() == [incident]


def test_the_migrations_can_be_undone(ledger):
    with ledger.write() as connection:
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
