"""The audit review: annotations, and further things by which entries are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# What the entries that have their place already say besides, as the sequencer indexes it from now on. Who did something
# in the console is named by login, where cases name the operator.
_SAID_SQLITE = """
UPDATE log_index SET unit = said.unit, source = said.source, outcome = said.outcome, operator = said.operator
FROM (SELECT log_leaf.position AS position, body ->> '$.unit' AS unit, body ->> '$.source' AS source,
             COALESCE(body ->> '$.reason', body ->> '$.outcome', body ->> '$.code') AS outcome,
             COALESCE(body ->> '$.operator', body ->> '$.login', body ->> '$.by') AS operator
      FROM log_leaf JOIN (SELECT id, CAST(body AS TEXT) AS body FROM entry) AS read ON read.id = log_leaf.entry_id)
     AS said
WHERE said.position = log_index.position
"""
_SAID_POSTGRES = """
UPDATE log_index SET unit = said.unit, source = said.source, outcome = said.outcome, operator = said.operator
FROM (SELECT log_leaf.position AS position, body ->> 'unit' AS unit, body ->> 'source' AS source,
             COALESCE(body ->> 'reason', body ->> 'outcome', body ->> 'code') AS outcome,
             COALESCE(body ->> 'operator', body ->> 'login', body ->> 'by') AS operator
      FROM log_leaf JOIN (SELECT id, convert_from(body, 'UTF8')::jsonb AS body FROM entry) AS read
           ON read.id = log_leaf.entry_id)
     AS said
WHERE said.position = log_index.position
"""
_FOUND_BY = {"kind": "kind", "client": "client_id", "operator": "operator", "source": "source"}


def upgrade() -> None:
    """Make the table, and index what is there by more than before."""
    op.create_table(
        "annotation",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("flag", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("by_login", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("annotation_position", "annotation", ["position"], unique=False)
    op.create_index("annotation_flag", "annotation", ["flag"], unique=False)
    for name in ("unit", "source", "outcome"):
        op.add_column("log_index", sa.Column(name, sa.Text(), nullable=True))
    op.execute(_SAID_SQLITE if op.get_bind().dialect.name == "sqlite" else _SAID_POSTGRES)
    for name, column in _FOUND_BY.items():
        op.create_index(f"log_index_{name}", "log_index", [column, "position"], unique=False)


def downgrade() -> None:
    """Take it away again."""
    for name in _FOUND_BY:
        op.drop_index(f"log_index_{name}", "log_index")
    for name in ("unit", "source", "outcome"):
        op.drop_column("log_index", name)
    op.drop_table("annotation")
