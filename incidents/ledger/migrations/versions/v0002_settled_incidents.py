"""Incidents may be settled: taken to be the new level."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Incidents may be settled: taken to be the new level."""
    op.add_column("incidents", sa.Column("settled", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Forget which incidents were settled."""
    with op.batch_alter_table("incidents") as table:
        table.drop_column("settled")
