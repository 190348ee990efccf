"""The measurement: alternating rounds of (a) to (d), then latency at rest, (e), and database costs."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from broker.core.envelope import Algorithm
from tests.bench.counting import count_embedded
from tests.bench.direct import Task as DirectTask
from tests.bench.load import Reading, measure, saturate, warm_up
from tests.bench.ours import Ours
from tests.bench.peer import Peer
from tests.bench.pieces import bound, measure_pieces
from tests.bench.rest import at_rest
from tests.bench.statements import count
from tests.bench.work_unit import LOOKUPS
from tests.bench.world import World

CORES = 2  # what the bounds are stated for; a machine with more must be pinned (taskset) to compare with them
# One process, because more of them only take the second core from the sources; more threads than this gain nothing.
DIRECT_THREADS = 16
STOCK_PER_SECOND = {"a": 400, "b": 500, "c": 60}  # signed beforehand; what is missing is signed on the way


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    letters: Sequence[str] = ("a", "b", "c", "d", "e")
    algorithms: Sequence[Algorithm] = (Algorithm.ED25519, Algorithm.SM2)
    rounds: int = 3
    seconds: float = 10.0
    warm: float = 3.0
    rest_samples: int = 200
    count_seconds: float = 5.0


@dataclass
class Suite:
    """One run of a plan in one world."""

    plan: Plan
    world: World

    def run(self) -> dict[str, Any]:
        """Everything, by algorithm."""
        return {algorithm.value: self._algorithm(algorithm) for algorithm in self.plan.algorithms}

    def _algorithm(self, algorithm: Algorithm) -> dict[str, Any]:
        contenders = self._contenders(algorithm)
        rounds: dict[str, list[dict[str, Any]]] = {}
        for number in range(1, self.plan.rounds + 1):
            for letter in "abcd":
                if letter in self.plan.letters:
                    reading = self._round(contenders, letter, number)
                    rounds.setdefault(letter, []).append(reading)
                    _note(f"{algorithm.value} round {number} ({letter}): {reading['per_second']:.0f}/s")
        found: dict[str, Any] = {"rounds": rounds, "rest": {}, "database": {}}
        for letter, contender in contenders.items():
            with contender:
                warm_up(self.world, contender)
                found["rest"][letter] = asdict(at_rest(self.world, contender, self.plan.rest_samples))
            _note(f"{algorithm.value} at rest ({letter}): {found['rest'][letter]['total_p50']:.1f} ms")
        if "e" in self.plan.letters:
            found |= self._pieces(algorithm)
        for letter, contender in contenders.items():
            cost = self._cost(letter, contender)
            if cost is not None:
                found["database"][letter] = asdict(cost)
            _note(f"{algorithm.value} database ({letter}) counted")
        return found

    def _contenders(self, algorithm: Algorithm) -> dict[str, Ours | Peer]:
        made: dict[str, Ours | Peer] = {}
        for letter in "abc":
            if letter in self.plan.letters:
                made[letter] = Peer(self.world, algorithm) if letter == "c" else Ours(self.world, letter, algorithm)
        return made

    def _round(self, contenders: Mapping[str, Ours | Peer], letter: str, number: int) -> dict[str, Any]:
        if letter == "d":
            return _told(self._direct())
        with contenders[letter] as contender:
            stock = int(STOCK_PER_SECOND[letter] * min(self.plan.seconds + self.plan.warm, 15))
            window = {"seconds": self.plan.seconds, "warm": self.plan.warm}
            return _told(saturate(self.world, contender, **window, stock=stock, label=f"{letter}{number}"))

    def _direct(self) -> Reading:
        platforms = str(self.world.sandbox.connections)
        task = DirectTask(platforms, self.world.couples, DIRECT_THREADS, self.plan.warm / 2, self.plan.seconds)
        return measure("d", "tests.bench.direct", [asdict(task)], self.world.trees)

    def _pieces(self, algorithm: Algorithm) -> dict[str, Any]:
        pieces = measure_pieces(self.world, algorithm)
        return {
            "pieces": [asdict(piece) for piece in pieces],
            "bound": bound(pieces, CORES, elsewhere=False),
            "bound_elsewhere": bound(pieces, CORES, elsewhere=True),
        }

    def _cost(self, letter: str, contender: Ours | Peer) -> Any:
        if letter == "a" and isinstance(contender, Ours):
            return count_embedded(self.world, contender, self.plan.count_seconds)
        return count(self.world, contender, self.plan.count_seconds)


def _told(reading: Reading) -> dict[str, Any]:
    first = reading.results[0]
    return {
        "per_second": reading.per_second,
        "completed": reading.completed,
        "p50_ms": first.get("p50_ms"),
        "p95_ms": first.get("p95_ms"),
        "undecided": sum(one.get("undecided", 0) for one in reading.results),
        "verified_samples": sum(one.get("verified_samples", 0) for one in reading.results),
        "cpu_ms": {role: 1000 * seconds / reading.completed for role, seconds in reading.cpu.items()},
        "memory": {role: asdict(weight) for role, weight in reading.memory.items()},
        "write_commits": None if reading.write_commits is None else reading.write_commits / reading.completed,
    }


def median(readings: Sequence[Mapping[str, Any]], name: str) -> float:
    """The median of a figure over the rounds."""
    return float(statistics.median(one[name] for one in readings))


def lookups_per_second(found: Mapping[str, Any], letter: str) -> float:
    """In (d)'s unit."""
    rate = median(found["rounds"][letter], "per_second")
    return rate if letter == "d" else rate * LOOKUPS


def _note(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)
