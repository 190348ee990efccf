"""What another list would have made of a verification: plan and decide again, on the answers that were recorded.

Everything runs as it did, lookup by lookup; only what the draft wants to know and nobody asked at the time stays
unknown, and so does what rests on it. Pure: the same records and lists always give the same comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from broker.core.answer import Awaited, Finding, Wait
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Edition
from broker.core.decide import Decision, Kind, advance
from broker.core.errors import CallerProblem
from broker.core.plan import Plan, PlannedLookup, plan

_NEVER = Wait(Awaited.SOURCE, datetime(9999, 1, 1, tzinfo=UTC))  # stands for an answer that nobody has

Permits = Callable[[Plan, Request], Mapping[str, Permit | Refusal]]


@dataclass(frozen=True)
class Recorded:
    """A decided verification, as far as deciding is a function of it."""

    client: str
    request: Request = field(repr=False)
    day: date
    findings: Mapping[str, Finding] = field(repr=False)  # by lookup key
    fields: Mapping[str, frozenset[str]]  # what was asked for, by lookup key

    def answers(self, key: str, wanted: PlannedLookup) -> Finding | None:
        """What was answered, None where nobody asked, or nobody asked for so much."""
        return self.findings.get(key) if self.fields.get(key, frozenset()).issuperset(wanted.fields) else None


@dataclass(frozen=True)
class Run:
    """How one list decides a verification: material by material, and what it asks for that."""

    decisions: Mapping[str, Decision]
    asked: tuple[PlannedLookup, ...]
    refused: str = ""  # a problem code: the list does not take this request at all


@dataclass
class Comparison:
    """What a draft changes, over many verifications; every count is one material of one verification."""

    replayed: int = 0
    gained: Counter[str] = field(default_factory=Counter)  # by material
    lost: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)  # rests on an answer that nobody has asked for yet
    fields: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (client, source) → fields gained
    calls_before: Counter[str] = field(default_factory=Counter)  # by source
    calls_after: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # by problem code

    def as_values(self) -> dict[str, Any]:
        """As plain values, to be kept and shown."""
        return {
            "replayed": self.replayed,
            "gained": dict(self.gained),
            "lost": dict(self.lost),
            "unsure": dict(self.unsure),
            "fields": [
                {"client": client, "source": source, "fields": dict(gained)}
                for (client, source), gained in sorted(self.fields.items())
            ],
            "calls": {
                source: [self.calls_before[source], self.calls_after[source]]
                for source in sorted(self.calls_before | self.calls_after)
            },
            "refused": dict(self.refused),
        }

    def add(self, recorded: Recorded, before: Run, after: Run) -> None:
        """Count what differs between two runs of one verification."""
        self.replayed += 1
        for run, calls in ((before, self.calls_before), (after, self.calls_after)):
            calls.update(one.source for one in run.asked)
        if after.refused and not before.refused:
            self.refused[after.refused] += 1
        self._materials(before, after)
        self._fields(recorded.client, before, after)

    def _materials(self, before: Run, after: Run) -> None:
        for key in before.decisions.keys() & after.decisions.keys():
            old, new = before.decisions[key].kind, after.decisions[key].kind
            if new is Kind.PENDING and old is not Kind.PENDING:
                self.unsure[key] += 1
            elif (old is Kind.EXEMPT) != (new is Kind.EXEMPT) and old is not Kind.PENDING:
                (self.gained if new is Kind.EXEMPT else self.lost)[key] += 1

    def _fields(self, client: str, before: Run, after: Run) -> None:
        had: dict[str, set[str]] = {}
        for lookup in before.asked:
            had.setdefault(lookup.source, set()).update(lookup.fields)
        for lookup in after.asked:
            new = set(lookup.fields) - had.get(lookup.source, set())
            if new:
                self.fields.setdefault((client, lookup.source), Counter()).update(new)


def run(edition: Edition, recorded: Recorded, permits: Permits) -> Run:
    """Decide a recorded verification under a list, answer by answer, asking as the flow would have asked."""
    request = recorded.request
    try:
        planned = plan(edition, request, recorded.day)
    except CallerProblem as problem:
        return Run({}, (), problem.code)
    allowed = permits(planned, request)
    known: dict[str, Finding] = {}
    waits: dict[str, Wait] = {}
    earlier: dict[str, Finding | None] = {}
    while True:
        progress = advance(planned, request, allowed, known, recorded.day, waits, earlier)
        if not progress.due and not progress.wanted:
            break
        earlier |= dict.fromkeys(progress.wanted)  # nothing earlier is used: it counts as asked again
        for key in progress.due:
            answer = recorded.answers(key, planned.lookups[key])
            if answer is None:
                waits[key] = _NEVER
            else:
                known[key] = answer
    asked = tuple(planned.lookups[key] for key in (*known, *waits))
    return Run({one.need.key: one for one in progress.decisions}, asked)
