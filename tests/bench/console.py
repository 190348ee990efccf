"""Page times of the console over a large database: ``make bench-console``, 1 million verifications, 5 million entries.

The rows are generated, in the form the flow writes them but with bytes that nobody reads; the times are those of the
application itself, without a network. ``CONSOLE="--scale 0.01"`` makes a smaller database.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from broker.bootstrap import make_keys
from broker.config import ROOT
from broker.core.envelope import Algorithm
from broker.core.people import ConsoleRole
from broker.flow import publish
from broker.store.catalog_file import read_catalog
from broker.store.tables import milliseconds
from tests.console.kit import House, house

VERIFICATIONS, ENTRIES = 1_000_000, 5_000_000
TARGET_MS = 300
_CASES = 200_000  # a case has five verifications
_BATCH = 20_000
_ADD_CASE = """
    INSERT INTO case_file (id, client_id, number, applicant, state, wrapped_key, opened_at)
    VALUES (?, 'approvals', ?, ?, 'open', x'00', 0)"""
_ADD_VERIFICATION = """
    INSERT INTO verification (id, client_id, request_id, request_digest, case_id, edition, state, request, permits,
        admitted_at, decided_at, receipt)
    VALUES (?, 'approvals', ?, '', ?, 1, 'decided', ?, '{}', ?, ?, '')"""
_ADD_ENTRY = "INSERT INTO entry (kind, verification_id, body) VALUES (?, ?, ?)"
_PAGES = (
    "/console", "/console/list", "/console/list?q=公司&region=370400", "/console/list?state=missing&page=5",
    "/console/list/items/company-setup", "/console/list/materials", "/console/list/materials/identity",
    "/console/list/sources/mca-marriage", "/console/drafts", "/console/drafts/{draft}",
    "/console/drafts/{draft}/findings", "/console/drafts/{draft}/rows/materials/identity",
    "/console/drafts/{draft}/preview", "/console/editions", "/console/editions/1", "/console/coverage",
    "/console/coverage?by=department", "/console/account",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a database, ask every page, print its times; 1 where a page's p95 is above the target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="of the database's size")
    parser.add_argument("--rounds", type=int, default=20, help="how often each page is asked")
    chosen = parser.parse_args(arguments)
    document = read_catalog(ROOT / "data_catalog.yaml").document
    with tempfile.TemporaryDirectory() as folder:
        make_keys(Path(folder) / "keys", Algorithm.ED25519)
        with house(Path(folder), Path(folder) / "keys", document) as city:
            started = time.perf_counter()
            fill(city, int(VERIFICATIONS * chosen.scale), int(ENTRIES * chosen.scale))
            print(f"database made in {time.perf_counter() - started:.0f} s")
            draft = publish.draft(city.parts, _changed(document), "zhang", "对照").id
            return _measured(city, draft, chosen.rounds)


def fill(city: House, verifications: int, entries: int) -> None:
    """Insert the rows straight into the tables; entries are not queued for the log, which is not measured here."""
    now = datetime.now(UTC)
    cases = max(1, min(_CASES, verifications // 5))
    with city.office.database.begin(write=True) as connection:
        run = connection.exec_driver_sql
        run("DROP TRIGGER entry_queued")
        for sql, rows in (
            (_ADD_CASE, _case_rows(cases)),
            (_ADD_VERIFICATION, _verification_rows(verifications, cases, now)),
            (_ADD_ENTRY, _entry_rows(entries, verifications, now)),
        ):
            while batch := list(islice(rows, _BATCH)):
                run(sql, batch)  # a list of tuples is an executemany
        connection.commit()


def _case_rows(count: int) -> Iterator[tuple[Any, ...]]:
    for number in range(count):
        yield f"case{number:08}", f"办件-{number}", f"{number:032x}"


def _verification_rows(count: int, cases: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    body = bytes(600)
    for number in range(count):
        at = milliseconds(_moment(number, count, now))
        yield _number(number, count, now), f"r{number}", f"case{number % cases:08}", body, at, at + 900


def _entry_rows(count: int, verifications: int, now: datetime) -> Iterator[tuple[Any, ...]]:
    kinds = ("admitted", "asked", "answered", "asked", "decided")
    for number in range(count):
        about = number * verifications // count
        kind = kinds[number % len(kinds)]
        at = _moment(about, verifications, now).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = {"at": at, "case": f"办件-{about}", "client": "approvals", "kind": kind, "version": 1}
        name = _number(about, verifications, now)
        yield kind, name, json.dumps(said | {"verification": name}, ensure_ascii=False).encode()


def _moment(number: int, count: int, now: datetime) -> datetime:
    """Spread over a quarter."""
    return now - timedelta(days=90) * (1 - number / count)


def _number(number: int, count: int, now: datetime) -> str:
    return f"{milliseconds(_moment(number, count, now)):012x}{number:020x}"


def _changed(document: Any) -> Any:
    changed = json.loads(json.dumps(document))
    changed["materials"]["identity"]["chain"][0]["state"] = "proposed"
    return changed


def _measured(city: House, draft: str, rounds: int) -> int:
    visitor = city.http(city.account(ConsoleRole.LIST_EDITOR, ConsoleRole.READER, login="zhang"))
    slow = 0
    print(f"{'page':58} {'first':>8} {'p50':>8} {'p95':>8} ms")
    for path in _PAGES:
        times = []
        for _ in range(rounds + 1):
            started = time.perf_counter()
            answer = visitor.get(path.format(draft=draft))
            times.append((time.perf_counter() - started) * 1000)
            if answer.status_code != 200:
                print(f"{path} answered {answer.status_code}")
                return 1
        ordered = sorted(times)
        p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
        slow += p95 > TARGET_MS
        print(f"{path:58} {times[0]:8.0f} {ordered[len(ordered) // 2]:8.0f} {p95:8.0f}")
    return int(slow > 0)


if __name__ == "__main__":
    sys.exit(main())
