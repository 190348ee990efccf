"""Callbacks: sent until they are taken, always under one id, with back-off on the database's clock, and given up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from broker.flow import register
from broker.flow.deliver import deliver
from broker.ports import Client
from tests.flow import kit
from tests.flow.kit import Broker, Crash, request

URL = "http://127.0.0.1:1/callbacks"


class Listener:
    """The approval system's side: answers each callback with the next status, the last one for ever."""

    def __init__(self) -> None:
        self.statuses: list[int] = [204]
        self.heard: list[dict[str, str]] = []

    def post(self, url: str, body: bytes) -> int:
        """Implements the poster of ``Parts``."""
        assert url == URL
        self.heard.append(json.loads(body))
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    """A client with a callback address, one decided verification, and whoever listens there."""
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "另一系统", kit.UNIT, URL, "active"))
    register.register_grant(broker.parts, kit.grant("population", id="g-other", client=kit.OTHER_CLIENT))
    listener = Listener()
    broker.parts.post = listener.post
    broker.submit(request(1, materials=["identity@legal_representative"]), kit.as_client(kit.OTHER_CLIENT))
    broker.work_off()
    yield listener
    broker.finish()


def _passed(broker: Broker) -> int:
    """Milliseconds from the database's now to the delivery's next attempt."""
    (row,) = broker.rows("SELECT ready_at FROM delivery")
    with broker.parts.store.read() as work:
        now = work.pulse().now
    return int(row.ready_at - now.timestamp() * 1000)


def test_a_decision_is_told_once_with_its_receipt(broker: Broker, listener: Listener) -> None:
    assert deliver(broker.parts) == 1
    assert deliver(broker.parts) == 0
    (heard,) = listener.heard
    verification = broker.verification(heard["verification"])
    assert (heard["state"], heard["receipt"]) == ("decided", verification.receipt)
    (entry,) = broker.entries("delivered")
    assert (entry["delivery"], entry["code"], entry["attempt"]) == (heard["delivery"], "204", 1)


def test_a_client_without_a_callback_address_is_told_nothing(broker: Broker) -> None:
    broker.admit(1)
    broker.finish()
    assert broker.rows("SELECT id FROM delivery") == []


def test_a_callback_that_fails_is_sent_again_later_under_the_same_id(broker: Broker, listener: Listener) -> None:
    listener.statuses = [500, 0, 302, 200]
    waits = []
    for _ in range(4):
        assert deliver(broker.parts) == 1
        waits.append(_passed(broker))
        assert deliver(broker.parts) == 0  # not before its time
        broker.expire_leases()
    assert len({one["delivery"] for one in listener.heard}) == 1
    assert [one["code"] for one in broker.entries("delivery_failed")] == ["500", "no-answer", "302"]
    assert all(expected - 1500 < wait <= expected for wait, expected in zip(waits, [2000, 4000, 8000], strict=False))
    assert len(broker.entries("delivered")) == 1


def test_the_back_off_is_bounded_and_ends_after_so_many_attempts(broker: Broker, listener: Listener) -> None:
    broker.parts.limits = replace(broker.parts.limits, delivery_attempts=14)
    listener.statuses = [503]
    longest = 0
    for _ in range(14):
        broker.expire_leases()
        assert deliver(broker.parts) == 1
        longest = max(longest, _passed(broker))
    assert 3_595_000 < longest <= 3_600_000
    broker.expire_leases()
    assert deliver(broker.parts) == 0
    assert [tuple(row) for row in broker.rows("SELECT state, last_code FROM delivery")] == [("given_up", "503")]
    assert len(broker.entries("delivery_failed")) == 14


def test_a_callback_is_leased_to_one_sender(broker: Broker, listener: Listener) -> None:
    other, found = broker.another(), []

    def post(url: str, body: bytes) -> int:
        found.append(deliver(other.parts))
        return listener.post(url, body)

    broker.parts.post = post
    deliver(broker.parts)
    assert found == [0]
    other.office.close()


def test_a_sender_whose_lease_ran_out_does_not_record_over_the_next(broker: Broker, listener: Listener) -> None:
    other = broker.another()
    other.parts.post = listener.post

    def slow(url: str, body: bytes) -> int:
        broker.expire_leases()
        assert deliver(other.parts) == 1
        listener.post(url, body)
        return 500

    broker.parts.post = slow
    deliver(broker.parts)
    assert [row.state for row in broker.rows("SELECT state FROM delivery")] == ["delivered"]
    assert len({one["delivery"] for one in listener.heard}) == 1
    assert broker.entries("delivery_failed") == []
    other.office.close()


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_after_sending_means_sent_again_or_recorded_once(
    broker: Broker, listener: Listener, fault: str
) -> None:
    def post(url: str, body: bytes) -> int:
        broker.store.fault = fault
        return listener.post(url, body)

    broker.parts.post = post
    with pytest.raises(Crash):
        deliver(broker.parts)
    broker.parts.post = listener.post
    broker.expire_leases()
    assert deliver(broker.parts) == (fault == "before")
    assert len(broker.entries("delivered")) == 1
    assert len({one["delivery"] for one in listener.heard}) == 1
