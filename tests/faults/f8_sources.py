"""Slow, lying and hanging sources.

Every behaviour of the sandbox at every source that a platform process carries, over real sockets and TLS, with a budget
of a second: the named reason, within the budget and a second. ``applies`` says what a protocol cannot show at all.

The connectors are asked here, not the flow, which would ask no proposed source: some families have no others yet, and
must be harmless before an owner confirms one. The figure says how many are proposed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from broker.core.catalog import RowState
from broker.sandbox.behaviours import BEHAVIOURS
from broker.sandbox.sources import Sandbox
from broker.transport.https import HttpsTransport
from tests.asking import SOURCES, connections
from tests.faults.figure import Figure, Scale
from tests.misbehaviour import DoorRoad, Met, applies, held, meet

DEMANDED = "every behaviour × every connector: the named reason, never held without a sound answer, ≤ budget + 1 s"
BUDGET_MS: Final = 1000
GRACE_S: Final = 1.0


def run(scale: Scale) -> Figure:
    """Let each source misbehave in each way."""
    cases = [(vector, name) for vector in held() for name in BEHAVIOURS if applies(name, vector)]
    chosen = cases[:: len(cases) // scale.of(len(cases), at_least=10)]
    with _road() as road:
        met = [one for vector, name in chosen if (one := meet(road, vector, name)) is not None]
    return _figure(met)


def _figure(met: list[Met]) -> Figure:
    wrong = [one for one in met if not one.holds]
    late = [one for one in met if one.took > BUDGET_MS / 1000 + GRACE_S]
    named = [f"{one.vector.source}/{one.behaviour}: {', '.join(sorted(one.reasons))}" for one in {*wrong, *late}]
    longest = max(one.took for one in met)
    sources = {one.vector.source for one in met}
    proposed = sum(SOURCES[source].state is RowState.PROPOSED for source in sources)
    where = f"{len(sources)} sources, {proposed} of them proposed,"
    told = f"{len(met) - len(wrong)} of {len(met)} at {where} with the named reason; longest {longest:.2f} s"
    return Figure("F8", DEMANDED, "; ".join([told, *named[:10]]), holds=not wrong and not late)


@contextmanager
def _road() -> Iterator[DoorRoad]:
    with tempfile.TemporaryDirectory() as folder, Sandbox(Path(folder), doors=True) as sandbox:
        transport = HttpsTransport(ca_file=str(sandbox.ca_file))
        try:
            yield DoorRoad(sandbox, transport, connections(sandbox), BUDGET_MS)
        finally:
            transport.close()
