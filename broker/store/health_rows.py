"""The unit of work's part for how the sources are; see ``ports.health`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from broker.core.gate import Breaker, Gate, Stop
from broker.core.health import Day, Probed
from broker.store import health_tables as h
from broker.store import tables as t
from broker.store.rows import Rows
from broker.store.statements import Statements

_SUMMED = ("held", "not_held", "unknown", "failed", "barred", "timed", "total_ms", "verifications", *h.BUCKETS)


class HealthRows(Rows):
    """One transaction's methods for how the sources are."""

    def gate(self, source: str) -> Gate | None:
        """A source's gate, locked until this transaction ends; None before the source was first asked."""
        row = self._run(_GATE, b_source=source).one_or_none()
        return None if row is None else _gate_from(row)

    def set_gate(self, gate: Gate) -> None:
        """Keep a gate; the caller has locked it. Two who make the first one together count one batch for both."""
        self._later(
            _put_gate(self._sql), source=gate.source, tokens=gate.tokens, filled_at=gate.filled_at, day=gate.day,
            calls=gate.calls, breaker=gate.breaker.value, until_at=gate.until, cost=gate.cost,
            closed_until=gate.closed_until,
        )  # fmt: skip

    def set_breaker(self, source: str, breaker: Breaker, until: datetime | None) -> None:
        """What a batch has found out about a source's road."""
        self._later(_SET_BREAKER, b_source=source, b_breaker=breaker.value, b_until=until)

    def true_up(self, source: str, calls: int, cost: int) -> None:
        """Count so many calls more (or fewer) than were counted beforehand, and keep what a lookup costs."""
        self._later(_TRUE_UP, b_source=source, b_calls=calls, b_tokens=1000 * calls, b_cost=cost)

    def close_gate(self, source: str, until: datetime) -> None:
        """Ask a source nothing before then, unless a longer pause is on."""
        self._later(_CLOSE, b_source=source, b_until=until)

    def stops(self) -> dict[str, Stop]:
        """What people have stopped, by source."""
        return {row.source: Stop(*row) for row in self._run(select(_stops))}

    def add_stop(self, stop: Stop) -> bool:
        """False where the source is stopped already."""
        row = {"source": stop.source, "stopped_by": stop.by, "reason": stop.reason, "stopped_at": stop.at}
        return self._added(self._sql.once(_stops), **row)

    def lift_stop(self, source: str) -> bool:
        """False where the source is not stopped."""
        return self._added(delete(_stops).where(_stops.c.source == source))

    def put_back(self, lookups: Sequence[str], ready_at: datetime) -> None:
        """Undo this transaction's own claim of these lookups: they are due as before, nobody was asked."""
        if lookups:
            self.connection.execute(_PUT_BACK, [{"b_id": one, "b_ready": ready_at} for one in lookups])

    def add_health(self, batch: Day) -> None:
        """Add a batch to its source's day."""
        row: dict[str, Any] = {name: getattr(batch, name) for name in Day.__slots__ if name != "buckets"}
        self._later(_add_health(self._sql), **row, **dict(zip(h.BUCKETS, batch.buckets, strict=True)))

    def gates(self) -> list[Gate]:
        """Every gate as it stands."""
        return [_gate_from(row) for row in self._run(select(h.source_gate).order_by(h.source_gate.c.source))]

    def health(self, since: str) -> list[Day]:
        """Every source's days from this one on."""
        rows = self._run(_HEALTH, b_day=since).mappings()
        return [_day_from(dict(row)) for row in rows]

    def forget_health(self, before: str) -> None:
        """Drop the days before this one."""
        self._run(_FORGET, b_day=before)

    def probes(self) -> list[Probed]:
        """What probing each source has shown."""
        return [Probed(**row) for row in self._run(select(_probes)).mappings()]

    def claim_probe(self, source: str, now: datetime, until: datetime) -> bool:
        """Take a source to probe until then; False where another has it, or it was probed so lately."""
        found = self._run(_claim_probe(self._sql), source=source, ready_at=until, failed="", b_now=now)
        return found.one_or_none() is not None

    def keep_probe(self, probed: Probed, lease: datetime) -> bool:
        """Keep what a probe has shown; False where the lease is another's by now."""
        shown = {} if probed.probed_at is None else {"probed_at": probed.probed_at, "failed": probed.failed}
        mine = (_probes.c.source == probed.source, _probes.c.ready_at == lease)
        return self._added(update(_probes).where(*mine).values(ready_at=probed.ready_at, **shown))


