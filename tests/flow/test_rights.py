"""The application's role in PostgreSQL: the whole path works under it, and nothing that only grows can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from broker.bootstrap import open_office
from broker.flow.review import verify_log
from broker.sandbox.servers import Postgres
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.store.rights import APPEND_ONLY
from broker.store.schema import metadata
from tests.flow import catalogue, kit

ROLE = "broker_app_in_test"
FORBIDDEN = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} ADD COLUMN more TEXT",
    "DROP TABLE {table} CASCADE",
    "ALTER TABLE {table} OWNER TO {role}",
)


@pytest.fixture
def app_url(postgres_url: str, postgres_server: Postgres) -> Iterator[str]:
    """A migrated database as a login of the application sees it."""
    with psycopg.connect(_libpq(postgres_url), autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD 'app'")
        database = Database(postgres_url)
        migrate(database, ROLE)
        yield _as_role(postgres_url)
        database.dispose()
        owner.execute(f"DROP OWNED BY {ROLE} CASCADE")
        owner.execute(f"DROP ROLE {ROLE}")


def _as_role(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{ROLE}:app@{parts.hostname}:{parts.port}"))


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def test_the_whole_path_runs_under_the_applications_role(app_url: str, keys_folder: Path) -> None:
    office = open_office(kit.settings(app_url, keys_folder), wake=kit.Bells())
    kit.prepare(office, catalogue.document(), schema=False)
    broker = kit.wired(office)
    number = broker.admit(1)
    broker.finish()
    assert broker.verification(number).receipt
    assert verify_log(broker.parts, office.log_keys).size == len(broker.entries())
    _refuses_every_change(app_url)
    broker.check(finished=True)
    office.close()


def _refuses_every_change(app_url: str) -> None:
    with psycopg.connect(_libpq(app_url), autocommit=True) as app:
        for table in sorted(APPEND_ONLY):
            column = next(iter(metadata.tables[table].c)).name
            app.execute(f"GRANT UPDATE, DELETE ON {table} TO {ROLE}")  # a warning: it has nothing to give
            for statement in FORBIDDEN:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    app.execute(statement.format(table=table, column=column, role=ROLE).encode())
        for statement in (
            "DROP TRIGGER entry_append_only ON entry", "DROP TRIGGER entry_queued ON entry",
            "DROP FUNCTION queue_entries() CASCADE", "SET session_replication_role = replica",
            "UPDATE alembic_version SET version_num = '0001'", "CREATE TABLE mine (x int)",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement.encode())
        for statement in ("DELETE FROM entry_queue", "UPDATE entry_queue SET entry_id = 0"):
            # An entry leaves the queue for its place in the log, and for nowhere else.
            with app.transaction(force_rollback=True):
                app.execute("INSERT INTO entry (kind, body) VALUES ('tested', '{}')")
                with pytest.raises(psycopg.errors.RaiseException):
                    app.execute(statement.encode())


def test_rights_follow_the_tables_however_often_one_migrates(app_url: str, postgres_url: str) -> None:
    with psycopg.connect(_libpq(postgres_url), autocommit=True) as owner:
        owner.execute(f"GRANT ALL ON entry TO {ROLE}")
    database = Database(postgres_url)
    migrate(database, ROLE)
    migrate(database, "no_such_role")
    database.dispose()
    _refuses_every_change(app_url)


def test_whatever_the_triggers_guard_the_rights_guard_too(app_url: str, postgres_url: str) -> None:
    with psycopg.connect(_libpq(postgres_url)) as owner:
        guarded = owner.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE '%append_only'"
        ).fetchall()
    assert {"entry", "log_checkpoint"} < {name for (name,) in guarded} <= APPEND_ONLY
