"""What operators do: refused requests too, everybody they are about, how cases ended, and for which bodies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NAMED = sa.text("request_id IS NOT NULL")


def upgrade() -> None:
    """Room for what is recorded from now on; all of it may be missing of what was before."""
    op.add_column("conduct", sa.Column("related", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("conduct", sa.Column("refused", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("misuse_cursor", sa.Column("overdue_at", sa.BigInteger(), nullable=True))
    op.add_column("case_file", sa.Column("outcome", sa.Text(), nullable=True))
    op.add_column("client", sa.Column("units", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("log_index", sa.Column("request_id", sa.Text(), nullable=True))
    op.create_index("log_index_request", "log_index", ["request_id"], postgresql_where=_NAMED, sqlite_where=_NAMED)


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("log_index_request", "log_index")
    op.drop_column("log_index", "request_id")
    op.drop_column("client", "units")
    op.drop_column("case_file", "outcome")
    op.drop_column("misuse_cursor", "overdue_at")
    op.drop_column("conduct", "refused")
    op.drop_column("conduct", "related")
