"""Seeded simulation: the flow real, everything around it failing by chance, one process after another on one core.

Each seed is a program of its own (``tests/flow/simulation.py``): two processes, a client, administrators, officers and
holders; commits, questions, wakes and callbacks work, fail before, fail after, take long, repeat or kill. At each
program's end the invariants hold, all is settled, and the client finds everything exactly once.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from broker.bootstrap import make_keys, open_office
from broker.core.envelope import Algorithm
from tests.faults.figure import Figure, Scale
from tests.flow import kit
from tests.flow.simulation import brokers, simulate, template

DEMANDED = "2,000 seeds, with work orders, consents, commitments and reuse: 0 broken invariants, all settled"
WHOLE = 10_000  # the suite runs the first 2,000 of them every time
TOLD = {
    "asked": "questions", "decided": "decisions", "order_answered": "orders answered", "order_overdue": "overdue",
    "consent_granted": "consents granted", "consent_refused": "refused", "consent_expired": "expired",
    "consent_revoked": "revoked", "reused": "reuses", "promise_checked": "promises checked",
}  # fmt: skip


def run(scale: Scale) -> Figure:
    """One seed after another; the first that breaks an invariant ends it, and is named."""
    seeds, happened = scale.of(WHOLE, at_least=20), Counter[str]()

    def count(broker: kit.Broker) -> None:
        rows = broker.rows("SELECT kind, count(*) AS many FROM entry GROUP BY kind")
        happened.update({row.kind: row.many for row in rows})

    with TemporaryDirectory() as name:
        folder = Path(name)
        make_keys(folder, Algorithm.ED25519)
        office = open_office(kit.settings(f"sqlite:///{folder / 'none.db'}", folder), wake=kit.Bells())
        with brokers(office, template(office, folder), folder) as quick:
            simulate(range(seeds), quick, count)
        office.close()
    told = ", ".join(f"{happened[kind]:,} {words}" for kind, words in TOLD.items())
    return Figure(
        "F15", DEMANDED, f"{seeds:,} seeds, 0 broken: {told}", not scale.whole or all(map(happened.get, TOLD))
    )
