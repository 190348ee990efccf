"""The store goes away and comes back: a named problem meanwhile, nothing lost, healthy again by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from broker.core.entry import entry
from broker.core.errors import BrokerProblem
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.flow.sequence import sequence
from broker.flow.sweep import sweep
from broker.sandbox.servers import Postgres
from broker.store.migrate import migrate
from tests.flow.catalogue import LICENCES
from tests.flow.kit import Broker, request

pytestmark = pytest.mark.parametrize("store", ["postgresql"], indirect=True)


@pytest.fixture
def stopped(postgres_server: Postgres) -> Iterator[None]:
    """A PostgreSQL that is stopped by the test and always started again."""
    yield
    if postgres_server._process is None:
        postgres_server.start()


def test_while_postgresql_is_stopped_everything_says_so_and_afterwards_nothing_is_lost(
    broker: Broker, postgres_server: Postgres, stopped: None
) -> None:
    number = broker.admit(1)
    postgres_server.stop()
    for step in (
        lambda: broker.submit(request(2)),
        lambda: look_up(broker.parts, LICENCES),
        lambda: sweep(broker.parts),
        lambda: sequence(broker.parts),
        lambda: deliver(broker.parts),
        lambda: migrate(broker.database),
    ):
        with pytest.raises(BrokerProblem, match="store.away") as caught:
            step()
        assert caught.value.retry_after
    postgres_server.start()
    broker.submit(request(2))
    broker.finish()
    assert broker.verification(number).state == "decided"
    assert len(broker.rows("SELECT id FROM verification")) == 2


def test_postgresql_killed_while_a_source_is_asked_loses_the_answer_and_nothing_else(
    broker: Broker, postgres_server: Postgres, stopped: None
) -> None:
    """The claim and its entry were acknowledged, so they are there; the answer was not, so it is asked again."""
    number = broker.admit(1, materials=["identity@legal_representative"])
    broker.sources.meanwhile = lambda source, questions: postgres_server.kill()
    with pytest.raises(BrokerProblem, match="store.away"):
        look_up(broker.parts, "population")
    broker.sources.meanwhile = lambda source, questions: None
    postgres_server.start()
    _healthy(broker, tries=2)
    assert len(broker.entries("asked")) == 1
    broker.check()
    broker.finish()
    assert broker.verification(number).state == "decided"
    assert list(broker.sources.asked.values()) == [2]


def test_connections_cut_by_the_administrator_cost_one_try_each(broker: Broker) -> None:
    broker.admit(1)
    _cut(broker)
    _healthy(broker, tries=2)
    broker.submit(request(2))
    broker.finish()


def _cut(broker: Broker) -> None:
    with pytest.raises(BrokerProblem, match="store.away"):
        broker.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()")


def _healthy(broker: Broker, tries: int) -> None:
    """Dead connections in the pool may cost a try; after so many, the next transaction must find a living one."""
    for _ in range(tries - 1):
        with suppress(BrokerProblem):
            broker.rows("SELECT 1")
    assert broker.rows("SELECT 1")


def test_a_connection_cut_just_before_the_commit_says_so_and_changes_nothing(broker: Broker) -> None:
    """What waits to be written is sent with the commit: that road may be cut as well."""
    before = broker.contents()
    with pytest.raises(BrokerProblem, match="store.away"):
        _record_and_lose_the_connection(broker)
    _healthy(broker, tries=2)
    assert broker.contents() == before
    broker.admit(1)
    broker.finish()


def _record_and_lose_the_connection(broker: Broker) -> None:
    with broker.parts.store.write() as work:
        work.record([entry("closed", work.pulse().now, case="cut")])
        _cut(broker)
        work.commit()
