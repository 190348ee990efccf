"""What stands before a source: its breaker, its calls per day and its calls per second, over all workers together.

A gate is one row. A worker that has claimed lookups passes them through it, in the claim's own transaction: so many may
be asked now, the others wait or are answered at once. Nothing here knows a clock or a database.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from broker.core.answer import Answer, Reason
from broker.core.catalog import Source
from broker.core.day import day_of

OPEN_FOR: Final = timedelta(seconds=10)  # how long an open breaker keeps us away before one lookup may try again
PROBE_GRACE: Final = timedelta(seconds=5)  # beyond the budget: a probe whose worker died is then sent again
LONGEST_WAIT_MS: Final = 250  # a worker that waits for its turn looks again at least this often
_CALL: Final = 1000  # tokens are thousandths of a call: a rate per second fills so many in a millisecond


class Breaker(StrEnum):
    """Whether a source is asked at all."""

    CLOSED = "closed"  # yes
    OPEN = "open"  # no: its road has failed too often in a row
    HALF_OPEN = "half_open"  # one lookup is on its way to find out


BARRED_BREAKER: Final = "source.breaker"
BARRED_DAY: Final = "source.daily-calls"
BARRED: Final = {
    BARRED_BREAKER: Answer(Reason.SOURCE_DOWN, source_code="breaker"),
    BARRED_DAY: Answer(Reason.THROTTLED, source_code="calls-per-day"),
}
"""The rules by which a lookup is answered without being asked, and the answer each gives."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One source's gate as it stands."""

    source: str
    tokens: int  # thousandths of a call that may be made at once
    filled_at: datetime  # when the tokens were counted
    day: str
    calls: int  # of that day
    breaker: Breaker = Breaker.CLOSED
    until: datetime | None = None  # open: no probe before; half open: the probe is given up then


@dataclass(frozen=True, slots=True)
class Passage:
    """What a batch may do: the first ``asked`` are asked; the others are ``barred`` by a rule, or wait ("")."""

    gate: Gate
    asked: int
    barred: str = ""
    wait_ms: int = 0  # until it is worth while to look again; 0 where nobody waits


def new_gate(source: Source, now: datetime) -> Gate:
    """The gate of a source that nobody has asked yet."""
    return Gate(source.key, source.calls_per_second * _CALL, now, day_of(now).isoformat(), 0)


def passage(gate: Gate, source: Source, wanted: int, now: datetime) -> Passage:
    """How many of so many lookups may be asked now, in this order: breaker, calls per day, calls per second."""
    gate = _filled(gate, source, now)
    away = gate.until is not None and now < gate.until
    if gate.breaker is not Breaker.CLOSED and away:
        return Passage(gate, 0, BARRED_BREAKER)
    left = wanted if source.calls_per_day is None else source.calls_per_day - gate.calls
    if left <= 0:
        return Passage(gate, 0, BARRED_DAY)
    probing = gate.breaker is not Breaker.CLOSED
    asked = min(1 if probing else wanted, left, gate.tokens // _CALL)
    waiting = wanted - asked
    gate = replace(gate, tokens=gate.tokens - asked * _CALL, calls=gate.calls + asked)
    if probing and asked:
        until = now + timedelta(milliseconds=source.budget_ms) + PROBE_GRACE
        gate = replace(gate, breaker=Breaker.HALF_OPEN, until=until)
    return Passage(gate, asked, wait_ms=_wait_ms(gate, source, waiting) if waiting and gate.tokens < _CALL else 0)


def _filled(gate: Gate, source: Source, now: datetime) -> Gate:
    """The gate as it stands now: tokens have come in since, and at midnight the day's calls begin anew."""
    since = max(0, (now - gate.filled_at) // timedelta(milliseconds=1))
    tokens = min(source.calls_per_second * _CALL, gate.tokens + since * source.calls_per_second)
    day = day_of(now).isoformat()
    return replace(gate, tokens=tokens, filled_at=now, day=day, calls=gate.calls if gate.day == day else 0)


def _wait_ms(gate: Gate, source: Source, waiting: int) -> int:
    """Until all who wait may go, or a second's worth of them: one by one they would cost a transaction each."""
    missing = min(waiting, source.calls_per_second) * _CALL - gate.tokens
    return min(LONGEST_WAIT_MS, -(-missing // source.calls_per_second))
