"""The unit of work's part for the history of the list; see ``ports.editions`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from broker.core.list_rows import RowChange
from broker.ports.editions import Remark, RowStory, Story
from broker.store import edition_tables as e
from broker.store import tables as t
from broker.store.rows import Rows

_REMARK = {one.name: one.name for one in fields(Remark)} | {"draft": "draft_id", "key": "row_key", "by": "by_login"}
_joined = (
    t.edition.outerjoin(e.edition_withdrawal, e.edition_withdrawal.c.edition == t.edition.c.number)
    .outerjoin(e.edition_origin, e.edition_origin.c.edition == t.edition.c.number)
    .outerjoin(t.draft, t.draft.c.id == e.edition_origin.c.draft_id)
)
_STORY = (
    t.edition.c.number, t.edition.c.digest, t.edition.c.effective_at, t.edition.c.published_at,
    t.edition.c.published_by, e.edition_withdrawal.c.withdrawn_at, e.edition_withdrawal.c.by_login,
    e.edition_withdrawal.c.why, t.draft.c.id, t.draft.c.comment, t.draft.c.drafted_by, t.draft.c.editors,
    t.draft.c.submitted_by, t.draft.c.reviewed_by,
)  # fmt: skip


class EditionRows(Rows):
    """One transaction's methods for the history of the list."""

    def add_remark(self, remark: Remark) -> None:
        """Keep what was said."""
        self._run(insert(e.draft_remark).values({_REMARK[name]: getattr(remark, name) for name in _REMARK}))

    def remarks(self, draft: str) -> list[Remark]:
        """Everything that was said of a draft, in order."""
        said = select(e.draft_remark).where(e.draft_remark.c.draft_id == draft).order_by(e.draft_remark.c.id)
        return [Remark(**{name: getattr(row, _REMARK[name]) for name in _REMARK}) for row in self._run(said)]

    def add_origin(self, edition: int, draft: str) -> None:
        """Note which draft an edition was made from."""
        self._later(insert(e.edition_origin), edition=edition, draft_id=draft)

    def add_row_changes(self, edition: int, changes: Iterable[RowChange]) -> None:
        """Note which rows an edition changed; in the transaction that publishes it."""
        rows = [{"section": one.section, "row_key": one.key, "edition": edition, "kind": one.kind} for one in changes]
        if rows:
            self.connection.execute(insert(e.row_change), rows)

    def row_history(self, section: str, key: str, offset: int, limit: int) -> list[RowStory]:
        """The editions in which a row became another, the newest first."""
        chosen = (
            self._stories(e.row_change.c.kind)
            .join(e.row_change, e.row_change.c.edition == t.edition.c.number)
            .where(e.row_change.c.section == section, e.row_change.c.row_key == key)
            .offset(offset)
            .limit(limit)
        )
        return [RowStory(row[-1], Story(*row[:-1])) for row in self._run(chosen)]

    def stories(self, number: int | None = None) -> list[Story]:
        """Every edition, or one, with how it came about; the newest first."""
        chosen = self._stories()
        chosen = chosen if number is None else chosen.where(t.edition.c.number == number)
        return [Story(*row) for row in self._run(chosen)]

    def withdraw_edition(self, number: int, by: str, why: str, now: datetime) -> bool:
        """Take an edition back before it takes effect; False where that was done already."""
        made = (sqlite if self._sql.is_sqlite else postgresql).insert(e.edition_withdrawal)
        values = {"edition": number, "by_login": by, "why": why, "withdrawn_at": now}
        taken = made.values(**values).on_conflict_do_nothing().returning(e.edition_withdrawal.c.edition)
        return self._run(taken).first() is not None

    def bodies(self, numbers: Sequence[int]) -> Mapping[int, tuple[str, bytes]]:
        """Digest and published bytes of several editions."""
        if not numbers:
            return {}
        chosen = select(t.edition.c.number, t.edition.c.digest, t.edition.c.body)
        return {row.number: (row.digest, row.body) for row in self._run(chosen.where(t.edition.c.number.in_(numbers)))}

    def _stories(self, *more: Any) -> Select[Any]:
        return select(*_STORY, *more).select_from(_joined).order_by(t.edition.c.number.desc())
