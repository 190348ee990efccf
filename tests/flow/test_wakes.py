"""How workers hear of work, in one process and in the fleet – and that nothing depends on their hearing it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest
import redis

from broker.core.answer import Question
from broker.flow.look_up import look_up
from broker.housekeeping import Housekeeping
from broker.sandbox.servers import Redis
from broker.wakes.aside import WakeAside
from broker.wakes.drain import Drain, InProcessWake
from broker.wakes.fleet import COALESCE_MS, FleetWake, queue_of
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker

IN_TIME = 20.0  # generous: what happens at once on an idle machine may take a while on a busy one


def wait_until(true: Callable[[], object]) -> None:
    """Wait for something another thread or process does."""
    end = time.monotonic() + IN_TIME
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def undecided(broker: Broker) -> int:
    return int(broker.rows("SELECT count(*) AS n FROM verification WHERE state = 'admitted'")[0].n)


@pytest.fixture
def embedded(broker: Broker) -> Broker:
    """The embedded default: worker threads in this process."""
    broker.parts.wake = InProcessWake(Drain(lambda source: look_up(broker.parts, source)))
    return broker


# --- one process ------------------------------------------------------------------------------------------------------


def test_worker_threads_decide_what_is_admitted_without_any_sweeper(embedded: Broker) -> None:
    numbers = [embedded.admit(number) for number in range(20)]
    wait_until(lambda: undecided(embedded) == 0)
    assert {embedded.decisions(number)["licence"] for number in numbers} == {("exempt", "held.valid")}
    assert max(embedded.sources.asked.values()) == 1


def test_a_source_that_hangs_does_not_hold_up_the_others(embedded: Broker) -> None:
    free = threading.Event()

    def hang(source: str, questions: list[Question]) -> None:
        if source == POPULATION:
            assert free.wait(IN_TIME)

    embedded.sources.meanwhile = hang
    embedded.admit(0)
    wait_until(lambda: embedded.sources.of(POPULATION))
    later = [embedded.admit(number, materials=["licence"]) for number in range(1, 6)]
    wait_until(lambda: all(embedded.verification(number).state == "decided" for number in later))
    assert undecided(embedded) == 1
    free.set()
    wait_until(lambda: undecided(embedded) == 0)


def test_a_worker_thread_survives_what_goes_wrong_in_a_batch(embedded: Broker) -> None:
    def fail(source: str, questions: list[Question]) -> None:
        embedded.sources.meanwhile = lambda source, questions: None
        raise kit.Crash

    embedded.sources.meanwhile = fail
    first = embedded.admit(1, materials=["licence"])
    wait_until(lambda: embedded.sources.questions)
    second = embedded.admit(2, materials=["licence"])
    wait_until(lambda: embedded.verification(second).state == "decided")
    assert embedded.verification(first).state == "admitted"  # until its lease runs out
    embedded.expire_leases()
    embedded.parts.wake.wake([LICENCES])
    wait_until(lambda: embedded.verification(first).state == "decided")


class Lossy:
    """A wake that loses every other message and repeats the rest."""

    def __init__(self, wake: InProcessWake) -> None:
        self.inner, self.count = wake, 0

    def wake(self, sources: Sequence[str]) -> None:
        """Implements ``ports.Wake``, badly."""
        self.count += 1
        if self.count % 2:
            self.inner.wake([*sources, *sources])


def test_housekeeping_makes_up_for_lost_wakes_and_sequences_the_log(broker: Broker) -> None:
    broker.parts.wake = Lossy(InProcessWake(Drain(lambda source: look_up(broker.parts, source))))
    housekeeping = Housekeeping(broker.parts, sweep_seconds=0.05)
    housekeeping.start()
    try:
        for number in range(10):
            broker.admit(number)
        wait_until(lambda: undecided(broker) == 0)
        wait_until(lambda: not broker.rows("SELECT entry_id FROM entry_queue"))
    finally:
        housekeeping.stop()
    broker.check(finished=True)


def test_housekeeping_goes_on_after_a_round_that_failed(broker: Broker) -> None:
    broker.admit(1, materials=["form"])
    broker.store.fault = "before"  # the first commit of whichever duty comes first
    housekeeping = Housekeeping(broker.parts, sweep_seconds=0.05)
    housekeeping.start()
    try:
        wait_until(lambda: not broker.rows("SELECT entry_id FROM entry_queue"))
    finally:
        housekeeping.stop()
    assert broker.store.fault == ""


# --- the fleet's wake, over a real Redis ------------------------------------------------------------------------------


@pytest.fixture
def wake(broker: Broker, redis_url: str) -> FleetWake:
    """A broker that wakes workers of the fleet; there are none."""
    broker.parts.wake = FleetWake(redis_url)
    return broker.parts.wake


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """What stands in Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


