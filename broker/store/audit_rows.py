"""The unit of work's part for the audit review; see ``ports.audit`` for what the methods mean.

A page costs the same however long the log is: one index leads downwards through the entries that the most telling part
of the filter wants, and after ``most_read`` of them the page ends, full or not. A period becomes a range of places.
Every part of a filter can lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Subquery, func, insert, select

from broker.core.log_export import Filter
from broker.ports.audit import Annotation, Cosigned, Lag, Stretch
from broker.ports.proof import Placed
from broker.store import audit_tables as a
from broker.store import proof_tables as p
from broker.store import tables as t
from broker.store.found_by import BESIDE, COLUMNS, NAMED, among, is_named, naming
from broker.store.rows import Rows

# Entries get their places in the order in which they were written, and no transaction lives longer than a minute: what
# is older by this much than another entry stands below it.
_DISORDER = timedelta(minutes=10)
_index = p.log_index.c
LED_BY = (  # each has an index; the most telling first
    "verification", "case", "subject", "login", "operator", "item", "material", "kind", "source", "outcome", "client",
    "unit", "region",
)  # fmt: skip
_ANNOTATION = {one.name: one.name for one in fields(Annotation)} | {"by": "by_login"}


class AuditRows(Rows):
    """One transaction's methods for the audit review."""

    def search(self, wanted: Filter, before: int, limit: int, most_read: int) -> Stretch:
        """Up to ``limit`` entries below a place that the filter wants."""
        read = self._read(wanted, before, most_read)
        matched = (
            select(read.c.position)
            .where(*among(wanted, read), *naming(wanted, read))
            .order_by(read.c.position.desc())
            .limit(limit)
            .subquery()
        )
        bodies = matched.join(t.log_leaf, t.log_leaf.c.position == matched.c.position).join(
            t.entry, t.entry.c.id == t.log_leaf.c.entry_id
        )
        chosen = select(matched.c.position, t.entry.c.body).select_from(bodies).order_by(matched.c.position.desc())
        found = [Placed(row.position, row.body) for row in self._run(chosen)]
        if len(found) == limit:
            return Stretch(found, found[-1].position)
        count, lowest = self._run(select(func.count(), func.min(read.c.position)).select_from(read)).one()
        return Stretch(found, lowest if count == most_read else None)

    def _read(self, wanted: Filter, before: int, most_read: int) -> Subquery:
        """The entries that are looked at, led by one index."""
        start, stop = self._between(wanted.since, wanted.until, before)
        chosen, place = select(p.log_index), _index.position
        lead = next((name for name in LED_BY if getattr(wanted, name)), "")
        value = getattr(wanted, lead, "")
        if lead in NAMED:
            place = p.log_named.c.position
            chosen = chosen.join(p.log_named, place == _index.position).where(is_named(lead, value))
        elif lead in BESIDE:
            chosen = chosen.where(place.in_(BESIDE[lead](value)))
        elif lead:
            chosen = chosen.where(COLUMNS[lead] == value)
        # The range is said of both rows, or a join that merges them would read the index from its top.
        within = (_index.position >= start, _index.position < stop, place >= start, place < stop)
        return chosen.where(*within).order_by(place.desc()).limit(most_read).subquery()

    def _between(self, since: datetime | None, until: datetime | None, before: int) -> tuple[int, int]:
        """The range of places in which a period's entries must stand."""
        start, stop = 0, before
        if since is not None:
            older = select(_index.position).where(_index.at < since - _DISORDER).order_by(_index.at.desc()).limit(1)
            start = self._run(older).scalar_one_or_none() or 0
        if until is not None:
            newer = select(_index.position).where(_index.at >= until + _DISORDER).order_by(_index.at).limit(1)
            stop = min(before, self._run(newer).scalar_one_or_none() or before)
        return start, stop

    def annotations(self, *, position: int | None = None, flag: str | None = None) -> list[Annotation]:
        """What was written about an entry or a flag, in order."""
        about = a.annotation.c.flag == flag if position is None else a.annotation.c.position == position
        return [_annotation(row) for row in self._run(select(a.annotation).where(about).order_by(a.annotation.c.id))]

    def annotated(self, positions: Sequence[int]) -> set[int]:
        """Those among these places about which something was written."""
        column = a.annotation.c.position
        return set(self._run(select(column).where(column.in_(positions))).scalars())

    def add_annotation(self, annotation: Annotation) -> None:
        """Keep what a reviewer wrote."""
        self._run(insert(a.annotation).values({to: getattr(annotation, name) for name, to in _ANNOTATION.items()}))

    def cosignatures(self, limit: int) -> list[Cosigned]:
        """The latest lines of witnesses, the newest first."""
        line = p.log_cosignature.c
        chosen = select(line.size, line.witness, line.signed_at).order_by(line.size.desc(), line.witness).limit(limit)
        return [Cosigned(*row) for row in self._run(chosen)]

    def lag(self) -> Lag:
        """What waits for the sequencer."""
        waiting = self._run(select(func.count()).select_from(t.entry_queue)).scalar_one()
        first = self._run(self._sql.unsequenced, b_limit=1).first()
        return Lag(int(waiting), None if first is None else first.body)

    def values_of(self, fact: str, limit: int) -> list[str]:
        """The values that a fact has in the log, in order: from one to the next by the index, however many entries."""
        column = COLUMNS[fact]
        known = select(func.min(column).label("value")).where(column.is_not(None)).cte("known", recursive=True)
        following = select(func.min(column)).where(column > known.c.value).correlate(known).scalar_subquery()
        known = known.union_all(select(following).select_from(known).where(known.c.value.is_not(None)))
        found = self._run(select(known.c.value).where(known.c.value.is_not(None)).limit(limit))
        return sorted(found.scalars())

    def reasons(self, source: str, limit: int) -> dict[str, int]:
        """The reasons among a source's latest answers in the log."""
        answers = (_index.source == source) & _index.kind.in_(("answered", "stopped"))
        latest = select(_index.outcome).where(answers).order_by(_index.position.desc()).limit(limit).subquery()
        counted = select(latest.c.outcome, func.count().label("times")).group_by(latest.c.outcome)
        return {row.outcome or "": row.times for row in self._run(counted.order_by(func.count().desc()))}


def _annotation(row: Any) -> Annotation:
    return Annotation(**{name: getattr(row, column) for name, column in _ANNOTATION.items()})
