"""The tables for objections to data (数据异议), and cases found by their number alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_index("case_file_number", "case_file", ["number"], unique=False)
    _objection()
    op.create_table(
        "objection_words",
        sa.Column("objection_id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["objection_id"], ["objection.id"]),
        sa.PrimaryKeyConstraint("objection_id", "act"),
    )
    op.create_table(
        "reopened",
        sa.Column("objection_id", sa.Text(), nullable=False),
        sa.Column("verification_id", sa.Text(), nullable=False),
        sa.Column("reopened_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["objection_id"], ["objection.id"]),
        sa.ForeignKeyConstraint(["verification_id"], ["verification.id"]),
        sa.PrimaryKeyConstraint("objection_id", "verification_id"),
    )


def downgrade() -> None:
    """Take them away again."""
    for table in ("reopened", "objection_words", "objection"):
        op.drop_table(table)
    op.drop_index("case_file_number", "case_file")


def _objection() -> None:
    named = ("client_id", "case_number", "material", "source", "about", "owner", "raised_by", "raised_unit", "state",
             "accepted_by", "verified_by", "lifted_by", "ended_by")  # fmt: skip
    moments = ("accepted_at", "verified_at", "lifted_at", "corrected_at", "ended_at", "reminded_at")
    op.create_table(
        "objection",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("verification_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in named),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in moments),
        sa.ForeignKeyConstraint(["verification_id"], ["verification.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_objection_verification_id", "objection", ["verification_id"], unique=False)
    op.create_index("objection_record", "objection", ["about", "source"], unique=False)
    op.create_index("objection_due", "objection", ["state", "due_at"], unique=False)
