"""The tables for what a verification waits for: work orders, consents, promises to be checked later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _create_promise()
    _create_work_orders()
    _create_consents()


def downgrade() -> None:
    """Take the tables away again."""
    op.drop_index("lookup_consent", "lookup")
    op.drop_column("lookup", "consent_id")
    op.drop_table("consent")
    op.drop_table("work_order")
    op.drop_table("promise")


def _create_promise() -> None:
    op.create_table(
        "promise",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("verification_id", sa.Text(), nullable=False),
        sa.Column("material", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("lookup_id", sa.Text(), nullable=True),
        sa.Column("promised_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["verification_id"], ["verification.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("lookup_id"),
    )
    op.create_index("ix_promise_verification_id", "promise", ["verification_id"], unique=False)


def _create_work_orders() -> None:
    op.create_table(
        "work_order",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("lookup_id", sa.Text(), nullable=False),
        sa.Column("verification_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("remind_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("remark", sa.LargeBinary(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("evidence_digest", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["lookup_id"], ["lookup.id"]),
        sa.ForeignKeyConstraint(["verification_id"], ["verification.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("lookup_id"),
    )
    op.create_index("work_order_unit", "work_order", ["unit", "state", "due_at"], unique=False)


def _create_consents() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("case_number", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("sources", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("consent_case", "consent", ["client_id", "case_number"], unique=False)
    op.create_index("consent_subject", "consent", ["subject"], unique=False)
    op.add_column("lookup", sa.Column("consent_id", sa.Text(), nullable=True))
    op.create_index(
        "lookup_consent",
        "lookup",
        ["consent_id"],
        unique=False,
        postgresql_where=sa.text("consent_id IS NOT NULL"),
        sqlite_where=sa.text("consent_id IS NOT NULL"),
    )