only_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # the store is not what these are about


@only_sqlite
def test_many_admissions_are_one_message_for_each_source(broker: Broker, wake: FleetWake, client: redis.Redis) -> None:
    for number in range(10):
        broker.admit(number)
    assert {source: client.llen(queue_of(source)) for source in (LICENCES, REGISTER, POPULATION)} == {
        LICENCES: 1,
        REGISTER: 1,
        POPULATION: 1,
    }
    assert 0 < client.pttl(f"wake:{LICENCES}") <= COALESCE_MS


@only_sqlite
def test_a_wake_that_was_heard_makes_room_for_the_next(broker: Broker, wake: FleetWake, client: redis.Redis) -> None:
    wake.wake([LICENCES])
    wake.heard(LICENCES)
    wake.wake([LICENCES])
    assert client.llen(queue_of(LICENCES)) == 2


@only_sqlite
def test_redis_holds_names_of_sources_and_nothing_of_a_case(
    broker: Broker, wake: FleetWake, client: redis.Redis
) -> None:
    number = broker.admit(1)
    everything = repr([(key, client.dump(key)) for key in client.keys("*")])
    messages = client.lrange(queue_of(LICENCES), 0, -1)
    everything += repr(messages)
    assert len(messages) == 1
    assert json.loads(messages[0])["headers"]["argsrepr"] == f"['{LICENCES}']"
    for secret in (kit.citizen(1), kit.company(1), "case-1", "op1", number, kit.CLIENT):
        assert secret not in everything


@only_sqlite
def test_the_queue_answers_where_a_message_comes_back(wake: FleetWake, client: redis.Redis) -> None:
    """A Redis whose memory is full answers PING, and takes no message."""
    before = client.keys("*")
    assert wake.answers()
    assert client.keys("*") == before
    client.config_set("maxmemory", "1")
    try:
        assert client.ping()
        assert not wake.answers()
    finally:
        client.config_set("maxmemory", "0")
    assert wake.answers()


@only_sqlite
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_while_redis_is_away_everything_is_admitted_and_sweepers_find_the_work(
    broker: Broker, wake: FleetWake, redis_server: Redis, how: str
) -> None:
    """A thread of its own meets the time-out: see tests/unit/test_wake_aside.py. Nothing is lost."""
    broker.admit(0)
    broker.parts.wake = aside = WakeAside(wake)
    if how == "stopped":
        redis_server.stop()
    else:
        os.kill(redis_server.pid, signal.SIGSTOP)
    try:
        for number in range(1, 5):
            broker.admit(number, materials=["identity@legal_representative"])
        wait_until(lambda: wake._quiet_until)
    finally:
        if how == "stopped":
            redis_server.start()
        else:
            os.kill(redis_server.pid, signal.SIGCONT)
    assert undecided(broker) == 5
    aside.close()
    broker.parts.wake = kit.Bells()
    broker.finish()
    wake._quiet_until = 0.0  # a while later it is tried again
    wake.heard(LICENCES)
    wake.wake([LICENCES])
