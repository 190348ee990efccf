"""What another list would have made of a verification: plan and decide again, on the answers that were recorded.

Everything runs as it did, lookup by lookup; only what the draft wants to know and nobody asked at the time stays
unknown, and so does what rests on it. Pure: the same records and lists always give the same comparison.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from broker.core.answer import Awaited, Finding, Wait
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Edition
from broker.core.day import day_of
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
    at: datetime
    findings: Mapping[str, Finding] = field(repr=False)  # by lookup key
    fields: Mapping[str, frozenset[str]]  # what was asked for, by lookup key

    @property
    def day(self) -> date:
        """The day it was admitted on, which plans and judges it."""
        return day_of(self.at)

    def answers(self, key: str, wanted: PlannedLookup) -> Finding | None:
        """What was answered, None where nobody asked, or nobody asked for so much."""
        return self.findings.get(key) if self.fields.get(key, frozenset()).issuperset(wanted.fields) else None


@dataclass(frozen=True)
class Run:
    """How one list decides a verification: material by material, and what it asks for that."""

    decisions: Mapping[str, Decision]
    asked: tuple[PlannedLookup, ...]
    refused: str = ""  # a problem code: the list does not take this request at all


_KINDS = ("gained", "lost", "not_met", "unsure")


@dataclass
class Comparison:
    """What a draft changes, over many verifications; every count is one material of one verification."""

    replayed: int = 0
    effects: Counter[tuple[str, str, str, str, str]] = field(default_factory=Counter)
    """By kind (gained, lost, not_met: contradicted by data, unsure), material, item, region and system."""
    fields: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # gained | lost, system, source, field
    calls: tuple[Calls, Calls] = field(default_factory=lambda: (Calls(), Calls()))  # before, after
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # problem code, item or scene, region

    def as_values(self) -> dict[str, Any]:
        """As plain values, to be kept and shown."""
        named = ("material", "item", "region", "client")
        sources = sorted({source for one in self.calls for source in one.total})
        return {
            "replayed": self.replayed,
            **{
                wanted: [
                    dict(zip(named, key[1:], strict=True)) | {"count": count}
                    for key, count in sorted(self.effects.items()) if key[0] == wanted
                ]
                for wanted in _KINDS
            },
            "fields": [
                {"change": change, "client": client, "source": source, "field": name, "count": count}
                for (change, client, source, name), count in sorted(self.fields.items())
            ],
            "calls": {source: [one.of(source) for one in self.calls] for source in sources},
            "refused": [
                {"code": code, "what": what, "region": region, "count": count}
                for (code, what, region), count in sorted(self.refused.items())
            ],
        }  # fmt: skip

    def add(self, recorded: Recorded, before: Run, after: Run) -> None:
        """Count what differs between two runs of one verification."""
        self.replayed += 1
        for run, calls in zip((before, after), self.calls, strict=True):
            calls.add(run, recorded)
        request = recorded.request
        if after.refused and not before.refused:
            self.refused[after.refused, request.item or request.scene or "", request.region] += 1
        self._materials(recorded, before, after)
        self._fields(recorded.client, before, after)

    def _materials(self, recorded: Recorded, before: Run, after: Run) -> None:
        for key in before.decisions.keys() & after.decisions.keys():
            old, new = before.decisions[key], after.decisions[key]
            for kind in _kinds(old.kind, new.kind):
                for item in new.need.items:
                    self.effects[kind, key, item, recorded.request.region, recorded.client] += 1

    def _fields(self, client: str, before: Run, after: Run) -> None:
        had, has = _asked(before), _asked(after)
        for change, more, less in (("gained", has, had), ("lost", had, has)):
            for source, names in more.items():
                for name in names - less.get(source, set()):
                    self.fields[change, client, source, name] += 1


@dataclass
class Calls:
    """How often each source is asked: in all, on its busiest day, in its busiest hour."""

    total: Counter[str] = field(default_factory=Counter)
    by_hour: dict[str, Counter[datetime]] = field(default_factory=dict)

    def add(self, run: Run, recorded: Recorded) -> None:
        """Count what one run asks, in the hour of its verification."""
        hour = recorded.at.replace(minute=0, second=0, microsecond=0)
        for one in run.asked:
            self.total[one.source] += 1
            self.by_hour.setdefault(one.source, Counter())[hour] += 1

    def of(self, source: str) -> dict[str, int]:
        """The three counts of one source; days are China's."""
        hours = self.by_hour.get(source, Counter())
        days: Counter[date] = Counter()
        for hour, count in hours.items():
            days[day_of(hour)] += count
        return {
            "total": self.total[source], "day": max(days.values(), default=0), "hour": max(hours.values(), default=0),
        }  # fmt: skip


def _kinds(old: Kind, new: Kind) -> Iterator[str]:
    """What it means for a material that it is decided anew."""
    if (old is Kind.PENDING) != (new is Kind.PENDING):
        yield "unsure"  # one of the two rests on an answer that nobody has asked for yet
        return
    if (old is Kind.EXEMPT) != (new is Kind.EXEMPT):
        yield "gained" if new is Kind.EXEMPT else "lost"
    if new is Kind.NOT_MET and old is not Kind.NOT_MET:
        yield "not_met"


def _asked(run: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for lookup in run.asked:
        found.setdefault(lookup.source, set()).update(lookup.fields)
    return found


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
