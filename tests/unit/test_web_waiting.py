"""The waiting room: one query for all who wait, quiet when nobody does, patient with a database that is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from broker.core.errors import BrokerProblem
from broker.ports import StoredVerification
from broker.web import waiting
from broker.web.waiting import WaitingRoom


def stored(number: str) -> StoredVerification:
    """A decided verification."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredVerification(number, "client", "request", "digest", "case", 1, "decided", now, now, "receipt")


class Decisions:
    """What the database would say, and how often it was asked."""

    def __init__(self) -> None:
        self.decided: set[str] = set()
        self.asked: list[list[str]] = []
        self.away = 0

    def ask(self, numbers: Sequence[str]) -> dict[str, StoredVerification]:
        """Those that are decided."""
        self.asked.append(list(numbers))
        if self.away:
            self.away -= 1
            raise BrokerProblem("store.away")
        return {number: stored(number) for number in self.decided & set(numbers)}


def _all_wait(
    room: WaitingRoom, numbers: Sequence[str], seconds: float
) -> tuple[list[threading.Thread], list[StoredVerification | None]]:
    found: list[StoredVerification | None] = []
    threads = [threading.Thread(target=lambda one=one: found.append(room.wait(one, seconds))) for one in numbers]
    for thread in threads:
        thread.start()
    return threads, found


def test_a_waiter_is_told_as_soon_as_it_is_decided() -> None:
    decisions = Decisions()
    room = WaitingRoom(decisions.ask, 8)
    threading.Timer(0.05, lambda: decisions.decided.add("a")).start()
    begun = time.monotonic()
    assert room.wait("a", 5)
    assert time.monotonic() - begun < 1


def test_a_wait_ends_with_its_time() -> None:
    begun = time.monotonic()
    assert not WaitingRoom(Decisions().ask, 8).wait("a", 0.05)
    assert 0.05 <= time.monotonic() - begun < 1


def test_all_waiters_share_one_query() -> None:
    decisions = Decisions()
    room = WaitingRoom(decisions.ask, 64)
    threads, found = _all_wait(room, [f"v{number % 40}" for number in range(60)], 5)
    time.sleep(0.1)
    decisions.decided = {f"v{number}" for number in range(40)}
    for thread in threads:
        thread.join()
    assert all(found) * 60
    assert max(len(one) for one in decisions.asked) == 40  # two waiters for one verification ask for it once
    assert len(decisions.asked) < 100


def test_nobody_waiting_means_nobody_asking() -> None:
    decisions = Decisions()
    decisions.decided = {"a"}
    room = WaitingRoom(decisions.ask, 8)
    assert room.wait("a", 5)
    time.sleep(0.1)
    asked = len(decisions.asked)
    time.sleep(0.2)
    assert len(decisions.asked) == asked <= 3


def test_beyond_the_seats_nobody_waits() -> None:
    decisions = Decisions()
    room = WaitingRoom(decisions.ask, 1)
    threads, found = _all_wait(room, ["a"], 5)
    time.sleep(0.05)
    begun = time.monotonic()
    assert not room.wait("b", 5)
    assert time.monotonic() - begun < 1
    decisions.decided = {"a"}
    threads[0].join()
    assert all(found)
    decisions.decided = {"b"}
    assert room.wait("b", 5)  # the seat is free again


def test_a_database_that_is_away_for_a_while_only_delays() -> None:
    decisions = Decisions()
    decisions.away, decisions.decided = 1, {"a"}
    begun = time.monotonic()
    assert WaitingRoom(decisions.ask, 8).wait("a", 5)
    assert waiting.AWAY_S <= time.monotonic() - begun < 3


def test_an_old_waiter_is_asked_for_rarely() -> None:
    decisions = Decisions()
    assert not WaitingRoom(decisions.ask, 8).wait("a", 1.5)
    assert len(decisions.asked) < 70  # every few milliseconds would be 500
