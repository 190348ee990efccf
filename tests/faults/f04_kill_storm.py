"""Kill storm: under load, every few seconds ``kill -9`` of a web worker, a worker, the sweeper, or a whole family.

The client keeps a ledger: acknowledged, refused, or unknown. What is unknown is sent again, as clients are told; then
every acknowledged request must be there once, decided, and the whole database must hold.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time

import psutil

from tests.faults.figure import Figure, Scale
from tests.faults.town import Load, Town, family, town

DEMANDED = "20 requests/s for 10 min, ≥ 150 kills: 0 lost, 0 double; all settled ≤ 60 s after the storm"
SECONDS, PER_SECOND, KILLS = 600.0, 20.0, 150
PATIENCE = 1.5  # times as long, on a machine that does not keep up
PAUSE = (2.0, 5.0)  # between kills
SETTLED_SECONDS = 60.0


def run(scale: Scale) -> Figure:
    """The storm over a fleet."""
    with town() as place:
        return storm(place, max(15.0, SECONDS * scale.share), random.Random(4))


def storm(place: Town, seconds: float, chance: random.Random) -> Figure:
    """So many seconds of it, and what the ledger and the checker say afterwards."""
    kills, least = 0, round(KILLS * seconds / SECONDS)
    with Load(place, PER_SECOND, "storm") as load:
        begun, wanted = time.monotonic(), seconds * PER_SECOND
        while (so_far := time.monotonic() - begun) < seconds * PATIENCE:
            if so_far > seconds and kills >= least and load.ledger.requests >= wanted:
                break
            time.sleep(chance.uniform(*PAUSE))
            kills += kill_somebody(place, chance)
    place.wait_until_up()
    ended = time.monotonic()
    load.send_unknown_again()
    settled = place.settled_within(SETTLED_SECONDS - (time.monotonic() - ended))
    took = time.monotonic() - ended
    place.check()
    lost, double = load.lost_and_double()
    ledger = load.ledger
    measured = (
        f"{so_far:.0f} s, {kills} kills, {ledger.sent:,} submissions of {len(ledger.acknowledged):,} requests: "
        f"{lost} lost, {double} double, {len(ledger.unknown)} unknown; "
        + (f"all settled after {took:.1f} s" if settled is not None else f"{place.open_work()} unsettled")
    )
    enough = len(ledger.acknowledged) >= wanted and kills >= least
    holds = enough and (lost, double, len(ledger.unknown)) == (0, 0, 0) and settled is not None
    return Figure("F4", DEMANDED, measured, holds)


def kill_somebody(place: Town, chance: random.Random) -> int:
    """A single process, which its parent or nobody replaces, or a family, which comes back as by a supervisor."""
    process = chance.choice(place.processes)
    children = family(process)[1:]
    if children and chance.random() < 0.5:
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(children).send_signal(signal.SIGKILL)
        return 1
    place.kill(process)
    return 1
