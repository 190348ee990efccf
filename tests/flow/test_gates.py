"""Gates in the flow: limits hold over all workers, a barred lookup is never asked, and how a source was is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core.answer import Reason
from broker.core.gate import Breaker
from broker.core.health import Day
from broker.flow import register
from broker.flow.look_up import look_up
from broker.flow.sweep import tidy
from broker.ports.health import Travelled
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker, just


def listed(broker: Broker, **changes: Any) -> None:
    """Let the list say something else of a source in every edition: these tests need no second one."""
    with broker.parts.store.read() as work:
        edition = broker.parts.edition(work, 1)
    source = edition.catalog.sources[LICENCES]
    for name, value in changes.items():
        object.__setattr__(source, name, value)


@pytest.fixture(autouse=True)
def unpaused(broker: Broker) -> list[float]:
    """The pauses that workers would have made."""
    pauses: list[float] = []
    broker.parts.pause = pauses.append
    return pauses


@dataclass
class Scripted:
    """Implements ``ports.Roads`` as told."""

    told: Travelled = field(default_factory=Travelled)
    followed: list[Breaker] = field(default_factory=list)

    def heard(self, source: str, took_ms: int, *, sound: bool, calls: int = 1, pause_s: float = 0.0) -> None:
        """Nobody tells us."""

    def follow(self, source: str, breaker: Breaker) -> None:
        """Note it."""
        self.followed.append(breaker)

    def travelled(self, source: str) -> Travelled:
        """As told."""
        return self.told


def gate(broker: Broker) -> Any:
    return broker.rows("SELECT * FROM source_gate WHERE source = :source", source=LICENCES)[0]


def test_what_is_beyond_the_rate_waits_and_is_asked_later(broker: Broker, unpaused: list[float]) -> None:
    listed(broker, calls_per_second=20)  # two at once
    for number in range(5):
        broker.admit(number)
    assert look_up(broker.parts, LICENCES) == 5
    assert len(broker.sources.of(LICENCES)) == len(broker.entries("asked")) == 2
    assert 0 < unpaused[0] <= 0.25
    for _ in range(2):
        broker.execute("UPDATE source_gate SET filled_at = filled_at - 1000")
        look_up(broker.parts, LICENCES)
    assert len(broker.sources.of(LICENCES)) == 5
    assert {one["attempt"] for one in broker.entries("asked")} == {1}, "who waited was never claimed"
    listed(broker, calls_per_second=10_000)
    broker.finish()


def test_two_workers_together_ask_no_more_than_the_rate(broker: Broker) -> None:
    listed(broker, calls_per_second=4)
    for number in range(12):
        broker.admit(number)
    other = broker.another()
    other.parts._editions = broker.parts._editions
    other.parts.pause = lambda _: None
    look_up(broker.parts, LICENCES)  # the gate's row is there
    broker.execute("UPDATE source_gate SET tokens = 0")
    with ThreadPoolExecutor(2) as pool:
        began = datetime.now(UTC)
        list(pool.map(lambda one: [look_up(one.parts, LICENCES) for _ in range(6)], (broker, other)))
        took = (datetime.now(UTC) - began).total_seconds()
    assert len(broker.sources.of(LICENCES)) <= 4 + 4 * took + 1
    listed(broker, calls_per_second=10_000)
    broker.finish()
    other.office.close()


def test_calls_are_counted_where_a_lookup_makes_several(broker: Broker) -> None:
    """Beforehand by what lookups have cost of late, afterwards by what was sent."""
    listed(broker, calls_per_second=1000, calls_per_day=100)
    broker.parts.roads = Scripted(Travelled((9,) * 4, Breaker.CLOSED, 12))
    for number in range(4):
        broker.admit(number)
    look_up(broker.parts, LICENCES)
    row = gate(broker)
    assert (row.calls, row.cost, row.tokens) == (12, 1500, 100_000 - 12_000)
    broker.admit(4)
    broker.parts.roads = Scripted(Travelled((9,), Breaker.CLOSED, 0))
    look_up(broker.parts, LICENCES)
    assert (gate(broker).calls, gate(broker).cost) == (12, 1125), "what was not sent is not counted"
    broker.parts.roads = Scripted(Travelled((9,), Breaker.CLOSED, 1))
    listed(broker, calls_per_day=None, calls_per_second=10_000)
    broker.finish()


@pytest.mark.parametrize(("pause", "patience"), [(8.0, 10), (8.0, 5), (7200.0, 10)])
def test_a_pause_that_a_source_asks_for_holds_for_all_workers(broker: Broker, pause: float, patience: int) -> None:
    listed(broker, options={"patience_seconds": patience})
    roads = broker.parts.roads = Scripted(Travelled((9,), Breaker.CLOSED, 1, pause))
    broker.admit(1)
    look_up(broker.parts, LICENCES)
    roads.told = Travelled()
    closed = gate(broker).closed_until / 1000 - datetime.now(UTC).timestamp()
    assert min(pause, 3600) - 5 < closed <= min(pause, 3600)
    number = broker.admit(2)
    other = broker.another()
    other.parts._editions = broker.parts._editions
    assert look_up(other.parts, LICENCES) == 1
    other.office.close()
    assert len(broker.sources.of(LICENCES)) == 1, "another worker asks nothing either"
    stopped = [(one["rule"], one["reason"], one["code"]) for one in broker.entries("stopped")]
    if pause <= patience:
        assert stopped == []
        assert look_up(broker.parts, LICENCES) == 0, "it is looked at when the pause is over"
    else:
        assert stopped == [("source.pause", "unknown.throttled", "retry-after")]
    broker.execute("UPDATE source_gate SET closed_until = 0")
    broker.finish()
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid")
    listed(broker, options={})


def test_beyond_the_days_calls_a_lookup_goes_on_along_its_chain_unasked(broker: Broker) -> None:
    listed(broker, calls_per_day=2)
    numbers = [broker.admit(number) for number in range(4)]
    broker.finish()
    assert len(broker.sources.of(LICENCES)) == 2
    stopped = broker.entries("stopped")
    assert [(one["rule"], one["reason"], one["code"]) for one in stopped] == [
        ("source.daily-calls", "unknown.throttled", "calls-per-day")
    ] * 2
    assert [broker.decisions(number)["licence"][0] for number in numbers] == ["exempt"] * 4, "by the register instead"
    listed(broker, calls_per_day=None)


def test_an_open_breaker_answers_at_once_and_asks_nobody(broker: Broker) -> None:
    roads = Scripted(Travelled((9,), Breaker.OPEN))
    broker.parts.roads = roads
    broker.admit(1)
    broker.sources.script = {LICENCES: just(Reason.SOURCE_DOWN)}
    look_up(broker.parts, LICENCES)
    assert gate(broker).breaker == "open"
    assert gate(broker).until_at > datetime.now(UTC).timestamp() * 1000
    number = broker.admit(2)
    look_up(broker.parts, LICENCES)
    (stopped,) = broker.entries("stopped")
    assert (stopped["rule"], stopped["reason"], stopped["code"]) == (
        "source.breaker",
        "unknown.source-down",
        "breaker",
    )
    assert len(broker.sources.of(LICENCES)) == len(broker.entries("asked")) == 1
    roads.told = Travelled()
    broker.finish()
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid"), "the register knows it too"


def test_when_its_time_has_come_one_lookup_finds_out(broker: Broker, unpaused: list[float]) -> None:
    roads = broker.parts.roads = Scripted(Travelled((9,), Breaker.OPEN))
    broker.admit(1)
    look_up(broker.parts, LICENCES)
    for number in (2, 3, 4):
        broker.admit(number)
    broker.execute("UPDATE source_gate SET until_at = 0")
    roads.told = Travelled((7,), Breaker.CLOSED)  # the probe will go well
    assert look_up(broker.parts, LICENCES) == 3
    assert roads.followed[-1] is Breaker.HALF_OPEN
    assert (len(broker.sources.of(LICENCES)), gate(broker).breaker) == (2, "closed")
    broker.finish()
    assert broker.entries("stopped") == []


def test_while_a_probe_is_under_way_another_worker_does_not_ask(broker: Broker) -> None:
    broker.parts.roads = Scripted(Travelled((9,), Breaker.OPEN))
    broker.admit(1)
    look_up(broker.parts, LICENCES)
    for number in (2, 3):
        broker.admit(number)
    broker.execute("UPDATE source_gate SET until_at = 0")
    other = broker.another()
    other.parts.pause = lambda _: None
    broker.sources.meanwhile = lambda source, questions: source == LICENCES and look_up(other.parts, LICENCES)
    look_up(broker.parts, LICENCES)
    assert len(broker.sources.of(LICENCES)) == 2
    assert [one["rule"] for one in broker.entries("stopped")] == ["source.breaker"]
    broker.sources.meanwhile = lambda source, questions: None
    broker.finish()
    other.office.close()


def test_who_is_not_asked_any_more_does_not_take_the_place_of_the_one_who_finds_out(broker: Broker) -> None:
    roads = broker.parts.roads = Scripted(Travelled((9,), Breaker.OPEN))
    register.set_grant_state(broker.parts, f"g-{LICENCES}", "revoked")
    register.register_grant(broker.parts, kit.grant(LICENCES, id="g-few", daily_calls=5))
    broker.admit(1)
    look_up(broker.parts, LICENCES)
    broker.admit(2)
    register.close_case(broker.parts, kit.closing(kit.request(2)["case"]["number"], "approved"), kit.as_client())
    broker.execute("UPDATE source_gate SET until_at = 0")
    roads.told = Travelled()
    look_up(broker.parts, LICENCES)
    assert (gate(broker).breaker, gate(broker).calls) == ("open", 1)
    assert [one["rule"] for one in broker.entries("stopped")] == ["case.closed"]
    broker.admit(3)
    broker.execute("UPDATE grant_usage SET calls = 9")
    look_up(broker.parts, LICENCES)
    assert (gate(broker).breaker, gate(broker).calls) == ("open", 1)
    assert broker.entries("stopped")[-1]["rule"] == "grant.exhausted"
    roads.told = Travelled((7,), Breaker.CLOSED)
    broker.execute("DELETE FROM grant_usage")
    broker.admit(4)
    look_up(broker.parts, LICENCES)
    assert (gate(broker).breaker, gate(broker).calls) == ("closed", 2)
    broker.finish()


def test_a_probe_that_asked_nothing_leaves_the_place_to_the_next(broker: Broker) -> None:
    """A conversation may end before its first request: nothing was found out."""
    roads = broker.parts.roads = Scripted(Travelled((9,), Breaker.OPEN))
    broker.admit(1)
    look_up(broker.parts, LICENCES)
    broker.execute("UPDATE source_gate SET until_at = 0")
    roads.told = Travelled((), Breaker.HALF_OPEN)
    broker.admit(2)
    look_up(broker.parts, LICENCES)
    assert gate(broker).breaker == "open"
    roads.told = Travelled((7,), Breaker.CLOSED)
    broker.admit(3)
    look_up(broker.parts, LICENCES)
    assert (gate(broker).breaker, broker.entries("stopped")) == ("closed", [])
    broker.finish()


def test_a_lost_commit_leaves_no_call_counted_and_no_health(broker: Broker) -> None:
    broker.admit(1)
    before = broker.contents()
    broker.store.fault = "before"
    with pytest.raises(kit.Crash):
        look_up(broker.parts, LICENCES)
    assert broker.contents() == before
    look_up(broker.parts, LICENCES)
    assert gate(broker).calls == 1
    broker.finish()


def test_each_batch_is_added_to_its_sources_day(broker: Broker) -> None:
    roads = broker.parts.roads = Scripted(Travelled((12, 600), Breaker.CLOSED))
    broker.sources.script = {REGISTER: just(Reason.LATE), POPULATION: just(Reason.DECEASED)}
    for number in range(3):
        broker.admit(number)
        for source in (LICENCES, REGISTER, POPULATION):
            look_up(broker.parts, source)
        roads.told = Travelled((3,), Breaker.CLOSED)
    with broker.parts.store.read() as work:
        days = {one.source: one for one in work.health("2000-01-01")}
    licences, register, population = days[LICENCES], days[REGISTER], days[POPULATION]
    assert (licences.held, licences.failed, licences.last_failure, licences.last_fail_at) == (3, 0, "", None)
    assert (licences.timed, licences.least_ms, licences.most_ms, licences.total_ms) == (4, 3, 600, 618)
    assert (register.unknown, register.failed, register.last_failure) == (3, 3, "unknown.late")
    assert register.last_ok_at is None
    assert register.last_fail_at is not None
    assert (population.not_held, population.failed) == (3, 0)
    roads.told = Travelled()
    broker.finish()


def test_a_quarter_later_the_days_are_forgotten(broker: Broker) -> None:
    now = datetime.now(UTC)
    days = [(now - timedelta(days=age)).date().isoformat() for age in (0, 89, 92)]
    with broker.parts.store.write() as work:
        for day in days:
            work.add_health(Day("s", day))
        work.commit()
    tidy(broker.parts)
    with broker.parts.store.read() as work:
        assert [one.day for one in work.health("2000-01-01")] == sorted(days[:2])
