"""Redis: emptied, killed, stopped for half a minute and filled up, under load; nothing of worth is in it.

The broker's truth is its database, so that what Redis loses is found by the sweepers: nothing is lost, submitting does
not wait for a Redis that hangs, and a verification is decided within sweep and usual time of its admission.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from tests.faults.figure import Figure, Scale, Tally
from tests.faults.town import Load, Town, town

DEMANDED = (
    "FLUSHALL × 20, kill −9 × 20, SIGSTOP 30 s × 10, full memory: 0 lost; POST p99 ≤ 1 s while Redis is stopped; \
settled ≤ sweep (5 s) + normal"
)
PER_SECOND = 20.0
TIMES = {"emptied": 20, "killed": 20, "stopped": 10, "full": 3}
STOPPED_SECONDS = 30.0
SETTLED_SECONDS = 5.0 + 2.0  # the sweep, and what a decision takes on a busy machine
P99_SECONDS = 1.0


@dataclass
class Part:
    """One kind of harm: what it did to submitting and to settling."""

    name: str
    times: int
    p99: float
    slowest: float  # between admission and decision, in seconds

    def __str__(self) -> str:
        """In a row of the table."""
        return f"{self.name} × {self.times}: p99 {self.p99 * 1000:.0f} ms, settled ≤ {self.slowest:.1f} s"


def run(scale: Scale) -> Figure:
    """All four kinds over a fleet."""
    tally, parts = Tally(), []
    acts = {"emptied": _emptied, "killed": _killed, "stopped": _stopped, "full": _full}
    with town() as place:
        for name, act in acts.items():
            parts.append(_part(place, name, scale.of(TIMES[name]), act, scale, tally))
        place.check()
    for part in parts:
        tally.note(f"{part.name}: settled after {part.slowest:.1f} s", right=part.slowest <= SETTLED_SECONDS)
        tally.note(f"{part.name}: p99 {part.p99:.2f} s", right=part.p99 <= P99_SECONDS)
    return Figure("F5", DEMANDED, f"{'; '.join(map(str, parts))}; {tally} expectations", tally.clean)


def _part(place: Town, name: str, times: int, act: Callable[[Town, Scale], None], scale: Scale, tally: Tally) -> Part:
    with Load(place, PER_SECOND, name) as load:
        time.sleep(1.0)
        for _ in range(times):
            act(place, scale)
        time.sleep(1.0)
    load.send_unknown_again()
    tally.note(f"{name}: not settled", right=place.settled_within(60) is not None)
    lost, double = load.lost_and_double()
    tally.note(f"{name}: {lost} lost, {double} double", right=(lost, double) == (0, 0))
    tally.note(f"{name}: {len(load.ledger.unknown)} unknown", right=not load.ledger.unknown)
    tally.note(f"{name}: nothing was sent", right=len(load.ledger.acknowledged) > 0)
    query = f"SELECT max(decided_at - admitted_at) FROM verification WHERE request_id LIKE 'r-{name}-%'"  # noqa: S608 - ours
    slowest = place.rows(query)[0][0]
    if slowest is None:
        raise AssertionError(f"nothing was decided: {load.ledger.refused}, {len(load.ledger.unknown)} unknown")
    return Part(name, times, load.ledger.p99(), slowest / 1000)


def _emptied(place: Town, scale: Scale) -> None:
    place.world.empty_redis()
    time.sleep(1.0)


def _killed(place: Town, scale: Scale) -> None:
    place.world.redis.kill()
    time.sleep(0.5)
    place.world.redis.start()
    time.sleep(1.0)


def _stopped(place: Town, scale: Scale) -> None:
    """The process is there and does not answer: connections hang, where a dead one's are refused."""
    os.kill(place.world.redis.pid, signal.SIGSTOP)
    try:
        time.sleep(max(4.0, STOPPED_SECONDS * min(1.0, scale.share * 4)))
    finally:
        os.kill(place.world.redis.pid, signal.SIGCONT)
    time.sleep(1.0)


def _full(place: Town, scale: Scale) -> None:
    with redis.Redis.from_url(place.world.redis.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        time.sleep(3.0)
        client.config_set("maxmemory", "0")
    time.sleep(1.0)
