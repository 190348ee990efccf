"""The unit of work's part for what proves; see ``ports.proof`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from broker.core.log_export import Filter
from broker.ports.proof import Indexed, Placed
from broker.store import proof_tables as p
from broker.store import tables as t
from broker.store.rows import Rows


class ProofRows(Rows):
    """One transaction's methods for what proves."""

    def index_entries(self, rows: Sequence[Indexed]) -> None:
        """Let entries be found by what they say."""
        self._many(self._sql.many(p.log_index), [
            {"position": row.position, "at": row.at, "kind": row.kind, "client_id": row.client,
             "case_number": row.case, "operator": row.operator, "subject": row.subject}
            for row in rows
        ])  # fmt: skip

    def find_entries(self, wanted: Filter, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries from ``start`` to before ``stop`` that the filter wants, in order."""
        index = p.log_index.c
        found = (
            select(t.log_leaf.c.position, t.entry.c.body)
            .select_from(
                t.log_leaf.join(t.entry, t.entry.c.id == t.log_leaf.c.entry_id).join(
                    p.log_index, index.position == t.log_leaf.c.position
                )
            )
            .where(t.log_leaf.c.position >= start, t.log_leaf.c.position < stop)
            .order_by(t.log_leaf.c.position)
            .limit(limit)
        )
        equal = (
            (index.kind, wanted.kind), (index.client_id, wanted.client), (index.case_number, wanted.case),
            (index.operator, wanted.operator), (index.subject, wanted.subject),
        )  # fmt: skip
        for column, value in equal:
            if value:
                found = found.where(column == value)
        if wanted.since is not None:
            found = found.where(index.at >= wanted.since)
        if wanted.until is not None:
            found = found.where(index.at < wanted.until)
        return [Placed(row.position, row.body) for row in self._run(found)]
