"""Answers expire one by one; the digest of a report of paper is salted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bare digests go: a clerk's note may be guessed, and with it a body; such a report can be repeated no more."""
    op.add_column("paper_report", sa.Column("request_salt", sa.LargeBinary()))
    op.execute("UPDATE paper_report SET request_digest = ''")
    kept = sa.text("answer IS NOT NULL")
    op.create_index("lookup_kept", "lookup", ["answered_at"], postgresql_where=kept, sqlite_where=kept,
                    if_not_exists=True)  # fmt: skip
    salted = sa.text("request_salt IS NOT NULL")
    op.create_index("paper_report_salted", "paper_report", ["day"], postgresql_where=salted, sqlite_where=salted)


def downgrade() -> None:
    """The digests stay salted: who repeats a report is told that it is another."""
    op.drop_index("lookup_kept", "lookup")
    op.drop_index("paper_report_salted", "paper_report")
    op.drop_column("paper_report", "request_salt")
