"""Duplicates: every message five times, shuffled, to eight workers at once; then leases shorter than the questions.

First every lease holds: each lookup is asked once. Then leases run out while the sources still think, so that lookups
are asked again and answered twice, late and out of order: still one finding for each.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle

from broker.core.answer import Question
from broker.flow.look_up import look_up
from tests.faults.figure import Figure, Scale, Tally
from tests.faults.stand import stand_on_postgres
from tests.flow.kit import Broker

DEMANDED = "each message × 5, shuffled: 1 finding a lookup; ≤ 1 question at a time while its lease holds"
WHOLE = 200  # verifications in each of the two parts
TIMES, WORKERS = 5, 8
THINKING_SECONDS = 0.01


@dataclass
class Watch:
    """Counts, for each lookup, the questions that are open at once."""

    open: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, source: str, questions: list[Question]) -> None:
        """A source that thinks for a while."""
        names = [one.lookup_id for one in questions]
        with self.guard:
            self.open.update(names)
            self.most |= Counter({name: self.open[name] for name in names})
        time.sleep(THINKING_SECONDS)
        with self.guard:
            self.open.subtract(names)


def run(scale: Scale) -> Figure:
    """Both parts on PostgreSQL."""
    with stand_on_postgres() as broker:
        return duplicates(broker, scale)


def duplicates(broker: Broker, scale: Scale) -> Figure:
    """Both parts on a broker."""
    cases, tally = scale.of(WHOLE, at_least=6), Tally()
    once = _part(broker, range(cases), tally, lease_ms=30_000)
    tally.note(f"{once} questions of one lookup at once", right=once == 1)
    again = _part(broker, range(cases, 2 * cases), tally, lease_ms=1)
    asked = broker.sources.asked
    tally.note("no lookup was asked twice, so nothing was shown", right=max(asked.values()) > 1)
    broker.finish()
    found = Counter(one["lookup"] for one in broker.entries("answered"))
    for lookup in asked:
        tally.note(f"{found[lookup]} findings", right=found[lookup] == 1)
    measured = (
        f"{len(asked):,} lookups, {sum(asked.values()):,} questions, {sum(found.values()):,} findings; at once at most "
        f"{once} with leases held, {again} with leases of 1 ms; {tally}"
    )
    return Figure("F11", DEMANDED, measured, tally.clean)


def _part(broker: Broker, cases: range, tally: Tally, *, lease_ms: int) -> int:
    """Admit, deliver every message so many times, and tell how many questions of one lookup were open at once."""
    watch = broker.sources.meanwhile = Watch()
    workers = [broker, *(broker.another() for _ in range(WORKERS - 1))]
    for one in workers:
        one.parts.limits = replace(one.parts.limits, lease_ms=lease_ms, batch=4)
    for number in cases:
        broker.admit(number)
    messages = [row.source for row in broker.rows("SELECT source FROM lookup WHERE state = 'due'")] * TIMES
    random.Random(11).shuffle(messages)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda one: look_up(one[1].parts, one[0]), zip(messages, cycle(workers), strict=False)))
    broker.work_off()
    tally.note("a verification is open", right=not broker.rows("SELECT id FROM verification WHERE state <> 'decided'"))
    for one in workers[1:]:
        one.office.close()
    return max(watch.most.values())
