"""Find what is not decided yet, for the day's lists, without reading what is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; it holds few rows at any time."""
    where = sa.text("state <> 'decided'")
    op.create_index("verification_undecided", "verification", ["id"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("verification_undecided", "verification")
