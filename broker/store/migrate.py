"""Bring a database to the current schema (Alembic); each migration works with the release before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from broker.store.engine import Database, translated
from broker.store.rights import grant_rights

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database, app_role: str = "", unguarded: Callable[[], object] = lambda: None) -> str:
    """Run what is missing, in one transaction; returns the revision reached. Safe to run twice and at once.

    In PostgreSQL ``app_role``, where it exists, is given its rights on the tables as they are now; ``unguarded`` is
    called where it does not.

    Raises ``BrokerProblem`` ``store.away`` when the database cannot be reached.
    """
    config = _config()
    with translated(), database.engine.begin() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver would commit each statement by itself
        else:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # a migration waits for its turn …
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7234102)")  # … behind another's, …
            connection.exec_driver_sql("SET LOCAL lock_timeout = '4s'")  # but not long behind the broker's work
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if app_role and not database.is_sqlite and not grant_rights(connection, app_role):
            unguarded()
    return current(database)


def current(database: Database) -> str:
    """The revision a database is at, "" before the first."""
    with translated(), database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def head() -> str:
    """The newest revision there is."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
