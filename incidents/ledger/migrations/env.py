"""What Alembic runs: on the connection that `Ledger.upgrade` opened, in one transaction."""

from __future__ import annotations

from typing import Literal

from alembic import context

from incidents.ledger import casework
from incidents.ledger.schema import UtcTime


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our own time type as the plain one that it is stored as: a script never imports the schema."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=casework.cases.metadata,
    render_item=render_item,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
