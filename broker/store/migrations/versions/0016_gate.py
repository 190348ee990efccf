"""Gates count calls, not lookups, and close for as long as a source asks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the two columns; the release before, which does not know them, goes on writing its own."""
    op.add_column("source_gate", sa.Column("cost", sa.Integer, nullable=False, server_default="1000"))
    op.add_column("source_gate", sa.Column("closed_until", sa.BigInteger))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("source_gate", "closed_until")
    op.drop_column("source_gate", "cost")
