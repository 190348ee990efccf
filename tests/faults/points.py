"""A fault at every point of a path: the n-th system call fails for n = 1, 2, 3 … until a run has no n-th call.

strace injects it into a process that takes one step over PostgreSQL and Redis; then the ordinary steps take up what it
left, the client repeats what it does not know, and the whole database is held against the invariants.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from broker.sandbox.servers import Redis, start_redis
from tests.faults.figure import Scale, Tally
from tests.faults.one_path import PATHS
from tests.faults.stand import stand_on_postgres
from tests.flow.kit import Broker

REPOSITORY = Path(__file__).parents[2]
POINT_SECONDS = 60
MOST_POINTS = 400  # a path of more sends is not one transaction any more


@dataclass
class Points:
    """A broker whose steps are taken by processes that fail, and what was found."""

    broker: Broker
    redis: Redis
    folder: Path
    numbers: int = 0
    stride: int = 1  # a sample takes every so many of them
    tally: Tally = field(default_factory=Tally)
    by_path: Counter[str] = field(default_factory=Counter)

    def run(self, injected: str, scale: Scale) -> None:
        """Every point of the five paths, or of a sample every so many of them."""
        self.stride = max(1, round(1 / max(scale.share, 0.1)))
        for path in PATHS:
            for point in range(1, MOST_POINTS, self.stride):
                self.numbers += 1
                self._prepare(path)
                if not self._faulty(path, injected.format(n=point)):
                    break
                self.by_path[path] += 1
                self._settle(path, point)

    def _prepare(self, path: str) -> None:
        if path in {"look_up", "sweep", "sequence"}:
            self.broker.admit(self.numbers)

    def _faulty(self, path: str, injected: str) -> bool:
        """Whether the fault happened: past the last such call, the step runs through."""
        log = self.folder / "strace.log"
        call = injected.partition(":")[0]
        trace = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", f"inject={injected}"]
        environment = {
            **os.environ, "DATABASE": self.broker.office.settings.database_url, "REDIS": self.redis.url,
            "KEYS": self.broker.office.settings.keys_folder, "ASKED": str(self.folder / "asked"),
        }  # fmt: skip
        step = [sys.executable, "-m", "tests.faults.one_path", path, str(self.numbers)]
        done = subprocess.run(
            [*trace, *step], cwd=REPOSITORY, env=environment, capture_output=True, check=False, timeout=POINT_SECONDS
        )
        traced = log.read_text(errors="replace")
        happened = "INJECTED" in traced or "killed by SIGKILL" in traced
        if not happened and done.returncode:
            raise RuntimeError(f"{path} fails by itself: {done.stderr.decode(errors='replace')[-500:]}")
        return happened

    def _settle(self, path: str, point: int) -> None:
        """The client repeats, everybody else goes on; everything must be there once."""
        if path == "admit":
            self.broker.admit(self.numbers)  # the same request id and body
        try:
            self.broker.finish()
        except AssertionError as broken:
            self.tally.note(f"{path} at {point}: {broken}", right=False)
            return
        same = self.broker.rows("SELECT id FROM verification WHERE request_id = :r", r=f"r{self.numbers}")
        self.tally.note(f"{path} at {point}: {len(same)} rows", right=len(same) == (path != "publish"))

    def asked_most(self) -> int:
        """How often the sources heard one question, by faulty and by sound processes together."""
        file = self.folder / "asked"
        asked = Counter(file.read_text().split()) if file.exists() else Counter()
        return max((asked + self.broker.sources.asked).values(), default=0)

    def __str__(self) -> str:
        """Points by path, and how many of them left everything right."""
        paths = ", ".join(f"{path} {count}" for path, count in self.by_path.items())
        return f"{self.tally} points right ({paths}{f'; every {self.stride}th' if self.stride > 1 else ''})"


@contextmanager
def points() -> Iterator[Points]:
    """A prepared broker on PostgreSQL, a Redis, and a folder."""
    if shutil.which("strace") is None:
        raise RuntimeError("strace is missing: apt-get install strace")
    with stand_on_postgres() as broker, start_redis() as redis, tempfile.TemporaryDirectory() as name:
        broker.admit(0)
        broker.finish()
        yield Points(broker, redis, Path(name))
