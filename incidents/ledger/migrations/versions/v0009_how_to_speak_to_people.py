"""How to speak to people: pages and agents answer in their language, and know what they agreed to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "subscribers",
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("no_phone", sa.Boolean(), nullable=False),
        sa.Column("email_opt_in", sa.Boolean(), nullable=False),
        sa.Column("in_app_opt_in", sa.Boolean(), nullable=False),
        sa.Column("updated_time", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_subscribers")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("subscribers")
