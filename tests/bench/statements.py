"""What one verification costs the database, counted by PostgreSQL in a pass of its own, outside the timed rounds.

``pg_stat_statements`` is loaded for this pass only (it needs a restart), and counts every statement with its time, the
transaction statements included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg

from tests.bench.load import saturate, warm_up
from tests.bench.stack import Contender
from tests.bench.world import World

_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK")
_STATEMENTS = """
    SELECT s.query, s.calls, s.total_exec_time FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() ORDER BY s.total_exec_time DESC
"""


@dataclass(frozen=True)
class DatabaseCost:
    """Per verification, at saturation."""

    commits: float
    """COMMITs; transactions that only read end with a ROLLBACK, which makes nothing durable."""
    statements: float
    """Without BEGIN, COMMIT and ROLLBACK."""
    transactions: float
    """BEGINs, reading transactions included; a BEGIN and its end are two more round trips."""
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
        warm_up(world, contender)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            connection.execute("SELECT pg_stat_statements_reset()")
            done = _decided(connection, contender.letter)
            saturate(world, contender, seconds=seconds, warm=0.0, stock=500, label="count")
            done = _decided(connection, contender.letter) - done
            rows: list[Any] = connection.execute(_STATEMENTS).fetchall()
            return _cost(rows, done)


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


_DECIDED: Mapping[str, str] = {
    "b": "SELECT count(*) FROM verification WHERE state = 'decided'",
    "c": "SELECT count(*) FROM verification WHERE state = 'decided'",
}


def _decided(connection: psycopg.Connection[Any], letter: str) -> int:
    row = connection.execute(_DECIDED[letter]).fetchone()
    return int(row[0]) if row else 0


def _cost(rows: list[Any], verifications: int) -> DatabaseCost:
    calls: Counter[str] = Counter()
    for query, times, _ in rows:
        kind = query.split(None, 1)[0].upper()
        calls[kind if kind in _TRANSACTION else "statements"] += times
    top = [(" ".join(query.split())[:160], times / verifications, ms / verifications) for query, times, ms in rows[:20]]
    return DatabaseCost(
        commits=calls["COMMIT"] / verifications,
        statements=calls["statements"] / verifications,
        transactions=calls["BEGIN"] / verifications,
        milliseconds=sum(ms for _, _, ms in rows) / verifications,
        top=top,
    )
