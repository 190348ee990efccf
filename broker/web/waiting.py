"""Waiting for decisions: one thread asks the database about all verifications that somebody waits for, in one query.

Whoever decides is in another process or thread, so there is nothing to be notified by but the database. The room asks
often when a waiter is new and rarely when all are old; with many waiting it spends no more than a fifth of its time
asking, and it sleeps when nobody waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from broker.core.errors import Problem
from broker.ports import StoredVerification

SHORTEST_S = 0.002  # a source on the same machine answers in about this time
LONGEST_S = 0.05  # beyond a second or so, nobody notices another twentieth
AGEING = 16  # a waiter of age t is asked for every t/16, so the delay it adds is about a sixteenth
REST = 4  # after a query that took t, rest 4t at most: under load many waiters share a query; one alone rests t
AWAY_S = 0.5  # how long a database that is away is left alone

AskDecided = Callable[[Sequence[str]], Mapping[str, StoredVerification]]
"""Those of these verifications that are decided, by id; may raise ``Problem`` when the database is away."""


@dataclass(eq=False)
class _Waiter:
    since: float
    told: threading.Event = field(default_factory=threading.Event)
    decided: StoredVerification | None = None


class WaitingRoom:
    """Where requests wait. Waiters beyond ``seats`` are turned away at once, so that not every thread waits."""

    def __init__(self, ask: AskDecided, seats: int) -> None:
        """Starts no thread before somebody waits, so it may be made before a process forks."""
        self._ask = ask
        self._seats = seats
        self._waiters: dict[str, list[_Waiter]] = {}
        self._lock = threading.Lock()
        self._newcomer = threading.Event()
        self._taken = 0
        self._thread: threading.Thread | None = None

    def wait(self, verification: str, seconds: float) -> StoredVerification | None:
        """The verification if it is decided within the time; None at once where no seat is free."""
        waiter = _Waiter(time.monotonic())
        with self._lock:
            if self._taken >= self._seats:
                return None
            self._taken += 1
            self._waiters.setdefault(verification, []).append(waiter)
            self._open()
        self._newcomer.set()
        try:
            waiter.told.wait(seconds)
            return waiter.decided
        finally:
            with self._lock:
                self._taken -= 1
                self._leave(verification, waiter)

    def _open(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._watch, name="waiting-room", daemon=True)
            self._thread.start()

    def _leave(self, verification: str, waiter: _Waiter) -> None:
        left = [one for one in self._waiters.pop(verification, ()) if one is not waiter]
        if left:
            self._waiters[verification] = left

    def _watch(self) -> None:
        rest = SHORTEST_S
        while True:
            self._newcomer.wait(self._patience())
            self._newcomer.clear()
            time.sleep(rest)
            rest = self._look()

    def _patience(self) -> float | None:
        """How long to wait for newcomers before asking again for those who wait; None when nobody does."""
        with self._lock:
            youngest = max((one.since for waiters in self._waiters.values() for one in waiters), default=None)
        if youngest is None:
            return None
        return min(LONGEST_S, (time.monotonic() - youngest) / AGEING)

    def _look(self) -> float:
        """Ask once for all; returns how long to rest."""
        with self._lock:
            waited_for = list(self._waiters)
        if not waited_for:
            return SHORTEST_S
        begun = time.monotonic()
        try:
            decided = self._ask(waited_for)
        except Problem:  # the database is away: those who wait go on waiting until their time is over
            return AWAY_S
        with self._lock:
            told = [(one, stored) for number, stored in decided.items() for one in self._waiters.get(number, ())]
        for waiter, stored in told:
            waiter.decided = stored
            waiter.told.set()
        return min(LONGEST_S, max(SHORTEST_S, min(REST, len(waited_for)) * (time.monotonic() - begun)))
