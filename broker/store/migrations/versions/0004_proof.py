"""The tables for what proves: what entries are found by, witnesses' lines, retention, the subject's view."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The entries that have their place already, as the sequencer indexes them from now on.
_INDEX_SQLITE = """
INSERT INTO log_index (position, at, kind, client_id, case_number, operator, subject)
SELECT log_leaf.position, CAST(ROUND((julianday(body ->> '$.at') - 2440587.5) * 86400000.0) AS INTEGER), kind,
       body ->> '$.client', body ->> '$.case', body ->> '$.operator', body ->> '$.subject'
FROM log_leaf JOIN (SELECT id, kind, CAST(body AS TEXT) AS body FROM entry) AS said ON said.id = log_leaf.entry_id
"""
_INDEX_POSTGRES = """
INSERT INTO log_index (position, at, kind, client_id, case_number, operator, subject)
SELECT log_leaf.position, CAST(ROUND(EXTRACT(EPOCH FROM (body ->> 'at')::timestamptz) * 1000) AS BIGINT), kind,
       body ->> 'client', body ->> 'case', body ->> 'operator', body ->> 'subject'
FROM log_leaf JOIN (SELECT id, kind, convert_from(body, 'UTF8')::jsonb AS body FROM entry) AS said
     ON said.id = log_leaf.entry_id
"""


def upgrade() -> None:
    """Make the tables, and index what is there."""
    op.add_column("case_file", sa.Column("shredded_at", sa.BigInteger(), nullable=True))
    op.add_column("case_file", sa.Column("erased_at", sa.BigInteger(), nullable=True))
    op.create_index(
        "case_file_kept",
        "case_file",
        ["opened_at"],
        unique=False,
        postgresql_where=sa.text("length(wrapped_key) > 0"),
        sqlite_where=sa.text("length(wrapped_key) > 0"),
    )
    op.create_index("verification_case", "verification", ["case_id"], unique=False)
    op.create_table(
        "log_cosignature",
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness"),
    )
    op.create_table(
        "embargo",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("case_number", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_embargo_until", "embargo", ["until"], unique=False)
    op.create_table(
        "log_index",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("case_number", sa.Text(), nullable=True),
        sa.Column("operator", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("position"),
    )
    op.execute(_INDEX_SQLITE if op.get_bind().dialect.name == "sqlite" else _INDEX_POSTGRES)
    op.create_index("log_index_at", "log_index", ["at"], unique=False)
    op.create_index("log_index_case", "log_index", ["case_number", "position"], unique=False)
    op.create_index("log_index_subject", "log_index", ["subject", "position"], unique=False)


def downgrade() -> None:
    """Take the tables away again."""
    op.drop_table("log_index")
    op.drop_table("embargo")
    op.drop_table("log_cosignature")
    op.drop_index("verification_case", "verification")
    op.drop_index("case_file_kept", "case_file")
    op.drop_column("case_file", "erased_at")
    op.drop_column("case_file", "shredded_at")
