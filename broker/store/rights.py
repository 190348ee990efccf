"""What the application's role may do in PostgreSQL: work with rows, and add to what only grows – never change it.

The owner of the tables grants it, each time `broker migrate` has run, so that a new table is never forgotten. A role
that does not exist is passed over: a deployment may run everything as one user, and has only the triggers then.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from broker.store.schema import metadata

APPEND_ONLY = frozenset({
    "annotation", "edition", "entry", "log_checkpoint", "log_leaf", "log_index", "log_named", "log_related",
    "log_cosignature",
    "figures_month", "paper_month", "figures_frozen",
})  # fmt: skip
_ROWS, _GROWTH, _READING = "SELECT, INSERT, UPDATE, DELETE", "SELECT, INSERT", "SELECT"


def grant_rights(connection: Connection, role: str) -> bool:
    """Give a role its rights and take all others away, in the caller's transaction; False if there is no such role."""
    if not connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}).first():
        return False
    name = connection.dialect.identifier_preparer.quote_identifier(role)
    connection.exec_driver_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # before PostgreSQL 15 all might
    connection.exec_driver_sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC")
    connection.exec_driver_sql(f"REVOKE ALL ON SCHEMA public FROM {name}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {name}")
    for table in sorted(metadata.tables):
        rights = _GROWTH if table in APPEND_ONLY else _ROWS
        connection.exec_driver_sql(f'REVOKE ALL ON TABLE "{table}" FROM {name}')
        connection.exec_driver_sql(f'GRANT {rights} ON TABLE "{table}" TO {name}')
    connection.exec_driver_sql(f"REVOKE ALL ON TABLE alembic_version FROM {name}")
    connection.exec_driver_sql(f"GRANT {_READING} ON TABLE alembic_version TO {name}")
    connection.exec_driver_sql(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
    return True
