"""The unit of work's part for what is still to be done; see ``ports.backlog``.

Whoever scrapes metrics asks this every few seconds, however much there is: each count follows an index and ends at
``MOST`` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select

from broker.core.consent import OPEN
from broker.ports.backlog import MOST, Backlog, DueOf
from broker.store import tables as t
from broker.store import waiting_tables as w
from broker.store.rows import Rows, inline

_AWAITED = ("admitted", "pending")
_PROMISES = ("open", "by_hand")


class BacklogRows(Rows):
    """One transaction's method for what is still to be done."""

    def backlog(self, now: datetime, since: datetime) -> Backlog:
        """How much there is; work orders are overdue here that ended so from ``since`` on."""
        order, consent = w.work_order.c, w.consent.c
        return Backlog(
            self._due(now),
            dict.fromkeys(_AWAITED, 0)
            | self._counted(t.verification.c.state, t.verification.c.state != inline("decided")),
            {
                "open": self._count(order.state == "open"),
                "overdue": self._count(order.state == "overdue", order.ended_at >= since),
            },
            {one: self._count(w.promise.c.state == inline(one)) for one in _PROMISES},
            sum(self._count(consent.state == one.value, consent.until_at > now) for one in sorted(OPEN)),
        )

    def _due(self, now: datetime) -> Sequence[DueOf]:
        lookup = t.lookup.c
        due = (lookup.state == inline("due"), lookup.ready_at <= now)
        sources = self._run(select(lookup.source).where(*due).distinct()).scalars()
        found = []
        for source in sorted(sources):
            rows = _few(select(lookup.ready_at).where(*due, lookup.source == source).order_by(lookup.ready_at))
            count, oldest = self._run(select(func.count(), func.min(rows.c.ready_at)).select_from(rows)).one()
            found += [DueOf(source, count, oldest)] if count else []
        return found

    def _count(self, *which: ColumnElement[bool]) -> int:
        rows = _few(select(literal(1).label("one")).where(*which))
        return int(self._run(select(func.count()).select_from(rows)).scalar_one())

    def _counted(self, column: Any, *which: ColumnElement[bool]) -> dict[str, int]:
        rows = _few(select(column.label("kind")).where(*which))
        counted = select(rows.c.kind, func.count().label("found")).group_by(rows.c.kind)
        return {row.kind: row.found for row in self._run(counted)}


def _few(rows: Select[Any]) -> Any:
    return rows.limit(MOST).subquery()
