"""How many verifications asked a source on a day, and how new its data were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; of days before, neither is known."""
    op.add_column("source_health", sa.Column("verifications", sa.Integer, nullable=False, server_default="0"))
    op.add_column("source_health", sa.Column("data_as_of", sa.BigInteger, nullable=True))


def downgrade() -> None:
    """Take them away again."""
    op.drop_column("source_health", "data_as_of")
    op.drop_column("source_health", "verifications")
