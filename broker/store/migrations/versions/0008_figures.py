"""The tables for what was collected on paper, and for figures; frozen months only grow."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("figures_month", "paper_month", "figures_frozen")
_DIMENSIONS = ("region", "department", "scene", "item", "material", "mode", "decision", "source", "reach")
_PAPER_DIMENSIONS = ("region", "department", "scene", "item", "material", "standing", "reason")


def upgrade() -> None:
    """Make the tables; what was decided before is folded in the first rounds, from the log's beginning."""
    _papers()
    _counters()
    op.execute("INSERT INTO figures_cursor (id, position) VALUES (1, 0)")
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in _APPEND_ONLY:
        _guard_sqlite(table) if sqlite else _guard_postgres(table)


def downgrade() -> None:
    """Take the tables away again."""
    for table in ("figures_frozen", "paper_month", "figures_month", "figures_cursor", "figures_day", "paper"):
        op.drop_table(table)
    op.drop_table("paper_report")


def _papers() -> None:
    op.create_table(
        "paper_report",
        sa.Column("id", sa.Text(), nullable=False),
        *_texts("client_id", "request_id", "request_digest", "case_number", "region", "item", "scene", "department"),
        *_texts("operator", "unit"),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("client_id", "request_id"),
    )
    op.create_index("paper_report_day", "paper_report", ["day"], unique=False)
    op.create_table(
        "paper",
        *_texts("report_id", "material"),
        sa.Column("original", sa.Boolean(), nullable=False),
        *_texts("standing", "reason", "source", "verification"),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["paper_report.id"]),
        sa.PrimaryKeyConstraint("report_id", "material"),
    )
    op.create_table(
        "paper_month",
        *_texts("month", *_PAPER_DIMENSIONS),
        sa.Column("original", sa.Boolean(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("month", *_PAPER_DIMENSIONS, "original"),
    )


def _counters() -> None:
    for table, period in (("figures_day", "day"), ("figures_month", "month")):
        op.create_table(
            table,
            *_texts(period, *_DIMENSIONS),
            sa.Column("count", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint(period, *_DIMENSIONS),
        )
    op.create_table(
        "figures_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "figures_frozen",
        *_texts("month", "digest"),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("month"),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _guard_sqlite(table: str) -> None:
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"
        )


def _guard_postgres(table: str) -> None:
    """The function stands since the first schema."""
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    )