def _gate_from(row: Any) -> Gate:
    breaker = Breaker(row.breaker)
    return Gate(
        row.source, row.tokens, row.filled_at, row.day, row.calls, breaker, row.until_at, row.cost, row.closed_until
    )


def _day_from(row: dict[str, Any]) -> Day:
    buckets = tuple(row.pop(name) for name in h.BUCKETS)
    return Day(**row, buckets=buckets)


_gates, _days, _probes, _stops = h.source_gate, h.source_health, h.source_probe, h.source_stop
_GATE = select(_gates).where(_gates.c.source == bindparam("b_source")).with_for_update()
_SET_BREAKER = (
    update(_gates)
    .where(_gates.c.source == bindparam("b_source"))
    .values(breaker=bindparam("b_breaker"), until_at=bindparam("b_until"))
)
_TRUE_UP = (
    update(_gates)
    .where(_gates.c.source == bindparam("b_source"))
    .values(
        calls=case((_gates.c.calls + bindparam("b_calls") < 0, 0), else_=_gates.c.calls + bindparam("b_calls")),
        tokens=_gates.c.tokens - bindparam("b_tokens"),
        cost=bindparam("b_cost"),
    )
)
_CLOSE = (
    update(_gates)
    .where(
        _gates.c.source == bindparam("b_source"),
        or_(_gates.c.closed_until.is_(None), _gates.c.closed_until < bindparam("b_until")),
    )
    .values(closed_until=bindparam("b_until"))
)
_PUT_BACK = (  # the fence is the claim's, and nobody has seen it: the next claim takes the same
    update(t.lookup)
    .where(t.lookup.c.id == bindparam("b_id"))
    .values(ready_at=bindparam("b_ready"), fence=t.lookup.c.fence - 1)
)
_HEALTH = select(_days).where(_days.c.day >= bindparam("b_day")).order_by(_days.c.source, _days.c.day)
_FORGET = delete(_days).where(_days.c.day < bindparam("b_day"))


@cache
def _put_gate(sql: Statements) -> Any:
    new = _insert(sql)(_gates)
    changed = {column.name: new.excluded[column.name] for column in _gates.c if column.name != "source"}
    return new.on_conflict_do_update(index_elements=["source"], set_=changed)


@cache
def _add_health(sql: Statements) -> Any:
    """One statement: whoever comes second adds to what the first has written."""
    new = _insert(sql)(_days)
    told = new.excluded
    changed: dict[str, Any] = {name: _days.c[name] + told[name] for name in _SUMMED}
    for name in ("last_ok_at", "last_fail_at"):
        changed[name] = case((told[name].is_(None), _days.c[name]), else_=told[name])
    newest = (told.data_as_of.is_(None)) | (_days.c.data_as_of > told.data_as_of)
    changed["data_as_of"] = case((newest, _days.c.data_as_of), else_=told.data_as_of)
    changed["last_failure"] = case((told.last_failure == "", _days.c.last_failure), else_=told.last_failure)
    changed["most_ms"] = case((told.most_ms > _days.c.most_ms, told.most_ms), else_=_days.c.most_ms)
    less = (_days.c.timed == 0) | ((told.timed > 0) & (told.least_ms < _days.c.least_ms))
    changed["least_ms"] = case((less, told.least_ms), else_=_days.c.least_ms)
    return new.on_conflict_do_update(index_elements=["source", "day"], set_=changed)


@cache
def _claim_probe(sql: Statements) -> Any:
    """One statement: of two who come together, the second waits for the first and then finds the lease."""
    values: dict[str, Any] = {name: bindparam(name) for name in ("source", "ready_at", "failed")}
    new = _insert(sql)(_probes).values(**values)
    return new.on_conflict_do_update(
        index_elements=["source"],
        set_={"ready_at": new.excluded.ready_at},
        where=_probes.c.ready_at <= bindparam("b_now", type_=_probes.c.ready_at.type),
    ).returning(_probes.c.source)


def _insert(sql: Statements) -> Any:
    return sqlite.insert if sql.is_sqlite else postgresql.insert
