"""How the ledger's tables come to their newest version, by Alembic's scripts in `incidents/ledger/migrations`."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from incidents.ledger.store import MIGRATIONS


def migrate(connection: Connection) -> None:
    """Bring the tables to the newest version."""
    command.upgrade(migrations(connection), "head")


def migrations(connection: Connection) -> Config:
    """Return what Alembic's commands need to run our scripts on `connection`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return config
