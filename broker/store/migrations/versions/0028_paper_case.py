"""Find the reports of paper of one case, for its page."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index; a report is the exception among cases, so that the table is small beside theirs."""
    op.create_index("paper_report_case", "paper_report", ["client_id", "case_number"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("paper_report_case", "paper_report")
