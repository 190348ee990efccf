"""Fill an empty PostgreSQL database with a city, and open the console over it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from broker.bootstrap import Office
from tests.bench.city import beside, log, models, multiply
from tests.flow import kit


def fill(office: Office, document: Mapping[str, Any], count: int, said: Callable[[str], None]) -> Mapping[str, int]:
    """Make so many verifications; how many rows that were, by table."""
    started = time.perf_counter()

    def tell(what: str) -> None:
        said(f"{time.perf_counter() - started:6.0f} s  {what}")

    tell("models")
    kit.prepare(office, document)
    found = models.make(kit.wired(office), document)
    now, tables = datetime.now(UTC), (*multiply.TABLES, *beside.TABLES)
    url = office.settings.database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys
        connection.execute(f"TRUNCATE {', '.join(models.LEFT)} RESTART IDENTITY CASCADE")
        with multiply.bare(connection, tables):
            multiply.multiply(connection, found, count, now, office.parts.vault, tell)
            tell("beside")
            beside.fill(connection, now)
            tell("log")
            log.build(connection, office.parts.log_origin, office.parts.log_signers, now)
            tell("keys and indexes")
        tell("vacuum")
        connection.execute("DROP SCHEMA bench CASCADE")
        connection.execute("VACUUM (ANALYZE)")
        counts = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]  # noqa: S608 - our own names
            for name in tables
        }
    tell("done")
    return counts
