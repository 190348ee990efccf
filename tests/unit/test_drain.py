"""Draining: at most one at a time per source, no wake lost between two, and a fault ends one drain, not the source."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.wakes.drain import Drain, InProcessWake

IN_TIME = 10.0


class Sources:
    """Work by source; counts how many work on one at a time."""

    def __init__(self, **work: int) -> None:
        self.left = Counter(work)
        self.done: Counter[str] = Counter()
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.looks: list[str] = []
        self.guard = threading.Lock()
        self.before: Callable[[str], object] = lambda source: None

    def look_up(self, source: str) -> int:
        """One batch of one."""
        with self.guard:
            self.looks.append(source)
            self.at_once[source] += 1
            self.most[source] = max(self.most[source], self.at_once[source])
        try:
            self.before(source)
            with self.guard:
                worked = int(self.left[source] > 0)
                self.left[source] -= worked
                self.done[source] += worked
                return worked
        finally:
            with self.guard:
                self.at_once[source] -= 1

    def add(self, source: str, count: int = 1) -> None:
        """More work has come."""
        with self.guard:
            self.left[source] += count


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + IN_TIME
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.001)


def test_a_drain_works_until_nothing_is_due() -> None:
    sources = Sources(a=5)
    Drain(sources.look_up).run("a")
    assert sources.done == {"a": 5}
    assert sources.looks == ["a"] * 6


def test_sources_are_drained_beside_each_other_but_each_by_one_thread() -> None:
    sources = Sources(a=50, b=50)
    drain = Drain(sources.look_up)
    sources.before = lambda source: time.sleep(0.0005)
    threads = [threading.Thread(target=drain.run, args=(name,)) for name in "aabbaabb"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(IN_TIME)
    wait_until(lambda: sources.done == {"a": 50, "b": 50})
    assert sources.most == {"a": 1, "b": 1}


def test_a_source_that_hangs_holds_one_of_a_workers_threads_however_often_it_is_woken() -> None:
    """With as few as two threads, and twenty messages before its own, the other source is worked on meanwhile."""
    sources = Sources(hanging=1, other=3)
    drain = Drain(sources.look_up)
    free = threading.Event()
    sources.before = lambda source: source == "hanging" and free.wait(IN_TIME)
    with ThreadPoolExecutor(2) as threads:
        messages = [threads.submit(drain.run, name) for name in [*["hanging"] * 20, "other"]]
        try:
            messages[-1].result(IN_TIME)
            assert (sources.done["other"], sources.done["hanging"], sources.most["hanging"]) == (3, 0, 1)
            assert sum(not one.done() for one in messages) == 1
        finally:
            free.set()
    assert sources.done["hanging"] == 1


def test_whoever_comes_while_another_drains_returns_at_once_and_is_not_forgotten() -> None:
    """The wake arrives after the last look and before the drain has left: the drain looks once more."""
    sources = Sources(a=1)
    drain = Drain(sources.look_up)

    def add_late(source: str) -> None:
        if len(sources.looks) == 2:  # the look that will find nothing has begun
            sources.before = lambda source: None
            drain.run(source)  # returns: somebody is at it
            threading.Thread(target=sources.add, args=(source,)).start()
            time.sleep(0.05)

    sources.before = add_late
    drain.run("a")
    assert sources.done == {"a": 2}


def test_many_wakes_at_random_moments_lose_nothing() -> None:
    sources = Sources()
    drain = Drain(sources.look_up)

    def bring(seed: int) -> None:
        for step in range(100):
            sources.add("a")
            drain.run("a")
            if (step + seed) % 7 == 0:
                time.sleep(0.0002)

    threads = [threading.Thread(target=bring, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(IN_TIME)
    wait_until(lambda: sources.done["a"] == 400)
    assert sources.most["a"] == 1


def test_a_fault_ends_the_drain_is_logged_without_its_text_and_the_next_wake_works(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sources = Sources(a=2)
    drain = Drain(sources.look_up)

    def fail(source: str) -> None:
        sources.before = lambda source: None
        raise RuntimeError("张某 11010519491231002X")

    sources.before = fail
    with caplog.at_level(logging.ERROR):
        drain.run("a")
    assert sources.done["a"] == 0
    assert "张某" not in caplog.text
    assert [record.getMessage() for record in caplog.records] == ["look_up"]
    drain.run("a")
    assert sources.done["a"] == 2


def test_a_fault_in_one_source_does_not_touch_another() -> None:
    sources = Sources(a=1, b=1)
    drain = Drain(sources.look_up)

    def fail(source: str) -> None:
        if source == "a":
            raise RuntimeError

    sources.before = fail
    drain.run("a")
    drain.run("b")
    assert sources.done == {"b": 1}


def test_a_bell_returns_at_once_and_its_thread_works() -> None:
    sources = Sources(a=3, b=2)
    free = threading.Event()
    sources.before = lambda source: free.wait(IN_TIME)
    wake = InProcessWake(Drain(sources.look_up))
    began = time.monotonic()
    wake.wake(["a", "b"])
    wake.wake(["a"])
    assert time.monotonic() - began < 1
    free.set()
    wait_until(lambda: sources.done == {"a": 3, "b": 2})


def test_a_ring_while_the_thread_works_is_heard_afterwards() -> None:
    sources = Sources(a=1)
    wake = InProcessWake(Drain(sources.look_up))
    for expected in range(1, 30):
        wake.wake(["a"])
        wait_until(lambda expected=expected: sources.done["a"] == expected)  # type: ignore[misc]
        sources.add("a")
    wake.wake(["a"])
    wait_until(lambda: sources.left["a"] == 0)


def test_a_bells_threads_are_daemons_one_for_each_source() -> None:
    sources = Sources()
    wake = InProcessWake(Drain(sources.look_up))
    for _ in range(5):
        wake.wake(["only-here"])
    mine = [one for one in threading.enumerate() if one.name == "source-only-here"]
    assert len(mine) == 1
    assert mine[0].daemon
