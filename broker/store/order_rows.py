"""The unit of work's part for work orders; see ``ports.orders`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, insert, literal, null, select, update

from broker.ports.orders import OrderLine, OrdersWanted, WorkOrder
from broker.store import tables as t
from broker.store import waiting_tables as w
from broker.store.rows import Rows

_COLUMNS = {"lookup": "lookup_id", "verification": "verification_id"}  # of an order's fields, the others are the same
_ORDER = {one.name: _COLUMNS.get(one.name, one.name) for one in fields(WorkOrder)}
_orders = select(*(w.work_order.c[column] for column in _ORDER.values()))
# What a list does not show is not read for it either: a document may weigh a megabyte.
_UNSHOWN: dict[str, ColumnElement[Any]] = {"question": literal(b""), "remark": null(), "evidence": null()}
_listed = select(*(_UNSHOWN.get(column, w.work_order.c[column]) for column in _ORDER.values()))


class OrderRows(Rows):
    """One transaction's methods for work orders."""

    def add_orders(self, rows: Sequence[WorkOrder]) -> None:
        """Open work orders; the caller holds their verifications."""
        if rows:
            self.connection.execute(insert(w.work_order), [_values(row) for row in rows])

    def find_order(self, number: str) -> WorkOrder | None:
        """A work order as it stands."""
        row = self._run(_orders.where(w.work_order.c.id == number)).one_or_none()
        return None if row is None else WorkOrder(*row)

    def orders_of(self, unit: str | None, states: Collection[str], limit: int) -> list[WorkOrder]:
        """A unit's orders in these states, or every unit's: the open ones, those due first, then the latest ended."""
        row = w.work_order.c
        wanted = _orders if unit is None else _orders.where(row.unit == unit)
        open_ = wanted.where(row.state == "open").order_by(row.due_at, row.id).limit(limit)
        found = [WorkOrder(*one) for one in self._run(open_)] if "open" in states else []
        ended: list[WorkOrder] = []
        for state in sorted(set(states) - {"open"}):  # one by one, since an index orders them within a state
            latest = wanted.where(row.state == state).order_by(row.ended_at.desc()).limit(limit)
            ended += [WorkOrder(*one) for one in self._run(latest)]
        ended.sort(key=lambda one: (one.ended_at or one.due_at, one.id), reverse=True)
        return [*found, *ended][:limit]

    def orders_where(self, wanted: OrdersWanted) -> list[OrderLine]:
        """Work orders as a list shows them, without anything about persons.

        Open ones come by when they are due; where others are among them, what was due last comes first.
        """
        row = w.work_order.c
        by = (row.due_at, row.id) if set(wanted.states) == {"open"} else (row.due_at.desc(), row.id.desc())
        chosen = and_(*_wanted(wanted))
        found = self._run(_listed.where(chosen).order_by(*by).offset(wanted.skip).limit(wanted.limit))
        orders = [WorkOrder(*one) for one in found]
        if not orders:
            return []
        of_kinds = t.entry.c.kind.in_(("admitted", "order_viewed"))
        page = select(row.verification_id).where(chosen).order_by(*by).offset(wanted.skip).limit(wanted.limit)
        theirs = t.entry.c.verification_id.in_(select(page.subquery().c.verification_id))
        entries = select(t.entry.c.verification_id, t.entry.c.kind, t.entry.c.body).where(theirs, of_kinds)
        admitted: dict[str, bytes] = {}
        viewed: dict[str, bytes] = {}
        for one in self._run(entries.order_by(t.entry.c.id)):
            if one.kind == "admitted":
                admitted.setdefault(one.verification_id, one.body)
            else:
                viewed.setdefault(str(json.loads(one.body).get("order")), one.body)
        return [OrderLine(one, admitted.get(one.verification, b"{}"), viewed.get(one.id)) for one in orders]

    def count_orders(self, wanted: OrdersWanted, now: datetime) -> tuple[int, int]:
        """How many open orders there are, and how many of them were due before now."""
        late = func.coalesce(func.sum(case((w.work_order.c.due_at <= now, 1), else_=0)), 0)
        row = self._run(select(func.count(), late).select_from(w.work_order).where(*_wanted(wanted))).one()
        return int(row[0]), int(row[1])

    def end_order(self, order: WorkOrder) -> None:
        """Keep what has become of an order; the caller holds its verification."""
        self._run(update(w.work_order).where(w.work_order.c.id == order.id).values(_values(order)))

    def end_orders(self, lookups: Mapping[str, str], now: datetime) -> dict[str, WorkOrder]:
        """End those of these lookups' orders that are open, in the state given; by lookup, as they now stand."""
        standing = (w.work_order.c.lookup_id.in_(sorted(lookups)), w.work_order.c.state == "open")
        ended = [
            replace(order, state=lookups[order.lookup], ended_at=now)
            for order in (WorkOrder(*row) for row in self._run(_orders.where(*standing)))
        ]
        for order in ended:
            self.end_order(order)
        return {order.lookup: order for order in ended}

    def remind_orders(self, now: datetime) -> list[WorkOrder]:
        """Mark as reminded whichever open order has come to it; each is returned once."""
        ripe = (
            w.work_order.c.state == "open",
            w.work_order.c.remind_at <= now,
            w.work_order.c.due_at > now,
            w.work_order.c.reminded_at.is_(None),
        )
        returned = (w.work_order.c[column] for column in _ORDER.values())
        reminded = self._run(update(w.work_order).where(*ripe).values(reminded_at=now).returning(*returned))
        return [WorkOrder(*row) for row in reminded]


def _values(order: WorkOrder) -> dict[str, Any]:
    return {column: getattr(order, name) for name, column in _ORDER.items()}


def _wanted(wanted: OrdersWanted) -> list[ColumnElement[bool]]:
    row = w.work_order.c
    asked: list[ColumnElement[bool]] = [row.state.in_(sorted(wanted.states))]
    if wanted.units is not None:
        asked.append(row.unit.in_(sorted(wanted.units)) | row.source.in_(sorted(wanted.sources)))
    return asked
