"""Work on a source until nothing is due, at most once at a time per source in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from broker.log import fault

LookUp = Callable[[str], int]


_log = logging.getLogger(__name__)


class Drain:
    """Keeps one drain per source: a slow source occupies one thread here, and no wake is lost between two drains."""

    def __init__(self, look_up: LookUp) -> None:
        """``look_up`` works on one batch and returns how many lookups it had."""
        self._look_up = look_up
        self._guard = threading.Lock()
        self._running: set[str] = set()
        self._again: set[str] = set()

    def run(self, source: str) -> None:
        """Work until nothing is due. If another thread is at it, tell it to look once more, and return."""
        with self._guard:
            if source in self._running:
                self._again.add(source)
                return
            self._running.add(source)
        try:
            self._until_empty(source)
        except Exception as error:  # noqa: BLE001 - the worker's edge: the leases run out and the sweeper wakes us again
            fault(_log, "look_up", error, source=source)
            with self._guard:
                self._running.discard(source)

    def _until_empty(self, source: str) -> None:
        while True:
            while self._look_up(source):
                pass
            with self._guard:
                if source not in self._again:
                    # Leave while nobody can enter: whoever wakes us after this starts a drain of its own.
                    self._running.discard(source)
                    return
                self._again.discard(source)


class InProcessWake:
    """Implements ``ports.Wake`` with one thread per source, started when the source first has work."""

    def __init__(self, drain: Drain) -> None:
        """Threads are daemons: a process that ends leaves leases behind, which run out."""
        self._drain = drain
        self._guard = threading.Lock()
        self._bells: dict[str, threading.Event] = {}

    def wake(self, sources: Sequence[str]) -> None:
        """Ring each source's bell; returns at once."""
        for source in sources:
            self._bell(source).set()

    def _bell(self, source: str) -> threading.Event:
        with self._guard:
            bell = self._bells.get(source)
            if bell is None:
                bell = self._bells[source] = threading.Event()
                threading.Thread(target=self._answer, args=(source, bell), name=f"source-{source}", daemon=True).start()
            return bell

    def _answer(self, source: str, bell: threading.Event) -> None:
        while True:
            bell.wait()
            bell.clear()  # first, so that a ring while we work is heard afterwards
            self._drain.run(source)
