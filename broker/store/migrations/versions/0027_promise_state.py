"""Find the promises that are not settled, for the metrics, without reading those that are."""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; a promise is the exception, so that the table is small."""
    op.create_index("promise_state", "promise", ["state"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("promise_state", "promise")
