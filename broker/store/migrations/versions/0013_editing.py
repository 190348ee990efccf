"""The history of the list: remarks, rows changed by each edition, editions taken back; what a job is about."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from broker.core.list_rows import rows_changed

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and work out what the editions that are there changed."""
    op.create_table(
        "draft_remark",
        *(sa.Column(name, sa.Text(), nullable=False)
          for name in ("id", "draft_id", "kind", "section", "row_key", "by_login", "text")),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["draft_id"], ["draft.id"]),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("draft_remark_draft", "draft_remark", ["draft_id", "id"], unique=False)
    op.create_table(
        "edition_origin",
        sa.Column("edition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("draft_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("edition"),
    )
    op.create_table(
        "edition_withdrawal",
        sa.Column("edition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("by_login", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("edition"),
    )
    op.create_table(
        "row_change",
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("section", "row_key", "edition"),
    )
    op.add_column("job", sa.Column("about", sa.Text(), nullable=True))
    op.create_index("job_about", "job", ["kind", "about", "created_at"], unique=False)
    op.create_index("job_owner", "job", ["owner", "state"], unique=False)
    op.execute("INSERT INTO edition_origin (edition, draft_id) SELECT edition, id FROM draft WHERE edition IS NOT NULL")
    _backfill(op.get_bind())


def _backfill(connection: sa.Connection) -> None:
    """One edition after the other, so that no more than two lists are in memory."""
    before: dict[str, object] = {}
    numbers = [row.number for row in connection.execute(sa.text("SELECT number FROM edition ORDER BY number"))]
    for number in numbers:
        body = connection.execute(sa.text("SELECT body FROM edition WHERE number = :n"), {"n": number}).scalar_one()
        after = json.loads(bytes(body))
        rows = [{"s": one.section, "k": one.key, "n": number, "w": one.kind} for one in rows_changed(before, after)]
        if rows:
            added = "INSERT INTO row_change (section, row_key, edition, kind) VALUES (:s, :k, :n, :w)"
            connection.execute(sa.text(added), rows)
        before = after


def downgrade() -> None:
    """Take it away again."""
    op.drop_index("job_owner", "job")
    op.drop_index("job_about", "job")
    op.drop_column("job", "about")
    for table in ("row_change", "edition_withdrawal", "edition_origin", "draft_remark"):
        op.drop_table(table)
