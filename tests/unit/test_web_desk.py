"""The front desk: nobody waits at rest, batches form under load, and what hits one does not hit the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from broker.core.errors import BrokerProblem, CallerProblem, Problem
from broker.flow.admit import Admitted, Submission
from broker.ports import StoredVerification
from broker.web.desk import LARGEST, FrontDesk

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _submission(name: str) -> Submission:
    return Submission(name.encode(), lambda policy, now: pytest.fail("the desk identifies nobody"))


class Flow:
    """The step behind the desk: admits by the body's name, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.away = False

    def admit_all(self, submissions: Sequence[Submission]) -> list[Admitted | Problem]:
        """Refuses ``refused…``, breaks over ``broken…``, admits the rest."""
        self.gate.wait(5)
        names = [one.body.decode() for one in submissions]
        self.batches.append(names)
        if self.away:
            raise BrokerProblem("store.away")
        if any(name.startswith("broken") for name in names):
            raise ValueError("a fault of ours")
        return [CallerProblem("request.item") if name.startswith("refused") else _admitted(name) for name in names]


def _admitted(name: str) -> Admitted:
    return Admitted(StoredVerification(name, "c", name, "d", "case", 1, "admitted", NOW, None, None), created=True)


def _all(desk: FrontDesk, flow: Flow, names: Sequence[str]) -> list[str]:
    """What becomes of each when all come while one batch is being admitted."""

    def one(name: str) -> str:
        try:
            return desk.admit(_submission(name)).verification.id
        except Problem as problem:
            return problem.code
        except ValueError as error:
            return str(error)

    flow.gate.clear()
    with ThreadPoolExecutor(len(names)) as pool:
        found = [pool.submit(one, name) for name in names]
        while len(desk.waiting) < len(names) - 1:
            pass
        flow.gate.set()
        return [future.result() for future in found]


def test_at_rest_a_request_is_admitted_alone_at_once() -> None:
    flow = Flow()
    assert FrontDesk(flow.admit_all).admit(_submission("a")).verification.id == "a"
    assert flow.batches == [["a"]]


def test_those_who_come_meanwhile_are_the_next_batch_and_each_gets_their_own() -> None:
    flow = Flow()
    names = [f"v{number}" for number in range(40)]
    assert _all(FrontDesk(flow.admit_all), flow, names) == names
    assert sorted(name for batch in flow.batches for name in batch) == sorted(names), "each once"
    assert len(flow.batches[0]) == 1
    assert max(map(len, flow.batches)) == LARGEST


def test_a_refusal_reaches_only_the_one_it_is_for() -> None:
    flow = Flow()
    names = ["v0", "refused", "v2", "v3"]
    assert _all(FrontDesk(flow.admit_all), flow, names) == ["v0", "request.item", "v2", "v3"]


def test_a_fault_of_one_does_not_fail_the_others() -> None:
    flow = Flow()
    names = ["v0", "v1", "broken", "v3"]
    assert _all(FrontDesk(flow.admit_all), flow, names) == ["v0", "v1", "a fault of ours", "v3"]


def test_a_database_that_is_away_is_told_to_all_and_not_asked_once_for_each() -> None:
    flow = Flow()
    flow.away = True
    assert set(_all(FrontDesk(flow.admit_all), flow, [f"v{number}" for number in range(9)])) == {"store.away"}
    assert len(flow.batches) == 2
