"""Folding: any batches, any order of restarts, the same counters as a recount; frozen months stay as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from broker.core.answer import Reason
from broker.core.catalog import catalog_from
from broker.core.figures import Counted, GroupBy, counted, day_decided, freezes_on, frozen_digest, month_after
from broker.core.working_days import Calendar
from broker.flow.figures import fold, freeze, keep_figures, told_by
from broker.flow.objections import raise_objection
from broker.ports import Pulse, Store
from tests.flow import catalogue, kit
from tests.flow.kit import Broker
from tests.flow.test_collect import report
from tests.flow.test_objections import doubt

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
CATALOG = catalog_from(catalogue.document())
_LINES = "SELECT day, region, department, scene, item, material, mode, decision, source, reach, count FROM figures_day"


def decide(broker: Broker, count: int = 4) -> None:
    """So many verifications with every kind of end, all in the log."""
    broker.sources.script[catalogue.POPULATION] = lambda question: kit.just(
        (Reason.VALID, Reason.NOT_FOUND, Reason.DECEASED, Reason.SOURCE_DOWN)[int(question.subject.number[-2]) % 4]
    )(question)
    for number in range(count):
        scene = {"item": None, "scene": catalogue.SCENE} if number % 3 == 2 else {}
        broker.admit(number, **scene)
    broker.work_off()
    broker.sequence_all()


def counters(broker: Broker) -> Counter[Counted]:
    return Counter({Counted(*row[:-1]): row[-1] for row in broker.rows(_LINES)})


def recount(broker: Broker) -> Counter[Counted]:
    """Every receipt at once, by brute force."""
    found: Counter[Counted] = Counter()
    for row in broker.rows("SELECT receipt FROM verification WHERE state = 'decided'"):
        payload = kit.payload(row.receipt)
        found += counted(payload, CATALOG, day_decided(payload).isoformat())
    return found


class Later:
    """The same store, its clock so many days ahead."""

    def __init__(self, store: Store, days: int) -> None:
        self._store, self._ahead = store, timedelta(days=days)

    @contextmanager
    def read(self) -> Iterator[Any]:
        """As the store, later."""
        with self._store.read() as work:
            yield _LaterWork(work, self._ahead)

    @contextmanager
    def write(self) -> Iterator[Any]:
        """As the store, later."""
        with self._store.write() as work:
            yield _LaterWork(work, self._ahead)


class _LaterWork:
    def __init__(self, work: Any, ahead: timedelta) -> None:
        self._work, self._ahead = work, ahead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    def pulse(self) -> Pulse:
        told: Pulse = self._work.pulse()
        return replace(told, now=told.now + self._ahead)


def later(broker: Broker, days: int = 45) -> None:
    """Let so many days pass: this month is over, and past the day on which it is frozen."""
    broker.parts.store = cast("Store", Later(broker.store, days))


def test_the_counters_are_what_a_recount_of_every_receipt_gives(broker: Broker) -> None:
    decide(broker, 6)
    while keep_figures(broker.parts):
        pass
    found = counters(broker)
    assert found == recount(broker)
    assert sum(found.values()) == sum(
        len(kit.payload(row.receipt)["materials"]) for row in broker.rows("SELECT receipt FROM verification")
    )
    assert {line.department for line in found} == {"市监局"}
    assert len({line.decision for line in found}) >= 3
    assert {line.reach for line in found if line.material == "form"} == {"none"}
    broker.finish()


@ON_SQLITE
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(rounds=st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["", "before", "after"])), max_size=30))
def test_any_batches_and_any_crashes_between_give_the_same_counters(
    broker: Broker, rounds: list[tuple[int, str]]
) -> None:
    if not broker.rows("SELECT id FROM verification"):
        decide(broker)
    broker.execute("DELETE FROM figures_day")
    broker.execute("UPDATE figures_cursor SET position = 0")
    for batch, fault in rounds:
        broker.store.fault = fault
        try:
            fold(broker.parts, batch)
        except kit.Crash:
            continue
    broker.store.fault = ""
    while fold(broker.parts, 7):
        pass
    assert counters(broker) == recount(broker)


def test_whoever_comes_second_with_the_same_batch_adds_nothing(broker: Broker) -> None:
    """The place moved between the reading and the adding: what was read is thrown away."""
    decide(broker, 2)
    overtaken = _Overtaken(broker)
    broker.parts.store = cast("Store", overtaken)
    assert fold(broker.parts)
    assert overtaken.done
    assert counters(broker) == recount(broker)


class _Overtaken(Later):
    """Lets somebody else fold everything just before the first writing."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker.store, 0)
        self._broker, self.done = broker, False

    @contextmanager
    def write(self) -> Iterator[Any]:
        """As the store, but late."""
        if not self.done:
            self.done = True
            while fold(self._broker.parts):
                pass
        with super().write() as work:
            yield work


