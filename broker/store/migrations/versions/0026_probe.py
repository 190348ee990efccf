"""What probing silent sources has shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "source_probe",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("ready_at", sa.BigInteger, nullable=False),
        sa.Column("probed_at", sa.BigInteger),
        sa.Column("failed", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Take it away again: every silent source is then probed anew."""
    op.drop_table("source_probe")
