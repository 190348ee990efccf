"""What this process remembers of the roads to the sources: a breaker for each (pybreaker), and how long things took.

A breaker counts failures of the *road* in a row: no connection, no answer in time, an answer that is none, 5xx. What a
source says about a question, refusals of the question included, is no failure. The gate in the database carries an
open breaker to all workers and says when one lookup may try again; here it is only counted.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from typing import Any, Final

import pybreaker

from broker.core.gate import OPEN_FOR, Breaker
from broker.ports.health import Travelled

FAILURES: Final = 5  # in a row, after which a source is left alone; one batch of a hanging source is more than that
KEPT_DURATIONS: Final = 1000  # of a source between two recordings; a batch is 32

log = logging.getLogger(__name__)

_OURS: Final = {
    pybreaker.STATE_CLOSED: Breaker.CLOSED,
    pybreaker.STATE_OPEN: Breaker.OPEN,
    pybreaker.STATE_HALF_OPEN: Breaker.HALF_OPEN,
}


class _Unsound(Exception):
    """The road did not hold."""


class _Told(pybreaker.CircuitBreakerListener):
    """A breaker that moves is a line in the log: somebody will want to know when it began."""

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        facts = {"source": cb.name, "before": old_state.name if old_state else "", "now": new_state.name}
        log.warning("a breaker has moved", extra={"facts": facts})


class SourceRoads:
    """Implements :class:`broker.ports.health.Roads`; one per process, shared by its threads."""

    def __init__(self) -> None:
        """Every road is believed to hold until it does not."""
        self._lock = threading.Lock()
        self._breakers: dict[str, pybreaker.CircuitBreaker] = {}
        self._durations: dict[str, deque[int]] = {}
        self._calls: dict[str, int] = {}
        self._pauses: dict[str, float] = {}

    def heard(self, source: str, took_ms: int, *, sound: bool, calls: int = 1, pause_s: float = 0.0) -> None:
        """One conversation is over. What was under way when the breaker opened does not move it again."""
        breaker, durations = self._of(source)
        durations.append(took_ms)
        with self._lock:
            self._calls[source] = self._calls.get(source, 0) + calls
            self._pauses[source] = max(self._pauses.get(source, 0.0), pause_s)
        with contextlib.suppress(pybreaker.CircuitBreakerError, _Unsound):
            breaker.call(_held if sound else _broken)

    def follow(self, source: str, breaker: Breaker) -> None:
        """Take over what the gate says: another worker's probe may have opened or closed the way for all."""
        ours = self._of(source)[0]
        if _OURS[ours.current_state] is not breaker:
            {Breaker.CLOSED: ours.close, Breaker.OPEN: ours.open, Breaker.HALF_OPEN: ours.half_open}[breaker]()

    def travelled(self, source: str) -> Travelled:
        """What was heard since the last call, and the breaker after it."""
        breaker, durations = self._of(source)
        taken = [durations.popleft() for _ in range(len(durations))]
        with self._lock:
            calls, pause_s = self._calls.pop(source, 0), self._pauses.pop(source, 0.0)
        return Travelled(taken, _OURS[breaker.current_state], calls, pause_s)

    def _of(self, source: str) -> tuple[pybreaker.CircuitBreaker, deque[int]]:
        with self._lock:
            if source not in self._breakers:
                self._breakers[source] = pybreaker.CircuitBreaker(
                    fail_max=FAILURES, reset_timeout=OPEN_FOR.total_seconds(), listeners=[_Told()], name=source
                )
                self._durations[source] = deque(maxlen=KEPT_DURATIONS)
            return self._breakers[source], self._durations[source]


def _held() -> None:
    """The road held."""


def _broken() -> None:
    raise _Unsound
