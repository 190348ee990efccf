"""A whole fleet in processes of its own – web, workers, sweeper, PostgreSQL, Redis, simulated sources – to be broken.

The deployment is the benchmark's: the shipped sharing list, one approval system, three lookups a verification. What is
killed is started again by the campaign, as a supervisor would.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self
from zlib import crc32

import psutil
import psycopg
import requests
import urllib3

from broker.client import BrokerClient, NotTheBroker, Refused, Road, pooled_road
from broker.core.envelope import Algorithm
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from broker.signing import keys
from tests.bench.ours import Ours
from tests.bench.processes import Process
from tests.bench.work_unit import Couple, document
from tests.bench.world import World
from tests.flow.checker import Checker

LOST = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, NotTheBroker)
"""What a client meets when it cannot know what became of its request."""
AGAIN_SECONDS = 0.2
POLL_SECONDS = 0.1


class Town(Ours):
    """The benchmark's fleet, whose processes can be killed and started again."""

    def __init__(self, world: World, algorithm: Algorithm = Algorithm.ED25519) -> None:
        """Everything is registered; nothing runs before ``with``."""
        super().__init__(world, "b", algorithm)
        self.commands: dict[str, tuple[str, ...]] = {}
        office = self.office()
        origin = office.settings.log_origin
        self.checker = Checker(office.database, office.receipt_keys, office.log_keys, origin)
        self._office = office

    def __exit__(self, *problem: object) -> None:
        super().__exit__(*problem)
        self._office.close()

    @property
    def processes(self) -> list[Process]:
        """Those that were started, each the parent of its family."""
        return self._running.processes

    def client(self, road: Road | None = None) -> BrokerClient:
        """The approval system; may be shared between threads."""
        signer = keys.load_private(self.world.caller_key(self.algorithm).read_bytes())
        return BrokerClient(self.url, signer, {"keys": self.receipt_keys["keys"]}, road=road or pooled_road(64))

    def request(self, number: int | str) -> dict[str, Any]:
        """The request of this number about one of the couples."""
        couples: list[Couple] = self.world.couples
        return document(couples[crc32(str(number).encode()) % len(couples)], str(number))

    def _spawn(self, role: str, *command: str) -> None:
        before = len(self.processes)
        super()._spawn(role, *command)
        for process in self.processes[before:]:
            self.commands[str(process.popen.pid)] = (role, *command)

    def kill(self, process: Process) -> None:
        """``kill -9`` of a whole family, and its start again."""
        words = self.commands.pop(str(process.popen.pid))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.popen.pid, signal.SIGKILL)
        process.popen.wait()
        self.processes.remove(process)
        self._spawn(*words)

    def wait_until_up(self, seconds: float = 40.0) -> None:
        """Until the web answers again."""
        self._running.wait_for(f"{self.url}/ready")

    def open_work(self) -> int:
        """Verifications that are not decided."""
        rows = self.rows("SELECT count(*) FROM verification WHERE state <> 'decided'")
        return int(rows[0][0])

    def rows(self, query: str) -> list[Any]:
        """What a query finds."""
        with psycopg.connect(self.database_url.replace("+psycopg", "", 1)) as connection:
            return list(connection.execute(query.encode()))

    def settled_within(self, seconds: float) -> float | None:
        """How long until everything was decided; None where that took longer."""
        begun = time.monotonic()
        while self.open_work():
            if time.monotonic() - begun > seconds:
                return None
            time.sleep(POLL_SECONDS)
        return time.monotonic() - begun

    def check(self, *, finished: bool = True) -> None:
        """Hold the whole database against the invariants; ``finished`` gives the last entries their places first."""
        while finished and sequence(self._office.parts):
            pass
        if finished and sweep(self._office.parts):
            raise AssertionError("I7: a lookup is still due")
        self.checker.check(finished=finished)


@contextlib.contextmanager
def town(algorithm: Algorithm = Algorithm.ED25519) -> Iterator[Town]:
    """A fleet, running."""
    with World() as world, Town(world, algorithm) as running:
        yield running


@dataclass
class Ledger:
    """What the client saw of each request it sent: acknowledged, refused, or unknown."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # request → verification
    unknown: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    double: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of every acknowledged submission
    sent: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, name: str, verification: str, seconds: float) -> None:
        """A 202 or 200; a second one must name the same verification."""
        with self._guard:
            self.sent += 1
            self.seconds.append(seconds)
            self.unknown.discard(name)
            if self.acknowledged.setdefault(name, verification) != verification:
                self.double.append(name)

    def lose(self, name: str) -> None:
        """No answer, or one that proves nothing."""
        with self._guard:
            self.sent += 1
            if name not in self.acknowledged:
                self.unknown.add(name)

    def refuse(self, name: str, code: str) -> None:
        """A refusal signed by the broker: nothing was stored."""
        with self._guard:
            self.sent += 1
            self.refused[code] += 1

    @property
    def requests(self) -> int:
        """How many requests were sent at least once."""
        with self._guard:
            return len(self.acknowledged) + len(self.unknown)

    def p99(self) -> float:
        """The 99th percentile of the acknowledged submissions, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[int(len(ordered) * 0.99)] if ordered else 0.0


class Load:
    """Submits new requests at a steady pace from several threads, until told to stop, and keeps the ledger."""

    def __init__(
        self, place: Town, per_second: float, label: str, *, threads: int = 8, road: Road | None = None,
        request: Callable[[str], dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        """Nothing is sent before ``with``; ``request`` makes another document than the town's of a name."""
        self._town, self._pause, self._label = place, threads / per_second, label
        self.ledger = Ledger()
        self._client = place.client(road)
        self._request = request or place.request
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"client-{n}", daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        """Each at its own times: what an answer took, or an outage, is made up for at once afterwards."""
        chance = random.Random(self._label + threading.current_thread().name)
        due = time.monotonic()
        while True:
            due += self._pause * chance.uniform(0.5, 1.5)
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            self.send(f"{self._label}-{next(self._numbers)}")

    def send(self, name: str) -> None:
        """One request, once."""
        begun = time.monotonic()
        try:
            view = self._client.submit(self._request(name))
        except Refused as refused:
            self.ledger.refuse(name, refused.code)
        except LOST:
            self.ledger.lose(name)
        else:
            self.ledger.acknowledge(name, view["id"], time.monotonic() - begun)

    def send_unknown_again(self, rounds: int = 50) -> None:
        """What the client is told to do with what it does not know: the same again."""
        with ThreadPoolExecutor(len(self._threads)) as pool:
            for _ in range(rounds):
                list(pool.map(self.send, sorted(self.ledger.unknown)))
                if not self.ledger.unknown:
                    return
                time.sleep(AGAIN_SECONDS)

    def lost_and_double(self) -> tuple[int, int]:
        """Acknowledged requests without their row, and requests with more than one verification."""
        rows = self._town.rows("SELECT request_id, id FROM verification")
        stored = {request: number for request, number in rows if request.startswith(f"r-{self._label}-")}
        lost = [one for one, number in self.ledger.acknowledged.items() if stored.get(f"r-{one}") != number]
        strangers = stored.keys() - {f"r-{one}" for one in self.ledger.acknowledged}
        return len(lost), len(self.ledger.double) + len(strangers)


def family(process: Process) -> list[psutil.Process]:
    """A process and its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.popen.pid)
        return [parent, *parent.children(recursive=True)]
    return []


def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether something came to hold in time."""
    ends = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends:
            return False
        time.sleep(POLL_SECONDS)
    return True
