"""What the driver can be pointed at: a contender's processes, where they answer, and what they weigh."""

from __future__ import annotations

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from broker.core.envelope import Algorithm
from tests.bench.processes import Process, until
from tests.bench.world import World

READY_SECONDS = 60.0


class Contender(Protocol):
    """One way of doing the work."""

    letter: str
    url: str
    connections: int
    algorithm: Algorithm
    database_url: str

    @property
    def answer_keys(self) -> dict[str, Any] | None:
        """The key set by which answers are signed; None where they are not."""
        ...

    @property
    def receipt_keys(self) -> dict[str, Any]:
        """The key set by which receipts are signed."""
        ...

    @property
    def trees(self) -> Mapping[str, Sequence[int]]:
        """Process trees by role, those of the world included."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Running:
    """The processes of a contender, started together and stopped together, the last one first."""

    def __init__(self, world: World) -> None:
        """Nothing runs yet."""
        self._world = world
        self.processes: list[Process] = []

    def add(self, process: Process) -> None:
        """A process that was started."""
        self.processes.append(process)

    def wait_for(self, url: str) -> None:
        """Until this address answers with 200."""
        until(lambda: _answers(url), self.processes, READY_SECONDS, url)

    def stop(self) -> None:
        """Stop them all, whatever happens to one."""
        with contextlib.ExitStack() as stack:
            for process in self.processes:
                stack.callback(process.stop)
        self.processes = []

    @property
    def trees(self) -> dict[str, list[int]]:
        """By role, with the world's."""
        found = self._world.trees
        for process in self.processes:
            found.setdefault(process.role, []).append(process.popen.pid)
        return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        time.sleep(0.1)
        return False
