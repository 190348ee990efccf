"""The tables for objections to data (数据异议), and cases found by their number alone."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_index("case_file_number", "case_file", ["number"], unique=False)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("case_file_number", "case_file")
