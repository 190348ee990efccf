"""Runs a load process beside a contender and weighs everything at the beginning and the end of its window."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Self, TextIO
from urllib.parse import urlsplit

import psycopg

from broker.signing import keys
from tests.bench.driver import ANSWER_SECONDS, Task, exchange
from tests.bench.processes import Scales, Weight, python
from tests.bench.stack import Contender
from tests.bench.work_unit import REPOSITORY, Caller, documents
from tests.bench.world import World

WARM_SECONDS = 4.0
FIRST_TRIES = 3  # each waits for up to half a minute


@dataclass
class Reading:
    """One measured window."""

    letter: str
    results: list[dict[str, Any]]
    cpu: dict[str, float]
    """CPU seconds by role inside the window."""
    memory: dict[str, Weight] = field(default_factory=dict)
    write_commits: int | None = None
    """Transactions that wrote, inside the window; None without PostgreSQL."""

    @property
    def per_second(self) -> float:
        """Of all load processes together."""
        return float(sum(one["per_second"] for one in self.results))

    @property
    def completed(self) -> int:
        """Of all load processes together."""
        return int(sum(one["completed"] for one in self.results))


class LoadFailed(RuntimeError):
    """A load process ended without a result; the message holds what it said."""


class Load:
    """One or more load processes with one window, as near to each other as starting them together makes it."""

    def __init__(self, module: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        """``module`` is run once per task, which it is given as JSON."""
        self._module = module
        self._tasks = tasks
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        for task in self._tasks:
            process = subprocess.Popen(
                python("-m", self._module), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, cwd=REPOSITORY, start_new_session=True,
            )  # fmt: skip
            self._started.append(process)
            stdin = _stream(process.stdin)
            stdin.write(json.dumps(task))
            stdin.close()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                _stream(stream).close()

    @property
    def pids(self) -> list[int]:
        """The load processes."""
        return [process.pid for process in self._started]

    def expect(self, event: str) -> list[dict[str, Any]]:
        """The next line of every load process."""
        return [self._line(process, event) for process in self._started]

    def _line(self, process: subprocess.Popen[str], event: str) -> dict[str, Any]:
        text = _stream(process.stdout).readline()
        if not text:
            raise LoadFailed(_stream(process.stderr).read()[-3000:])
        line: dict[str, Any] = json.loads(text)
        if line["event"] != event:
            raise LoadFailed(f"{line} instead of {event}")
        return line


def _stream(stream: TextIO | Any) -> TextIO:
    if stream is None:
        raise AssertionError("opened as a pipe")
    found: TextIO = stream
    return found


def measure(
    letter: str, module: str, tasks: Sequence[Mapping[str, Any]], trees: Mapping[str, Sequence[int]], database: str = ""
) -> Reading:
    """One window of load, weighed; ``database`` names the PostgreSQL whose writing transactions are counted."""
    with ExitStack() as stack:
        load = stack.enter_context(Load(module, tasks))
        scales = Scales({**trees, "driver": load.pids})
        counter = stack.enter_context(psycopg.connect(database, autocommit=True)) if database else None
        load.expect("begin")
        before, written = scales.weigh(), _transactions(counter)
        load.expect("end")
        after, ended = scales.weigh(memory=True), _transactions(counter)
        results = load.expect("result")
    return Reading(
        letter,
        results,
        {role: after[role].cpu - before[role].cpu for role in after},
        after,
        None if written is None or ended is None else ended - written,
    )


def _transactions(connection: psycopg.Connection[Any] | None) -> int | None:
    """The next transaction number: only transactions that write take one, and commits that refuse are rare."""
    if connection is None:
        return None
    row = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint").fetchone()
    return int(row[0]) if row else None


def first_decision(world: World, contender: Contender) -> None:
    """Wait until a verification is decided: a worker may be up a while after the web is."""
    caller = Caller(contender.url, keys.load_private(world.caller_key(contender.algorithm).read_bytes()))
    parts, numbers = urlsplit(contender.url), documents(world.couples, "first")
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=ANSWER_SECONDS) as sock:
        answers = (exchange(sock, caller.submit(next(numbers))) for _ in range(FIRST_TRIES))
        last = next((one for one in answers if one.status != 202), None)
    if last is None or last.status != 200:
        raise LoadFailed("no decision" if last is None else f"{last.status} {last.body[:300].decode(errors='replace')}")


def warm_up(world: World, contender: Contender) -> None:
    """Fill every cache; long enough that even a slow contender on a busy machine decides something."""
    saturate(world, contender, seconds=WARM_SECONDS, warm=WARM_SECONDS / 2, stock=100, label="warm")


def saturate(world: World, contender: Contender, *, seconds: float, warm: float, stock: int, label: str) -> Reading:
    """Full load on a running contender."""
    first_decision(world, contender)
    task = Task(
        url=contender.url,
        key=str(world.caller_key(contender.algorithm)),
        couples=world.couples,
        connections=contender.connections,
        warm_seconds=warm,
        seconds=seconds,
        stock=stock,
        label=label,
        answer_keys=contender.answer_keys,
        receipt_keys=contender.receipt_keys,
    )
    database = contender.database_url
    libpq = database.replace("postgresql+psycopg://", "postgresql://", 1) if database.startswith("postgresql") else ""
    return measure(contender.letter, "tests.bench.driver", [asdict(task)], contender.trees, libpq)
