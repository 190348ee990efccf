"""Whoever wakes does not wait for the queue, and what the queue holds up stays small."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from broker.wakes import aside
from broker.wakes.aside import WakeAside

LONG_S = 20.0


class Queue:
    """A queue that can hang, and can fail."""

    def __init__(self) -> None:
        self.heard: list[list[str]] = []
        self.answers, self.reached = threading.Event(), threading.Event()
        self.fails = False

    def wake(self, sources: Sequence[str]) -> None:
        """Implements ``ports.Wake``."""
        self.heard.append(list(sources))
        self.reached.set()
        if not self.answers.wait(LONG_S):
            raise AssertionError("nobody let the queue answer")
        if self.fails:
            raise ValueError("not what a queue says")


@pytest.fixture
def queue() -> Queue:
    return Queue()


def test_a_queue_that_hangs_holds_up_nobody_and_keeps_one_name_for_each_source(queue: Queue) -> None:
    wake = WakeAside(queue)
    wake.wake(["a"])
    assert queue.reached.wait(LONG_S)  # and it hangs
    for _ in range(1000):
        wake.wake(["b", "c"])
    queue.answers.set()
    wake.close()
    assert queue.heard == [["a"], ["b", "c"]]


def test_closing_waits_for_what_is_on_its_way_but_not_for_ever(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    wake = WakeAside(queue)
    wake.close()  # nothing to wait for
    monkeypatch.setattr(aside, "CLOSE_S", 0.01)
    wake.wake(["a"])
    assert queue.reached.wait(LONG_S)
    wake.close()  # it hangs, and we leave
    queue.answers.set()


def test_a_fault_of_the_queue_ends_neither_the_thread_nor_the_caller(queue: Queue) -> None:
    queue.fails = True
    queue.answers.set()
    wake = WakeAside(queue)
    wake.wake(["a"])
    wake.close()
    wake.wake(["b"])
    wake.close()
    assert queue.heard == [["a"], ["b"]]


def test_nothing_to_wake_starts_nothing(queue: Queue) -> None:
    wake = WakeAside(queue)
    wake.wake([])
    wake.close()
    assert not queue.heard
