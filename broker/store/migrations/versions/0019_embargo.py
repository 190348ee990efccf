"""Which system signed the wish for an embargo."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those from before nobody knows it: what waits for approval is approved as before."""
    op.add_column("embargo", sa.Column("requested_from", sa.Text(), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    """Take it away again."""
    op.drop_column("embargo", "requested_from")
