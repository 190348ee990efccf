"""The tables for how grants come about: applications, their approval, caps by operator, flags of misuse."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; a case that is open already learns its parties from its next verification."""
    op.add_column("case_file", sa.Column("parties", sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "holder_usage",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("grant_id", "day", "operator", "subject"),
    )


def downgrade() -> None:
    """Take the tables away again."""
    op.drop_table("holder_usage")
    op.drop_column("case_file", "parties")
