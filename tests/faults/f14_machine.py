"""Programs of steps: Hypothesis looks for the shortest sequence of acts after which an invariant does not hold.

Each program (``tests/flow/machine.py``) admits, asks, answers, decides, publishes, dies at commits, takes grants and
sources away, lets people answer and holders decide, replaces and revokes our keys. The whole database is checked after
every step; at the end all is settled.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from broker.bootstrap import make_keys, open_office
from broker.core.envelope import Algorithm
from tests.faults.figure import Figure, Scale
from tests.flow import kit
from tests.flow.machine import run_programs
from tests.flow.simulation import brokers, template

DEMANDED = "1,000 programs of 50 steps, I1–I8 after each step: 0 broken, all settled"
PROGRAMS, STEPS = 1_000, 50
TOLD = {
    "asked": "questions", "decided": "decisions", "order_answered": "orders answered", "consent_granted": "consents",
    "promise_checked": "promises checked", "grant_revoked": "grants revoked", "source_stopped": "sources stopped",
    "own_key_rotated": "keys replaced", "own_key_revoked": "keys revoked",
}  # fmt: skip


def run(scale: Scale) -> Figure:
    """Other programs each time; one that breaks an invariant is told, cut down to what is needed for it."""
    programs, happened, ended = scale.of(PROGRAMS, at_least=5), Counter[str](), Counter[str]()

    def count(broker: kit.Broker) -> None:
        rows = broker.rows("SELECT kind, count(*) AS many FROM entry GROUP BY kind")
        happened.update({row.kind: row.many for row in rows})
        ended.update(programs=1, checks=broker.checker.checks)

    with TemporaryDirectory() as name:
        folder = Path(name)
        make_keys(folder, Algorithm.ED25519)
        office = open_office(kit.settings(f"sqlite:///{folder / 'none.db'}", folder), wake=kit.Bells())
        with brokers(office, template(office, folder), folder) as quick:
            run_programs(quick, programs, STEPS, count, database=None)
        office.close()
    told = ", ".join(f"{happened[kind]:,} {words}" for kind, words in TOLD.items())
    measured = f"{ended['programs']:,} programs, {ended['checks']:,} checks, 0 broken: {told}"
    return Figure("F14", DEMANDED, measured, not scale.whole or all(map(happened.get, TOLD)))
