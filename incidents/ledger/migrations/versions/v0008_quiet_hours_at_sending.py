"""Where a notice's reader lives: quiet hours are asked again at sending, from the ledger alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time zone of a notice's reader."""
    op.add_column("notices", sa.Column("timezone", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("notices", "timezone")
