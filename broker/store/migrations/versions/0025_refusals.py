"""Count refused requests by reason, for the figures of supervision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_KEY = ("day", "region", "department", "scene", "item", "code")


def upgrade() -> None:
    """Make the table; refusals count from the place on up to which the log was folded before."""
    op.create_table(
        "figures_refused",
        *(sa.Column(name, sa.Text, nullable=False) for name in _KEY),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(*_KEY),
    )


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("figures_refused")
