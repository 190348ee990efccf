"""Whom else an entry is about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; entries from before name nobody beside their subject."""
    op.create_table(
        "log_related",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "position"),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("log_related")
