"""Who has suspended a grant."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of what is suspended already nobody knows who did it: its owner alone restores it."""
    op.add_column("access_grant", sa.Column("suspended_by", sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("access_grant", "suspended_by")
