"""More by which entries are found: item, region, materials, logins – and an index for body and outcome."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

# What the entries that have their place say already, as the sequencer indexes it from now on; no entry is changed.
_SAID_SQLITE = """
UPDATE log_index SET item = said.item, region = said.region
FROM (SELECT log_leaf.position AS position, COALESCE(body ->> '$.item', body ->> '$.scene') AS item,
             body ->> '$.region' AS region
      FROM log_leaf JOIN (SELECT id, CAST(body AS TEXT) AS body FROM entry) AS read ON read.id = log_leaf.entry_id)
     AS said
WHERE said.position = log_index.position AND (said.item IS NOT NULL OR said.region IS NOT NULL)
"""
_SAID_POSTGRES = """
UPDATE log_index SET item = said.item, region = said.region
FROM (SELECT log_leaf.position AS position, COALESCE(body ->> 'item', body ->> 'scene') AS item,
             body ->> 'region' AS region
      FROM log_leaf JOIN (SELECT id, convert_from(body, 'UTF8')::jsonb AS body FROM entry) AS read
           ON read.id = log_leaf.entry_id)
     AS said
WHERE said.position = log_index.position AND (said.item IS NOT NULL OR said.region IS NOT NULL)
"""
_NAMED_SQLITE = """
INSERT INTO log_named (fact, name, position)
WITH read AS (SELECT log_leaf.position AS position, CAST(entry.body AS TEXT) AS body
              FROM log_leaf JOIN entry ON entry.id = log_leaf.entry_id)
SELECT 'material', substr(name, 1, instr(name || '@', '@') - 1), position FROM (
    SELECT body ->> '$.material' AS name, position FROM read WHERE json_type(body, '$.material') = 'text'
    UNION ALL
    SELECT one.key, position FROM read, json_each(body, '$.materials') AS one
    WHERE json_type(body, '$.materials') = 'object')
UNION SELECT 'login', body ->> '$.login', position FROM read WHERE json_type(body, '$.login') = 'text'
UNION SELECT 'login', body ->> '$.by', position FROM read WHERE json_type(body, '$.by') = 'text'
"""
_NAMED_POSTGRES = """
INSERT INTO log_named (fact, name, position)
WITH read AS MATERIALIZED (
    SELECT log_leaf.position AS position, convert_from(entry.body, 'UTF8')::jsonb AS body
    FROM log_leaf JOIN entry ON entry.id = log_leaf.entry_id)
SELECT 'material', split_part(name, '@', 1), position FROM (
    SELECT body ->> 'material' AS name, position FROM read WHERE jsonb_typeof(body -> 'material') = 'string'
    UNION ALL
    SELECT one, position FROM (SELECT body, position FROM read WHERE jsonb_typeof(body -> 'materials') = 'object')
                              AS several, jsonb_object_keys(body -> 'materials') AS one) AS materials
UNION SELECT 'login', body ->> 'login', position FROM read WHERE jsonb_typeof(body -> 'login') = 'string'
UNION SELECT 'login', body ->> 'by', position FROM read WHERE jsonb_typeof(body -> 'by') = 'string'
"""
_NEW = ("item", "region")
_FOUND_BY = ("unit", "outcome", *_NEW)


def upgrade() -> None:
    """Index what is there by more than before; the guards of what only grows stand aside for that long."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name in _NEW:
        op.add_column("log_index", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "log_named",
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fact", "name", "position"),
    )
    for statement in _unguarded(sqlite=sqlite):
        op.execute(statement)
    op.execute(_SAID_SQLITE if sqlite else _SAID_POSTGRES)
    op.execute(_NAMED_SQLITE if sqlite else _NAMED_POSTGRES)
    for statement in (*_guarded("log_index", sqlite=sqlite), *_guarded("log_named", sqlite=sqlite)):
        op.execute(statement)
    op.create_index("log_named_position", "log_named", ["position"])
    for name in _FOUND_BY:
        said = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"log_index_{name}", "log_index", [name, "position"], postgresql_where=said, sqlite_where=said)


def downgrade() -> None:
    """Take it away again."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for name in _FOUND_BY:
        op.drop_index(f"log_index_{name}", "log_index")
    op.drop_table("log_named")
    for statement in _unguarded(sqlite=sqlite):  # SQLite lets no column go that a trigger's table might name
        op.execute(statement)
    for name in _NEW:
        op.drop_column("log_index", name)
    for statement in _guarded("log_index", sqlite=sqlite):
        op.execute(statement)


def _unguarded(*, sqlite: bool) -> list[str]:
    if sqlite:
        return [f"DROP TRIGGER log_index_no_{verb}" for verb in ("update", "delete")]
    return ["DROP TRIGGER log_index_append_only ON log_index"]


def _guarded(table: str, *, sqlite: bool) -> list[str]:
    if sqlite:
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
    ]
