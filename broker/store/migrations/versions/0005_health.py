"""The tables for how the sources are: their health, their gates with breaker and limits, shared secrets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BOUNDS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)


def upgrade() -> None:
    """Make the tables."""
    _gates()
    _health()
    _sessions()


def downgrade() -> None:
    """Take the tables away again: counts are lost, and secrets; the next batch begins new ones."""
    op.drop_table("platform_session")
    op.drop_table("source_health")
    op.drop_table("source_gate")


def _gates() -> None:
    op.create_table(
        "source_gate",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("filled_at", sa.BigInteger, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("breaker", sa.Text, nullable=False),
        sa.Column("until_at", sa.BigInteger),
    )


def _health() -> None:
    counts = ("held", "not_held", "unknown", "failed", "barred")
    op.create_table(
        "source_health",
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("day", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counts),
        sa.Column("last_ok_at", sa.BigInteger),
        sa.Column("last_fail_at", sa.BigInteger),
        sa.Column("last_failure", sa.Text, nullable=False),
        sa.Column("timed", sa.Integer, nullable=False),
        sa.Column("total_ms", sa.BigInteger, nullable=False),
        sa.Column("least_ms", sa.Integer, nullable=False),
        sa.Column("most_ms", sa.Integer, nullable=False),
        *(sa.Column(f"within_{bound}_ms", sa.Integer, nullable=False) for bound in _BOUNDS),
        sa.Column("longer", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("source", "day"),
    )


def _sessions() -> None:
    op.create_table(
        "platform_session",
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("value", sa.LargeBinary),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("lease_ends_at", sa.BigInteger, nullable=False),
    )
