"""Migrations: safe to run twice and at once, whole or not at all, and they make just what the tables say."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, inspect
from sqlalchemy.exc import DBAPIError

from broker.core.errors import Problem
from broker.store.engine import Database
from broker.store.migrate import current, head, migrate
from broker.store.schema import metadata
from tests.flow import kit
from tests.flow.checker import Checker

ROOT = Path(__file__).parents[2]


def test_migrating_twice_is_migrating_once(empty_url: str) -> None:
    database = Database(empty_url)
    assert current(database) == ""
    assert migrate(database) == head()
    before = sorted(inspect(database.engine).get_table_names())
    assert migrate(database) == current(database) == head()
    assert sorted(inspect(database.engine).get_table_names()) == before
    database.dispose()


def test_the_migrations_make_just_what_the_tables_say(empty_url: str) -> None:
    database = Database(empty_url)
    migrate(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    database.dispose()


def test_the_checker_knows_every_table() -> None:
    assert sorted(Checker.TABLES) == sorted(metadata.tables)


def test_the_prepared_database_is_at_the_newest_revision(broker: kit.Broker) -> None:
    assert current(broker.database) == head()


def test_two_processes_that_migrate_at_once_both_succeed(empty_url: str, keys_folder: Path) -> None:
    environment = {"BROKER_DATABASE_URL": empty_url, "BROKER_KEYS_FOLDER": str(keys_folder), "PATH": ""}
    command = [sys.executable, "-m", "broker.cli", "migrate"]
    started = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    assert [one.splitlines()[-1] for one in told] == [f"schema {head()}"] * 2
    database = Database(empty_url)
    assert current(database) == head()
    database.dispose()


def test_several_threads_that_migrate_at_once_all_succeed(empty_url: str) -> None:
    start = threading.Barrier(4, timeout=10)

    def go(_: int) -> str:
        database = Database(empty_url)
        start.wait()
        try:
            return migrate(database)
        finally:
            database.dispose()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(go, range(4))) == {head()}


def test_a_migration_that_fails_half_way_leaves_nothing(empty_url: str) -> None:
    """The process dies at the table `lookup`; afterwards the database is as empty as before, and migrates."""
    database = Database(empty_url)

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "CREATE TABLE lookup" in statement:
            raise kit.Crash

    event.listen(database.engine, "before_cursor_execute", fail)
    with pytest.raises(kit.Crash):
        migrate(database)
    event.remove(database.engine, "before_cursor_execute", fail)
    assert inspect(database.engine).get_table_names() == []
    assert migrate(database) == head()
    database.dispose()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_sqlite_keeps_acknowledged_commits_and_foreign_keys(broker: kit.Broker) -> None:
    with broker.database.begin(write=False) as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
        }
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_postgresql_gives_up_on_locks_and_statements_that_hang(broker: kit.Broker) -> None:
    with broker.database.begin(write=True) as connection:
        said = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in (
                "lock_timeout",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
                "synchronous_commit",
            )
        }
    assert said == {
        "lock_timeout": "4s",
        "statement_timeout": "5s",
        "idle_in_transaction_session_timeout": "15s",
        "synchronous_commit": "on",
    }


def test_an_error_of_the_database_does_not_quote_what_a_statement_carried(broker: kit.Broker) -> None:
    with pytest.raises((DBAPIError, Problem)) as caught:
        broker.rows("SELECT nothing FROM nowhere WHERE number = :number", number=kit.citizen(1))
    assert kit.citizen(1) not in f"{caught.value!r} {caught.value}"


def test_no_free_connection_in_time_is_overload_and_not_a_fault(empty_url: str) -> None:
    database = Database(empty_url, pool_size=1)
    pool = database.engine.pool
    pool._timeout = 0.05  # type: ignore[attr-defined]  # four seconds otherwise
    size: int = pool.size() + pool._max_overflow  # type: ignore[attr-defined]
    held = [database.engine.connect() for _ in range(size)]
    with pytest.raises(Problem, match="broker.overloaded") as caught, database.begin(write=False):
        pass
    assert caught.value.retry_after
    for connection in held:
        connection.close()
    database.dispose()


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_database_that_is_locked_for_long_is_away(broker: kit.Broker, prepared_url: str) -> None:
    other = Database(prepared_url)
    event.listen(other.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=50"))
    with (
        broker.database.begin(write=True),
        pytest.raises(Problem, match="store.away"),
        other.begin(write=True),
    ):
        pass
    other.dispose()