def fold_all(broker: Broker) -> None:
    """Fold everything that has its place."""
    broker.sequence_all()
    while fold(broker.parts):
        pass


def test_a_month_is_frozen_once_on_its_day_and_never_changes(broker: Broker) -> None:
    decide(broker)
    report(broker, 50, {"material": "licence", "reason": "clerk_habit"})
    fold_all(broker)
    assert freeze(broker.parts) is None, "this month is not over"
    later(broker)
    month = freeze(broker.parts)
    assert month == _today(broker)[:7]
    assert freeze(broker.parts) is None, "the next one is not due"
    (told,) = broker.entries("figures_frozen")
    with broker.parts.store.read() as work:
        lines, papers = work.frozen_lines(month)
        assert told["digest"] == frozen_digest(month, lines, papers) == work.frozen()[0].digest
        before = work.counts(["material"], {}, [month])
        assert work.papers(["department"], {}, [month]) == [(("市监局",), "live", 1)]
        assert work.papers(["department"], {"material": "form"}, [month]) == []
        told_of = told_by(work, GroupBy.MONTH, {}, [month])[month]
    assert (told_of.materials, told_of.papers_live) == (sum(line[-1] for line in lines), 1)
    assert sum(line[-1] for line in lines) == sum(counters(broker).values()) == sum(row[-1] for row in before)
    for statement in (
        "UPDATE figures_month SET count = 0", "DELETE FROM figures_month", "UPDATE figures_frozen SET digest = ''",
        "DELETE FROM figures_frozen", "DELETE FROM paper_month",
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match="append only"):
            broker.execute(statement)
    broker.execute("UPDATE figures_day SET count = count + 7")
    with broker.parts.store.read() as work:
        assert work.counts(["material"], {}, [month]) == before, "what is read of a frozen month is what was frozen"


@ON_SQLITE
def test_what_arrives_after_its_month_was_frozen_counts_when_it_arrives(broker: Broker) -> None:
    decide(broker)
    fold_all(broker)
    later(broker)
    month = freeze(broker.parts)
    assert month is not None
    before = counters(broker)
    broker.parts.store = cast("Store", broker.store)
    broker.admit(20)
    broker.work_off()
    later(broker)
    fold_all(broker)
    late = counters(broker) - before
    assert {line.day for line in late} == {(date.fromisoformat(_today(broker)) + timedelta(days=45)).isoformat()}
    assert sum(late.values()) == 4
    with broker.parts.store.read() as work:
        assert sum(row[-1] for row in work.counts([], {}, [month])) == sum(before.values())
        assert sum(row[-1] for row in work.counts([], {}, [month, month_after(month)])) == sum(before.values()) + sum(
            count for line, count in late.items() if line.day.startswith(month_after(month))
        )


def _today(broker: Broker) -> str:
    return max(line.day for line in recount(broker))


@ON_SQLITE
def test_a_month_waits_until_all_of_it_is_folded(broker: Broker) -> None:
    decide(broker, 2)
    fold_all(broker)
    broker.admit(10)
    broker.work_off()
    broker.sequence_all()
    later(broker)
    assert freeze(broker.parts) is None
    fold_all(broker)
    assert freeze(broker.parts) is not None


@ON_SQLITE
def test_without_its_entry_no_month_is_frozen(broker: Broker) -> None:
    decide(broker, 1)
    fold_all(broker)
    later(broker)
    broker.store.refuse = lambda kind: kind == "figures_frozen"
    before = broker.contents()
    with pytest.raises(kit.Crash):
        freeze(broker.parts)
    assert broker.contents() == before


def test_objections_are_counted_by_source_for_the_ledger(broker: Broker) -> None:
    number = broker.admit(1)
    broker.work_off()
    raised = raise_objection(broker.parts, doubt(number))
    with broker.parts.store.read() as work:
        now = work.pulse().now
        assert work.objections_to(now - timedelta(days=1)) == {raised.source: 1}
        assert work.objections_to(now + timedelta(days=1)) == {}


def test_a_month_is_frozen_on_the_fifth_working_day_of_the_next() -> None:
    calendar = Calendar(holidays=frozenset({date(2026, 5, 1)}))
    assert freezes_on("2026-04", calendar) == date(2026, 5, 8)
    assert month_after("2026-12") == "2027-01"


def test_the_counters_know_no_person(broker: Broker) -> None:
    decide(broker, 3)
    while fold(broker.parts):
        pass
    kept = json.dumps([list(line) for line in counters(broker)], ensure_ascii=False)
    assert "张某" not in kept
    assert kit.citizen(0) not in kept
    broker.checker.check()
