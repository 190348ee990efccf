"""Page times of the console over a large database: ``make bench-console``, 1 million verifications, 5 million entries.

The database is PostgreSQL with the settings it ships with, filled as ``tests.bench.city`` tells; the times are those of
the application itself, without a network. ``CONSOLE="--scale 0.01"`` makes a smaller database, ``CONSOLE="--keep
FOLDER"`` leaves it there for another run, and ``--write-docs`` puts the table into docs/performance.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from broker.bootstrap import make_keys, open_office
from broker.config import ROOT
from broker.core.envelope import Algorithm
from broker.flow import publish
from broker.flow.figures import keep_figures
from broker.sandbox.servers import fresh_database, keep_postgres, start_postgres
from broker.store.catalog_file import read_catalog
from broker.store.engine import Database
from broker.store.migrate import migrate
from broker.web.wsgi import preload
from tests.bench.city.make import fill
from tests.bench.city.pages import PAGES, targets
from tests.console.kit import House, Visitor, house
from tests.flow import kit

VERIFICATIONS = 1_000_000
TARGET_MS = 300
_DOCUMENT = ROOT / "docs" / "performance.md"
_MARKS = ("<!-- console:begin -->", "<!-- console:end -->")


@dataclass(frozen=True)
class Times:
    """What a page took."""

    path: str
    first: float
    ordered: Sequence[float]
    statements: int

    @property
    def p95(self) -> float:
        """The time that one in twenty is above."""
        return self.ordered[math.ceil(0.95 * len(self.ordered)) - 1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a database or take one that is filled, ask every page, print its times; 1 where a p95 is too high."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the database's size")
    parser.add_argument("--rounds", type=int, default=20, help="how often each page is asked")
    parser.add_argument("--only", default="", help="pages whose address holds this")
    parser.add_argument("--keep", type=Path, help="a folder for the database, used again if it is filled already")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    chosen = parser.parse_args(arguments)
    document = read_catalog(ROOT / "data_catalog.yaml").document
    ground = filled(chosen.keep, document, int(VERIFICATIONS * chosen.scale))
    with ground as (url, folder), house(folder, folder / KEYS, None, url) as city:
        found = _measured(city, document, chosen.rounds, chosen.only)
        table = _table(city, found, chosen.rounds)
    print(table)
    if chosen.write_docs:
        _write(table)
    return int(any(one.p95 > TARGET_MS for one in found))


# Made once by the filling run and kept with the data, since what is encrypted is encrypted for them.
KEYS, _FILLED, _SERVER = "keys", "filled", "server"


@contextmanager
def filled(keep: Path | None, document: Mapping[str, Any], count: int) -> Iterator[tuple[str, Path]]:
    """The address of a filled database, and the folder with the keys that it was filled with."""
    with tempfile.TemporaryDirectory() as temporary:
        if keep is None:
            make_keys(Path(temporary) / KEYS, Algorithm.ED25519)
            with start_postgres() as server:
                url = fresh_database(server)
                _fill(url, Path(temporary), document, count)
                yield url, Path(temporary)
            return
        if not (keep / _FILLED).exists():
            make_keys(keep / KEYS, Algorithm.ED25519)
            with keep_postgres(keep / _SERVER, durable=False) as server:
                (keep / _FILLED).write_text(name := fresh_database(server).rpartition("/")[2])
                _fill(server.url.rpartition("/")[0] + f"/{name}", keep, document, count)
        with keep_postgres(keep / _SERVER) as server:
            url = f"{server.url.rpartition('/')[0]}/{(keep / _FILLED).read_text()}"
            _brought_up(url)
            yield url, keep


def _brought_up(url: str) -> None:
    """A database that was kept may be older than the schema."""
    database = Database(url)
    migrate(database)
    database.dispose()


def _fill(url: str, folder: Path, document: Mapping[str, Any], count: int) -> None:
    office = open_office(kit.settings(url, folder / KEYS), wake=kit.Bells())
    sizes = fill(office, document, count, lambda words: print(words, flush=True))
    print(", ".join(f"{size:,} {name}" for name, size in sizes.items()), flush=True)
    office.close()


def _measured(city: House, document: Any, rounds: int, only: str) -> list[Times]:
    run = f"{time.time_ns():x}"[-8:]
    values = {**targets(city), "draft": publish.draft(city.parts, document, "zhang", "对照").id}
    visitors: dict[str, Visitor] = {}
    found = []
    while keep_figures(city.office.parts):  # months that are over are frozen, as the housekeeping leaves them
        pass
    preload(city.office.parts)  # as a serving process begins
    with _counted(city) as statements:
        for role, path in PAGES:
            if only not in path:
                continue
            visitor = visitors.get(role)
            if visitor is None:
                account = city.account(role, login=f"{role.partition(':')[0]}-{len(visitors)}-{run}") if role else None
                visitor = visitors[role] = city.http(account)
            found.append(_timed(visitor, path, path.format(**values), rounds, statements))
    return found


def _timed(visitor: Visitor, name: str, path: str, rounds: int, statements: list[str]) -> Times:
    times = []
    for _ in range(rounds + 1):
        statements.clear()
        started = time.perf_counter()
        answer = visitor.get(path)
        _ = answer.data  # all of it, where it is written while it is read
        times.append((time.perf_counter() - started) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:2000]}")
    return Times(name, times[0], sorted(times[1:]), len(statements))


@contextmanager
def _counted(city: House) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(city.office.database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(city.office.database.engine, "before_cursor_execute", note)


def _table(city: House, found: Sequence[Times], rounds: int) -> str:
    with city.office.database.begin(write=False) as connection:
        sizes = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()  # noqa: S608 - our own names
            for name in ("verification", "lookup", "entry")
        }
        server = connection.execute(text("SHOW server_version")).scalar_one()
    load = os.getloadavg()[0]
    head = (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC over "
        + ", ".join(f"{count:,} rows of `{name}`" for name, count in sizes.items())
        + f". Each page once to warm up, then {rounds} times. {os.cpu_count()} cores, load {load:.1f} at the end, "
        f"Python {platform.python_version()}, PostgreSQL {server.split()[0]}."
    )
    rows = [
        f"| `{one.path}` | {one.first:.0f} | {one.ordered[0]:.0f} | {one.ordered[len(one.ordered) // 2]:.0f} "
        f"| {one.p95:.0f}{' **!**' if one.p95 > TARGET_MS else ''} | {one.statements} |"
        for one in found
    ]
    over = sum(one.p95 > TARGET_MS for one in found)
    verdict = f"{len(found)} pages; {over or 'none'} above {TARGET_MS} ms at the 95th percentile."
    return "\n".join([head, "", "| page | first ms | min | median | p95 | statements |", "|---|---|---|---|---|---|",
                      *rows, "", verdict])  # fmt: skip


def _write(table: str) -> None:
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    _DOCUMENT.write_text(f"{before}{_MARKS[0]}\n{table}\n{_MARKS[1]}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
