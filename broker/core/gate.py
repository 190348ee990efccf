"""What stands before a source: its breaker, its calls per day and its calls per second, over all workers together.

A gate is one row. A worker that has claimed lookups passes them through it, in the claim's own transaction: so many may
be asked now, the others wait or are answered at once. Nothing here knows a clock or a database.

What is counted are *calls*: a lookup makes one, or several where its family logs in, asks and fetches a file. How many
is known afterwards, so a batch is let through by what lookups have cost of late, and put right when it is back. The
bucket holds a tenth of a second's calls and is filled so slowly that in no second more begin than are allowed.
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
LONGEST_CLOSED: Final = timedelta(hours=1)  # what a source may ask for by Retry-After: a mistake ends by itself
PATIENCE: Final = timedelta(seconds=10)  # how long lookups wait for a source that has asked for a pause
_CALL: Final = 1000  # tokens are thousandths of a call: a rate per second fills so many in a millisecond
_DEAREST: Final = 32 * _CALL  # no family makes more calls for one lookup


class Breaker(StrEnum):
    """Whether a source is asked at all."""

    CLOSED = "closed"  # yes
    OPEN = "open"  # no: its road has failed too often in a row
    HALF_OPEN = "half_open"  # one lookup is on its way to find out


BARRED_BREAKER: Final = "source.breaker"
BARRED_DAY: Final = "source.daily-calls"
BARRED_PAUSE: Final = "source.pause"
BARRED_STOP: Final = "source.stopped"
BARRED: Final = {
    BARRED_BREAKER: Answer(Reason.SOURCE_DOWN, source_code="breaker"),
    BARRED_DAY: Answer(Reason.THROTTLED, source_code="calls-per-day"),
    BARRED_PAUSE: Answer(Reason.THROTTLED, source_code="retry-after"),
    BARRED_STOP: Answer(Reason.SOURCE_STOPPED),
}
"""The rules by which a lookup is answered without being asked, and the answer each gives."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One source's gate as it stands."""

    source: str
    tokens: int  # thousandths of a call that may be made at once; below nothing where a batch cost more than thought
    filled_at: datetime  # when the tokens were counted
    day: str
    calls: int  # of that day
    breaker: Breaker = Breaker.CLOSED
    until: datetime | None = None  # open: no probe before; half open: the probe is given up then
    cost: int = _CALL  # thousandths of a call that a lookup makes, by the last batches
    closed_until: datetime | None = None  # the source has asked for a pause (Retry-After)


@dataclass(frozen=True, slots=True)
class Stop:
    """That a person has stopped a source: nothing is looked up there until a person opens it again."""

    source: str
    by: str  # login, or staff number
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Passage:
    """What a batch may do: the first ``asked`` are asked; the others are ``barred`` by a rule, or wait ("")."""

    gate: Gate
    asked: int
    barred: str = ""
    wait_ms: int = 0  # until it is worth while to look again; 0 where nobody waits
    calls: int = 0  # how many calls were counted for those asked
    ready_at: datetime | None = None  # those who wait are not to be looked at before


def new_gate(source: Source, now: datetime) -> Gate:
    """The gate of a source that nobody has asked yet."""
    return Gate(source.key, _burst(source) * _CALL, now, day_of(now).isoformat(), 0)


def passage(gate: Gate, source: Source, wanted: int, now: datetime) -> Passage:
    """How many of so many lookups may be asked now, in this order: breaker, pause, calls per day, calls per second."""
    gate = _filled(gate, source, now)
    if gate.breaker is not Breaker.CLOSED and gate.until is not None and now < gate.until:
        return Passage(gate, 0, BARRED_BREAKER)
    if gate.closed_until is not None and now < gate.closed_until:
        patient = gate.closed_until - now <= _patience(source)
        return Passage(gate, 0, ready_at=gate.closed_until) if patient else Passage(gate, 0, BARRED_PAUSE)
    left = wanted if source.calls_per_day is None else (source.calls_per_day - gate.calls) * _CALL // gate.cost
    if left <= 0 < wanted:
        return Passage(gate, 0, BARRED_DAY)
    probing = gate.breaker is not Breaker.CLOSED
    asked = min(wanted, 1 if probing else wanted, left, _affordable(gate))
    return _passed(gate, source, wanted, asked, now)


def alone(gate: Gate, source: Source, now: datetime) -> Passage:
    """One call beside the lookups – an operator's, or a probe –, which finds out for all whether the source is back.

    It does not wait for its turn, the lookups after it do; beyond a pause or the day's calls it is barred like them.
    """
    gate = _filled(gate, source, now)
    if gate.closed_until is not None and now < gate.closed_until:
        return Passage(gate, 0, BARRED_PAUSE)
    if source.calls_per_day is not None and gate.calls >= source.calls_per_day:
        return Passage(gate, 0, BARRED_DAY)
    return _passed(replace(gate, cost=_CALL), source, 1, 1, now, cost=gate.cost)


def cost_after(gate: Gate, lookups: int, calls: int) -> int:
    """What a lookup costs, once so many have made so many calls: three parts what was known, one part what is new."""
    measured = calls * _CALL // lookups if lookups else gate.cost
    return min(_DEAREST, max(_CALL, (3 * gate.cost + measured) // 4))


def _passed(gate: Gate, source: Source, wanted: int, asked: int, now: datetime, cost: int | None = None) -> Passage:
    calls = -(-asked * gate.cost // _CALL)
    waiting = wanted - asked
    gate = replace(gate, tokens=gate.tokens - calls * _CALL, calls=gate.calls + calls, cost=cost or gate.cost)
    if gate.breaker is not Breaker.CLOSED and asked:
        until = now + timedelta(milliseconds=source.budget_ms) + PROBE_GRACE
        gate = replace(gate, breaker=Breaker.HALF_OPEN, until=until)
    wait = _wait_ms(gate, source, waiting) if waiting and gate.tokens < _CALL else 0
    return Passage(gate, asked, wait_ms=wait, calls=calls)


def _affordable(gate: Gate) -> int:
    """How many lookups may begin while there is a whole call left: the last may cost more, and is paid for later."""
    return (gate.tokens - _CALL) // gate.cost + 1 if gate.tokens >= _CALL else 0


def _burst(source: Source) -> int:
    """Calls that may begin in one moment."""
    return max(1, source.calls_per_second // 10)


def _refill(source: Source) -> int:
    """Calls per second beside a full bucket, so that both together are not more than the source allows."""
    return source.calls_per_second - _burst(source) + 1


def _patience(source: Source) -> timedelta:
    told = source.options.get("patience_seconds")
    return PATIENCE if told is None else timedelta(seconds=told)


def _filled(gate: Gate, source: Source, now: datetime) -> Gate:
    """The gate as it stands now: tokens have come in since, and at midnight the day's calls begin anew."""
    since = max(0, (now - gate.filled_at) // timedelta(milliseconds=1))
    tokens = min(_burst(source) * _CALL, gate.tokens + since * _refill(source))
    day = day_of(now).isoformat()
    return replace(gate, tokens=tokens, filled_at=now, day=day, calls=gate.calls if gate.day == day else 0)


def _wait_ms(gate: Gate, source: Source, waiting: int) -> int:
    """Until all who wait may go, or a full bucket's worth: one by one they would cost a transaction each."""
    missing = min(waiting * gate.cost, _burst(source) * _CALL) - gate.tokens
    return min(LONGEST_WAIT_MS, -(-missing // _refill(source)))
