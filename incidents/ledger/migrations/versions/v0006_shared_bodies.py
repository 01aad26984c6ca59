"""What many messages say is kept once, and what is personal beside each of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add bodies, and what a message puts into one."""
    op.create_table(
        "bodies",
        sa.Column("body_key", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("body_key", name=op.f("pk_bodies")),
    )
    op.add_column("outbox", sa.Column("personal", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Forget bodies; messages that were not sent by then are empty."""
    op.drop_column("outbox", "personal")
    op.drop_table("bodies")
