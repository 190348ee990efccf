"""Slow, lying and hanging sources.

Every behaviour of the sandbox at every source that a platform process carries, over real sockets and TLS, with a budget
of a second: the named reason, within the budget and a second. ``applies`` says what a protocol cannot show at all.

Departments' databases likewise, a real PostgreSQL and MariaDB behind a relay, each behaviour as its counterpart there;
their budget is a little longer, because libpq waits two seconds at least for a server that never says who it is.

The connectors are asked here, not the flow, which would ask no proposed source: some families have no others yet, and
must be harmless before an owner confirms one. The figure says how many are proposed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.core.answer import Reason
from broker.core.catalog import RowState
from broker.sandbox.behaviours import BEHAVIOURS
from broker.sandbox.door import make_certificates
from broker.sandbox.mariadb import MariaDb, mariadb_programs, start_mariadb
from broker.sandbox.servers import Postgres, start_postgres
from broker.sandbox.sources import Sandbox
from broker.transport.https import HttpsTransport
from tests.asking import SOURCES, connections
from tests.faults.figure import Figure, Scale
from tests.misbehaviour import DoorRoad, Met, applies, held, meet
from tests.misbehaviour_front import CASES, FrontStand, expected, front_stand

DEMANDED = "every behaviour × every connector: the named reason, never held without a sound answer, ≤ budget + 1 s"
BUDGET_MS: Final = 1000
FRONT_BUDGET_MS: Final = 1200
GRACE_S: Final = 1.0


def run(scale: Scale) -> Figure:
    """Let each source misbehave in each way."""
    cases = [(vector, name) for vector in held() for name in BEHAVIOURS if applies(name, vector)]
    chosen = cases[:: len(cases) // scale.of(len(cases), at_least=10)]
    with _road() as road:
        met = [one for vector, name in chosen if (one := meet(road, vector, name)) is not None]
    return _figure(met, _at_databases(scale))


@dataclass(frozen=True, slots=True)
class _MetFront:
    """What came of one behaviour at one kind of database."""

    name: str
    reason: Reason
    expected: Reason
    took: float


def _at_databases(scale: Scale) -> list[_MetFront]:
    """Let a department's database misbehave in each way; MariaDB where this machine has one."""
    found: list[_MetFront] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        certificates = make_certificates(Path(folder))
        stands = {"postgresql": _stand(stack, stack.enter_context(start_postgres()), certificates)}
        if mariadb_programs() or os.environ.get("CI"):
            stands["mariadb"] = _stand(stack, stack.enter_context(start_mariadb(certificates["ok"])), certificates)
        cases = [case for case in CASES if case[0] in stands]
        for kind, place, behaviour, told in cases[:: len(cases) // scale.of(len(cases), at_least=5)]:
            reason, took = stands[kind].meet(place, told, FRONT_BUDGET_MS)
            found.append(_MetFront(f"{kind}/{told}", reason, expected(kind, place, behaviour, told), took))
    return found


def _stand(stack: ExitStack, server: Postgres | MariaDb, certificates: Mapping[str, Path]) -> FrontStand:
    return stack.enter_context(front_stand(server, certificates))


def _figure(met: list[Met], front: list[_MetFront]) -> Figure:
    wrong = [one for one in met if not one.holds]
    late = [one for one in met if one.took > BUDGET_MS / 1000 + GRACE_S]
    named = [f"{one.vector.source}/{one.behaviour}: {', '.join(sorted(one.reasons))}" for one in {*wrong, *late}]
    amiss = [one for one in front if one.reason is not one.expected or one.took > FRONT_BUDGET_MS / 1000 + GRACE_S]
    named += [f"{one.name}: {one.reason} after {one.took:.2f} s" for one in amiss]
    longest = max(*(one.took for one in met), *(one.took for one in front))
    sources = {one.vector.source for one in met}
    proposed = sum(SOURCES[source].state is RowState.PROPOSED for source in sources)
    where = f"{len(sources)} sources, {proposed} of them proposed,"
    kinds = " and ".join(sorted({one.name.partition("/")[0] for one in front}))
    told = f"{len(met) - len(wrong)} of {len(met)} at {where} and {len(front) - len(amiss)} of {len(front)} at {kinds}"
    told += f" with the named reason; longest {longest:.2f} s"
    return Figure("F8", DEMANDED, "; ".join([told, *named[:10]]), holds=not (wrong or late or amiss))


@contextmanager
def _road() -> Iterator[DoorRoad]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder), doors=True) as sandbox:
        transport = HttpsTransport(ca_file=str(sandbox.ca_file))
        try:
            yield DoorRoad(sandbox, transport, connections(sandbox), BUDGET_MS)
        finally:
            transport.close()
