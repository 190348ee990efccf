"""A source stopped by hand: nobody asks it from then on, in any process, until a person opens it again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.gate import Stop
from broker.flow.fitness import fitness, sources_now
from broker.flow.look_up import look_up
from broker.flow.probe import probe
from broker.flow.stops import open_source, stop_source
from tests.flow import kit
from tests.flow.catalogue import LICENCES, REGISTER
from tests.flow.kit import Broker
from tests.flow.test_probe import agree
from tests.flow.test_promises import promised, promises

only_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
WHY = "数源升级，答复有误"
WIDE = {ord(digit): 0xFEE0 + ord(digit) for digit in "0123456789X"}  # as an input method may write them


def state(broker: Broker, source: str = LICENCES) -> str:
    return str(next(one["state"] for one in sources_now(broker.parts) if one["source"] == source))


def test_a_stopped_source_is_not_asked_and_the_material_goes_on_along_its_chain(broker: Broker) -> None:
    before, other = broker.admit(1), broker.another()
    stop_source(broker.parts, LICENCES, "op", f" {WHY} ")
    assert state(broker) == state(other) == "stopped"
    while look_up(other.parts, LICENCES):
        pass  # another process, whose memory is older than the stop
    after = broker.admit(2)
    broker.work_off()
    assert broker.sources.of(LICENCES) == []
    assert {one["rule"] for one in broker.entries("stopped")} == {"source.stopped"}
    for number in (before, after):
        [licence] = [one for one in broker.receipt(number)["materials"] if one["material"] == "licence"]
        assert [step["reason"] for step in licence["steps"]] == ["unknown.source-stopped", "held.valid"]
    [told] = broker.entries("source_stopped")
    assert (told["source"], told["by"], told["why"]) == (LICENCES, "op", WHY)
    open_source(other.parts, LICENCES, "op2", "已修复")
    assert state(broker) == "unasked"
    broker.admit(3)
    broker.finish()
    assert len(broker.sources.of(LICENCES)) == 1
    other.office.close()


def test_a_stop_outlives_every_process_and_is_no_fault_of_the_broker(broker: Broker) -> None:
    stop_source(broker.parts, LICENCES, "op", WHY)
    fresh = broker.another()
    with fresh.parts.store.read() as work:
        [stop] = work.stops().values()
    assert (stop.source, stop.by, stop.reason) == (LICENCES, "op", WHY)
    keys = {one.key_id: one for one in (*fresh.office.receipt_keys, *fresh.office.log_keys)}
    told = fitness(fresh.parts, keys, lambda: True)
    assert (told["status"], told["sources"][LICENCES], told["broken_sources"]) == ("ok", "stopped", {})
    fresh.office.close()


def test_whoever_claims_while_it_is_being_stopped_asks_nothing(broker: Broker) -> None:
    """The stop has the gate and has not committed: the claim waits for it, and then sees it."""
    broker.admit(1)
    broker.work_off()
    asked = len(broker.sources.of(LICENCES))
    broker.admit(2)
    with broker.office.parts.store.write() as work:
        work.gate(LICENCES)
        stop = Stop(LICENCES, "op", WHY, work.pulse().now)
        work.add_stop(stop)
        work.move_policy()
        work.record([entry("source_stopped", stop.at, source=LICENCES, by="op", why=WHY)])
        worker = threading.Thread(target=lambda: look_up(broker.parts, LICENCES))
        worker.start()
        work.commit()
    worker.join()
    assert len(broker.sources.of(LICENCES)) == asked
    broker.finish()


def test_a_stop_waits_for_who_is_on_the_way_to_asking(broker: Broker) -> None:
    broker.admit(1)
    broker.work_off()
    stopping = threading.Thread(target=lambda: stop_source(broker.parts, LICENCES, "op", WHY))
    with broker.office.parts.store.write() as work:
        work.gate(LICENCES)  # as a worker between its claim and its commit
        stopping.start()
        stopping.join(0.1)
        assert stopping.is_alive()
        work.commit()
    stopping.join()
    assert state(broker) == "stopped"


@only_sqlite
def test_what_checks_a_promise_waits_until_it_is_open_again(broker: Broker) -> None:
    number = promised(broker)
    stop_source(broker.parts, REGISTER, "op", WHY)
    asked = len(broker.entries("asked"))
    for _ in range(3):
        broker.expire_leases()
        broker.work_off()
    assert [one.state for one in promises(broker, number)] == ["open"]
    assert (len(broker.entries("asked")), broker.entries("stopped")) == (asked, [])
    broker.checker.check()
    open_source(broker.parts, REGISTER, "op", "已修复")
    broker.finish()
    assert [one.state for one in promises(broker, number)] == ["kept"]


@only_sqlite
def test_a_stopped_source_is_not_probed(broker: Broker) -> None:
    agree(broker)
    stop_source(broker.parts, LICENCES, "op", WHY)
    assert not probe(broker.parts)
    open_source(broker.parts, LICENCES, "op", "已修复")
    assert probe(broker.parts)


@only_sqlite
@pytest.mark.parametrize(
    ("code", "act"),
    [
        ("source.why", lambda parts: stop_source(parts, LICENCES, "op", "  ")),
        ("source.why", lambda parts: stop_source(parts, LICENCES, "op", f"见 {kit.citizen(1)}")),
        ("source.why", lambda parts: stop_source(parts, LICENCES, "op", kit.citizen(1).translate(WIDE))),
        ("source.unknown", lambda parts: stop_source(parts, "nobody", "op", WHY)),
        ("source.stopped", lambda parts: stop_source(parts, REGISTER, "op", WHY)),
        ("source.open", lambda parts: open_source(parts, LICENCES, "op", WHY)),
        ("source.why", lambda parts: open_source(parts, REGISTER, "op", "")),
    ],
)
def test_what_is_refused_changes_nothing(broker: Broker, code: str, act: Callable[..., None]) -> None:
    stop_source(broker.parts, REGISTER, "op", WHY)
    before = broker.contents()
    with pytest.raises(CallerProblem) as refused:
        act(broker.parts)
    assert refused.value.code == code
    assert broker.contents() == before
    broker.check()


@only_sqlite
@pytest.mark.parametrize(("fault", "stopped"), [("before", False), ("after", True), ("entry", False)])
def test_a_stop_is_whole_or_nothing(broker: Broker, fault: str, stopped: bool) -> None:
    broker.store.fault = fault if fault != "entry" else ""
    broker.store.refuse = lambda kind: fault == "entry" and kind == "source_stopped"
    with pytest.raises(kit.Crash):
        stop_source(broker.parts, LICENCES, "op", WHY)
    assert (state(broker) == "stopped") == stopped
    broker.check()
