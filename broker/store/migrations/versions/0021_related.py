"""Let the persons beside an entry's subject be found by its place, as the log's review does."""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; the table is small, and locked for as long as that takes."""
    op.create_index("log_related_position", "log_related", ["position"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("log_related_position", "log_related")
