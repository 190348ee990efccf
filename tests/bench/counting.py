"""Statements and commits of the embedded broker, counted inside it: SQLite has nobody else to ask.

``application`` is what ``broker serve`` loads, with listeners on SQLAlchemy's engine; used for a pass of its own,
outside the timed rounds.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

from broker.web.wsgi import application as broker_application
from tests.bench.load import saturate, warm_up
from tests.bench.ours import Ours
from tests.bench.processes import python, start
from tests.bench.statements import DatabaseCost
from tests.bench.world import World

FILE_VARIABLE = "BENCH_COUNTS"
_TELL_SECONDS = 0.2
_TRANSACTION = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")


def application() -> Flask:
    """The broker's application, its database work counted into a file."""
    counts: Counter[str] = Counter()

    def statement(_c: Any, _cursor: Any, text: str, parameters: Any, _context: Any, executemany: bool) -> None:
        kind = text.split(None, 1)[0].upper()
        many = len(parameters) if executemany and isinstance(parameters, Sequence) else 1
        counts[kind if kind in _TRANSACTION else "statements"] += many

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", lambda _: counts.update(["commits"]))
    threading.Thread(target=_tell, args=(counts, Path(os.environ[FILE_VARIABLE])), daemon=True).start()
    return broker_application()


def _tell(counts: Counter[str], path: Path) -> None:
    while True:
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(dict(counts)))
        fresh.replace(path)
        time.sleep(_TELL_SECONDS)


@dataclass
class Counted(Ours):
    """The embedded broker with its database work counted."""

    def _spawn(self, role: str, *_command: str) -> None:
        arguments = (
            "-m", "granian", "--interface", "wsgi", "--factory", "--workers", "1", "--blocking-threads", "32",
            "--backlog", "1024", "--port", str(self.port), "--log-level", "error", "tests.bench.counting:application",
        )  # fmt: skip
        environment = self.environment | {FILE_VARIABLE: str(self.counts)}
        self._running.add(start(role, python(*arguments), environment, self.folder / f"{role}.log"))

    @property
    def counts(self) -> Path:
        """Where the counts are told."""
        return self.folder / "counts.json"


def count_embedded(world: World, deployment: Ours, seconds: float) -> DatabaseCost:
    """The cost under load of an embedded deployment, by the counted verifications of its own database."""
    counted = Counted.__new__(Counted)
    counted.__dict__.update(deployment.__dict__)
    with counted:
        warm_up(world, counted)
        before, decided = _read(counted.counts), _decided(counted)
        saturate(world, counted, seconds=seconds, warm=0.0, stock=500, label="count")
        after, decided = _read(counted.counts), _decided(counted) - decided
    spent = {name: (after[name] - before.get(name, 0)) / decided for name in after}
    return DatabaseCost(spent["commits"], spent["statements"], spent["BEGIN"], milliseconds=0.0)


def _read(path: Path) -> dict[str, int]:
    time.sleep(5 * _TELL_SECONDS)
    found: dict[str, int] = json.loads(path.read_text())
    return found


def _decided(deployment: Ours) -> int:
    with deployment.office_database() as connection:
        row = connection.exec_driver_sql("SELECT count(*) FROM verification WHERE state = 'decided'").one()
        return int(row[0])
