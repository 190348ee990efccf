"""Find what rested on one source of late, for its page."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index: a day has a line for each kind of decision, some thousands in a large city."""
    op.create_index("figures_day_source", "figures_day", ["source", "day"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("figures_day_source", "figures_day")
