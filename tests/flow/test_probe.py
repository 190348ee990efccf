"""Probing silent sources: harmless, counted, one at a time, and its result is the source's health."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from broker.core.answer import Answer, Question, Reason
from broker.core.gate import new_gate
from broker.flow.fitness import sources_now
from broker.flow.parts import Limits
from broker.flow.probe import probe
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker

PROBE = {"id_type": "001", "number": kit.company(9), "name": "公司甲9", "expect": Reason.NOT_FOUND.value}
HOUR_MS = 3_600_000

only_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)


def agree(broker: Broker, source: str = LICENCES, about: Any = PROBE, **options: Any) -> None:
    """What stands in the platforms file of a process."""
    with broker.parts.store.read() as work:
        platform = broker.parts.edition(work, 1).catalog.sources[source].platform
    known = broker.parts.connections[platform]
    changed = replace(known, options={**known.options, "probes": {source: about}, **options})
    broker.parts.connections = {**broker.parts.connections, platform: changed}


@contextmanager
def listed(broker: Broker, **changes: Any) -> Iterator[None]:
    """This process takes the licences to stand in the list with these changes."""
    with broker.parts.store.read() as work:
        edition = broker.parts.edition(work, 1)
    sources = {**edition.catalog.sources, LICENCES: replace(edition.catalog.sources[LICENCES], **changes)}
    broker.parts._editions[1] = replace(edition, catalog=replace(edition.catalog, sources=sources))
    yield
    broker.parts._editions[1] = edition


def health(broker: Broker, source: str = LICENCES) -> dict[str, Any]:
    return next(one for one in sources_now(broker.parts) if one["source"] == source)


def later(broker: Broker) -> None:
    """An hour passes."""
    broker.execute("UPDATE source_probe SET ready_at = ready_at - :ms, probed_at = probed_at - :ms", ms=HOUR_MS)
    broker.execute("UPDATE source_health SET last_ok_at = last_ok_at - :ms, last_fail_at = last_fail_at - :ms",
                   ms=HOUR_MS)  # fmt: skip


def as_agreed(_: Question) -> Answer:
    return Answer(Reason.NOT_FOUND, source_code="x")


def test_a_silent_source_is_asked_its_probe_once_and_counted(broker: Broker) -> None:
    agree(broker)
    broker.sources.script[LICENCES] = as_agreed
    assert probe(broker.parts)
    assert not probe(broker.parts)
    assert [one.subject.number for one in broker.sources.questions] == [kit.company(9)]
    told = health(broker)
    assert (told["state"], told["today"]["calls"]) == ("ok", 1)
    assert (told["probe"]["agreed"], told["probe"]["failed"]) == ("agreed", None)
    assert told["probe"]["at"] is not None
    [entry] = broker.entries("source_probed")
    assert entry["source"] == LICENCES
    assert kit.company(9) not in json.dumps(broker.entries())
    later(broker)
    assert probe(broker.parts)
    broker.check()


@only_sqlite
def test_a_source_that_lookups_ask_is_not_probed_beside_them(broker: Broker) -> None:
    agree(broker)
    broker.admit(1)
    broker.work_off()
    assert not probe(broker.parts)
    later(broker)
    assert probe(broker.parts)


@only_sqlite
@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (Reason.SOURCE_DOWN, "answer"),
        (Reason.AUTHENTICATION, "auth"),
        (Reason.UNTRUSTED, "signature"),
        (Reason.CATALOGUE_DRIFT, "question"),
        (Reason.VALID, "expected"),
    ],
)
def test_the_step_that_is_broken_is_told_until_a_lookup_has_passed(broker: Broker, reason: Reason, step: str) -> None:
    agree(broker)
    broker.sources.script[LICENCES] = kit.just(reason)
    assert probe(broker.parts)
    told = health(broker)
    assert (told["state"], told["probe"]["failed"]) == ("failing", step)
    later(broker)
    broker.sources.script[LICENCES] = kit.valid
    broker.admit(1)
    broker.work_off()
    told = health(broker)
    assert (told["state"], told["probe"]["failed"]) == ("ok", None)


@only_sqlite
def test_a_probe_that_names_nobody_is_told_without_a_call(broker: Broker) -> None:
    agree(broker, about={"number": "1"})
    assert not probe(broker.parts)
    told = health(broker)
    assert (told["state"], told["probe"]["failed"], told["today"]["calls"]) == ("failing", "probe", 0)
    assert not broker.sources.questions


@only_sqlite
def test_what_asks_a_holder_is_never_probed_and_who_agreed_to_none_says_so(broker: Broker) -> None:
    agree(broker, LICENCES, consent=True)
    assert not probe(broker.parts)
    assert health(broker)["probe"] == {"agreed": "people", "at": None, "failed": None}
    broker.parts.connections = {"exchange-platform": broker.parts.connections["exchange-platform"]}
    assert {health(broker, one)["probe"]["agreed"] for one in (REGISTER, POPULATION)} == {"none"}
    assert health(broker)["probe"]["agreed"] == "unconnected"
    assert not broker.sources.questions
    assert not broker.entries("source_probed")


@only_sqlite
def test_a_work_order_is_never_probed_even_where_a_probe_is_written(broker: Broker) -> None:
    agree(broker)
    with listed(broker, connector="work_order"):
        assert health(broker)["probe"]["agreed"] == "people"
        assert not probe(broker.parts)


@only_sqlite
def test_nothing_is_probed_where_the_setting_is_off_or_the_day_is_used_up(broker: Broker) -> None:
    agree(broker)
    broker.parts.limits = Limits(probe_minutes=0)
    assert not probe(broker.parts)
    broker.parts.limits = Limits()
    with listed(broker, calls_per_day=3):
        with broker.parts.store.write() as work:
            source = broker.parts.edition(work, 1).catalog.sources[LICENCES]
            work.set_gate(replace(new_gate(source, work.pulse().now), calls=3))
            work.commit()
        assert not probe(broker.parts)
        assert health(broker)["state"] == "unasked"  # it is we who kept it from being asked
    assert not broker.sources.questions
    assert not broker.entries("source_probed")


def test_of_two_processes_one_probes_a_source(broker: Broker) -> None:
    """The second looks while the first is on its way to the source."""
    other = broker.another()
    for one in (broker, other):
        agree(one)
    found: list[bool] = []
    broker.sources.meanwhile = lambda source, questions: found.append(probe(other.parts))
    assert probe(broker.parts)
    assert found == [False]
    assert len(broker.sources.questions) == 1


def test_of_two_that_claim_a_source_together_one_has_it(broker: Broker) -> None:
    """Both have seen it due; a result that comes after its lease is nobody's."""
    agree(broker)
    assert probe(broker.parts)
    later(broker)
    with broker.parts.store.write() as work:
        now = work.pulse().now
        claimed = [work.claim_probe(LICENCES, now, now.replace(year=2100)) for _ in range(2)]
        [before] = work.probes()
        kept = work.keep_probe(replace(before, ready_at=now, probed_at=now, failed="auth"), now)
        work.commit()
    assert (claimed, kept) == ([True, False], False)


@only_sqlite
def test_a_process_that_dies_while_probing_is_followed_by_another(broker: Broker) -> None:
    agree(broker)

    def die(source: str, questions: object) -> None:
        raise kit.Crash

    broker.sources.meanwhile = die
    with pytest.raises(kit.Crash):
        probe(broker.parts)
    broker.sources.meanwhile = lambda source, questions: None
    assert not probe(broker.parts)  # its lease
    broker.execute("UPDATE source_probe SET ready_at = 0")
    assert probe(broker.parts)


@only_sqlite
@pytest.mark.parametrize("fault", ["before", "after", "entry"])
def test_without_its_entry_nobody_is_asked(broker: Broker, fault: str) -> None:
    agree(broker)
    broker.store.fault = fault.replace("entry", "")
    broker.store.refuse = lambda kind: fault == "entry" and kind == "source_probed"
    with pytest.raises(kit.Crash):
        probe(broker.parts)
    assert not broker.sources.questions
