"""A fault at every point of a path: the n-th system call fails for n = 1, 2, 3 … until a run has no n-th call.

strace injects it into a process that takes one step over PostgreSQL and Redis; then the ordinary steps take up what it
left, the client repeats what it does not know, and the whole database is held against the invariants.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis

from broker.sandbox.servers import fresh_database, start_postgres, start_redis
from tests.faults.figure import Scale, Tally
from tests.faults.one_path import PATHS
from tests.faults.stand import stand
from tests.flow.kit import Broker

REPOSITORY = Path(__file__).parents[2]
POINT_SECONDS = 60
MOST_POINTS = 400  # a path of more sends is not one transaction any more
FIRST_POINT = 10  # of a sample at most: the calls before it only connect


class Steps:
    """The process that forks one child for each step; its children's complaints go to a file."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """Nothing runs before ``with``."""
        self._complaints = folder / "complaints"
        self._traced = folder / "strace.log"
        self._environment = {**os.environ, **environment}

    def __enter__(self) -> Self:
        with self._complaints.open("wb") as complaints:
            self._forker = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.one_path"], cwd=REPOSITORY, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._forker.kill()
        self._forker.communicate()

    def faulty(self, path: str, number: int, broker: Broker, injected: str) -> bool:
        """Take a step with a fault in it; whether that happened: past the last such call, the step runs through."""
        settings = broker.office.settings
        child = int(self._said(f"{path} {number} {settings.database_url} {settings.keys_folder}\n"))
        call = injected.partition(":")[0]
        traced = [
            "strace", "-f", "-qq", "-o", str(self._traced), "-e", f"trace={call}", "-e", f"inject={injected}",
            "-p", str(child),
        ]  # fmt: skip
        try:
            subprocess.run(traced, capture_output=True, check=False, timeout=POINT_SECONDS)
        except subprocess.TimeoutExpired:
            os.kill(child, signal.SIGKILL)
            raise
        status = int(self._said(""))
        seen = self._traced.read_text(errors="replace")
        happened = "INJECTED" in seen or "killed by SIGKILL" in seen
        if not happened and status:
            raise RuntimeError(f"{path} fails by itself: {self._complaints.read_text(errors='replace')[-500:]}")
        return happened

    def _said(self, line: str) -> str:
        stdin, stdout = self._forker.stdin, self._forker.stdout
        if stdin is None or stdout is None:
            raise AssertionError("both are pipes")
        stdin.write(line)
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"no step can be taken: {self._complaints.read_text(errors='replace')[-500:]}")
        return answer


@dataclass
class Points:
    """Brokers whose steps are taken by processes that fail, and what was found."""

    fresh: Callable[[], AbstractContextManager[Broker]]  # one for each path: what is checked at a point stays small
    steps: Steps
    wakes: redis.Redis
    asked: Path  # each question that a faulty process asked is a line of it
    numbers: int = 0
    stride: int = 1  # a sample takes every so many of them
    tally: Tally = field(default_factory=Tally)
    sound: Counter[str] = field(default_factory=Counter)  # by lookup: questions that sound processes asked
    by_path: Counter[str] = field(default_factory=Counter)

    def run(self, injected: str, scale: Scale) -> None:
        """Every point of the five paths, or of a sample every so many of them."""
        self.stride = max(1, round(1 / scale.share))
        for path in PATHS:
            with self.fresh() as broker:
                self._path(broker, path, injected)
                self.sound |= broker.sources.asked

    def _path(self, broker: Broker, path: str, injected: str) -> None:
        for point in range(min(self.stride, FIRST_POINT), MOST_POINTS, self.stride):
            self.numbers += 1
            self.wakes.flushall()  # or the wake of the point before would spare this one its message
            if path in {"look_up", "sweep", "sequence"}:
                broker.admit(self.numbers)
            if not self.steps.faulty(path, self.numbers, broker, injected.format(n=point)):
                break
            self.by_path[path] += 1
            self._settle(broker, path, point)

    def _settle(self, broker: Broker, path: str, point: int) -> None:
        """The client repeats, everybody else goes on; everything must be there once."""
        if path == "admit":
            broker.admit(self.numbers)  # the same request id and body
        try:
            broker.finish()
        except AssertionError as broken:
            self.tally.note(f"{path} at {point}: {broken}", right=False)
            return
        same = broker.rows("SELECT id FROM verification WHERE request_id = :r", r=f"r{self.numbers}")
        self.tally.note(f"{path} at {point}: {len(same)} rows", right=len(same) == (path != "publish"))

    def asked_most(self) -> int:
        """How often the sources heard one question, by faulty and by sound processes together."""
        asked = Counter(self.asked.read_text().split()) if self.asked.exists() else Counter()
        return max((asked + self.sound).values(), default=0)

    def __str__(self) -> str:
        """Points by path, and how many of them left everything right."""
        paths = ", ".join(f"{path} {count}" for path, count in self.by_path.items())
        return f"{self.tally} points right ({paths}{f'; every {self.stride}th' if self.stride > 1 else ''})"


@contextmanager
def points() -> Iterator[Points]:
    """On a PostgreSQL and a Redis of their own."""
    if shutil.which("strace") is None:
        raise RuntimeError("strace is missing: apt-get install strace")
    with start_postgres() as server, start_redis() as wakes, tempfile.TemporaryDirectory() as name:

        @contextmanager
        def fresh() -> Iterator[Broker]:
            with stand(fresh_database(server)) as broker:
                broker.admit(0)
                broker.finish()
                yield broker

        with prepared(fresh, wakes.url, Path(name)) as found:
            yield found


@contextmanager
def prepared(
    fresh: Callable[[], AbstractContextManager[Broker]], redis_url: str, folder: Path
) -> Iterator[Points]:  # fmt: skip
    """The same with brokers that somebody else makes."""
    asked = folder / "asked"
    with redis.Redis.from_url(redis_url) as wakes, Steps(folder, {"REDIS": redis_url, "ASKED": str(asked)}) as steps:
        yield Points(fresh, steps, wakes, asked)
