"""What one verification costs the database, counted by PostgreSQL in a pass of its own, outside the timed rounds.

``pg_stat_statements`` is loaded for this pass only (it needs a restart), and counts every statement with its time, the
transaction statements included.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.bench.load import saturate
from tests.bench.stack import Contender
from tests.bench.world import World

SETTLE_SECONDS = 11.0  # an idle backend tells its last counts after ten
_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")
_STATEMENTS = """
    SELECT s.query, s.calls, s.total_exec_time FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() ORDER BY s.total_exec_time DESC
"""


@dataclass(frozen=True)
class DatabaseCost:
    """Per verification, at saturation."""

    commits: float
    """As pg_stat_database counts them, those of transactions that only read included."""
    statements: float
    """Without BEGIN, COMMIT and ROLLBACK."""
    transactions: float
    """BEGINs; each pair of BEGIN and its end is two more round trips."""
    milliseconds: float
    """Execution time inside PostgreSQL."""
    top: list[tuple[str, float, float]] = field(default_factory=list)
    """The dearest statements: text, calls and milliseconds per verification."""


def count(world: World, contender: Contender, seconds: float) -> DatabaseCost | None:
    """The cost under load; None where this PostgreSQL has no pg_stat_statements, or is somebody else's."""
    if not _prepared(world):
        return None
    url = _libpq(contender.database_url)
    with contender:
        saturate(world, contender, seconds=1.0, warm=1.0, stock=10, label="first")  # fills every cache
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            time.sleep(SETTLE_SECONDS)
            connection.execute("SELECT pg_stat_statements_reset()")
            before = _commits(connection)
            done = _decided(connection, contender.letter)
            saturate(world, contender, seconds=seconds, warm=0.0, stock=500, label="count")
            time.sleep(SETTLE_SECONDS)
            done = _decided(connection, contender.letter) - done
            rows: list[Any] = connection.execute(_STATEMENTS).fetchall()
            return _cost(rows, _commits(connection) - before, done)


def _libpq(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _prepared(world: World) -> bool:
    with psycopg.connect(_libpq(world.postgres.url), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'").fetchone()
        loaded = connection.execute("SHOW shared_preload_libraries").fetchone()
        if found is None:
            return False
        if loaded == ("pg_stat_statements",):
            return True
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    world.postgres.restart()
    return True


def _commits(connection: psycopg.Connection[Any]) -> int:
    connection.execute("SELECT pg_stat_clear_snapshot()")
    row = connection.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()").fetchone()
    return int(row[0]) if row else 0


_DECIDED: Mapping[str, str] = {
    "b": "SELECT count(*) FROM verification WHERE state = 'decided'",
    "c": "SELECT count(*) FROM verification WHERE state = 'decided'",
}


def _decided(connection: psycopg.Connection[Any], letter: str) -> int:
    row = connection.execute(_DECIDED[letter]).fetchone()
    return int(row[0]) if row else 0


def _cost(rows: list[Any], commits: int, verifications: int) -> DatabaseCost:
    calls = {"statements": 0, "BEGIN": 0}
    spent = 0.0
    for query, times, milliseconds in rows:
        kind = query.split(None, 1)[0].upper()
        spent += milliseconds
        if kind == "BEGIN":
            calls["BEGIN"] += times
        elif kind not in _TRANSACTION:
            calls["statements"] += times
    top = [(" ".join(query.split())[:160], times / verifications, ms / verifications) for query, times, ms in rows[:20]]
    return DatabaseCost(
        commits / verifications, calls["statements"] / verifications, calls["BEGIN"] / verifications,
        spent / verifications, top,
    )  # fmt: skip
