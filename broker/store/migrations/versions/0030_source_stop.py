"""Sources that a person has stopped."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_stop",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("stopped_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("stopped_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Take it away again; an older release asks every source, so open them all first."""
    op.drop_table("source_stop")
