"""Guards for what proves: nothing leaves the queue without its place, and what was found by, seen and noted only grows.

A role that may work with rows could otherwise drop an entry from the queue, and no witness would ever hear of it.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_APPEND_ONLY = ("annotation", "log_cosignature", "log_index", "log_related")

_PLACED_SQLITE = (
    (
        "CREATE TRIGGER entry_queue_placed BEFORE DELETE ON entry_queue "
        "WHEN NOT EXISTS (SELECT 1 FROM log_leaf WHERE entry_id = OLD.entry_id) "
        "BEGIN SELECT RAISE(ABORT, 'entry_queue: an entry without its place'); END"
    ),
    (
        "CREATE TRIGGER entry_queue_no_update BEFORE UPDATE ON entry_queue "
        "BEGIN SELECT RAISE(ABORT, 'entry_queue: an entry stays what it is'); END"
    ),
)
_PLACED_POSTGRES = (
    (
        "CREATE FUNCTION only_placed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF EXISTS (SELECT 1 FROM gone WHERE NOT EXISTS (SELECT 1 FROM log_leaf WHERE entry_id = gone.entry_id)) "
        "THEN RAISE EXCEPTION 'entry_queue: an entry without its place'; END IF; RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER entry_queue_placed AFTER DELETE ON entry_queue REFERENCING OLD TABLE AS gone "
        "FOR EACH STATEMENT EXECUTE FUNCTION only_placed()"
    ),
    (
        "CREATE TRIGGER entry_queue_kept BEFORE UPDATE OR TRUNCATE ON entry_queue "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
    ),
)


def upgrade() -> None:
    """Set the guards."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _PLACED_SQLITE if sqlite else _PLACED_POSTGRES:
        op.execute(statement)
    for table in _APPEND_ONLY:
        for statement in _grown_sqlite(table) if sqlite else _grown_postgres(table):
            op.execute(statement)


def downgrade() -> None:
    """Take them away again."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    names = [("entry_queue", "entry_queue_placed"), ("entry_queue", f"entry_queue_{'no_update' if sqlite else 'kept'}")]
    verbs = ("no_update", "no_delete") if sqlite else ("append_only",)
    names += [(table, f"{table}_{verb}") for table in _APPEND_ONLY for verb in verbs]
    for table, name in names:
        op.execute(f"DROP TRIGGER {name}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION only_placed()")


def _grown_sqlite(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"
        for verb in ("UPDATE", "DELETE")
    ]


def _grown_postgres(table: str) -> list[str]:
    return [
        (
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
        )
    ]
