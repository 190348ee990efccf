"""The unit of work's part for objections to data; see ``ports.objections`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, select, update

from broker.core.objection import MARKED, OVER, Objection, ObjectionState
from broker.ports.objections import Asked, Concern, ObjectionsWanted, Reopened, SealedLookup
from broker.store import objection_tables as o
from broker.store import tables as t
from broker.store.proof_tables import log_index
from broker.store.rows import Rows

_COLUMNS = {"verification": "verification_id", "client": "client_id", "case": "case_number"}
_NAMES = {one.name: _COLUMNS.get(one.name, one.name) for one in fields(Objection)}
_ROW = o.objection.c
_objections = select(*(_ROW[column] for column in _NAMES.values()))
_MOST_READ = 5_000  # of those that are over, the latest, looked at for whom they concern: what bounds a page's time
_STANDING = sorted(one.value for one in ObjectionState if one not in OVER)
_ON = (
    select(t.verification.c.id, t.case_file.c.client_id, t.case_file.c.number, t.verification.c.receipt)
    .select_from(t.verification.join(t.case_file))
    .where(t.verification.c.receipt.is_not(None))
    .order_by(t.verification.c.id)
)


class ObjectionRows(Rows):
    """One transaction's methods for objections."""

    def add_objection(self, objection: Objection, words: bytes) -> None:
        """A new objection with what was said, encrypted."""
        self._run(insert(o.objection).values(**_values(objection)))
        self.add_words(objection.id, "raise", objection.raised_by, words, objection.raised_at)

    def objection(self, number: str) -> Objection | None:
        """An objection as it stands; in a writing transaction locked until it ends."""
        isolation = self.connection.get_execution_options().get("isolation_level")
        found = _objections.where(_ROW.id == number)
        row = self._run(found if self._sql.is_sqlite or isolation else found.with_for_update()).one_or_none()
        return None if row is None else _objection(row)

    def objections(
        self, ended: int, *, verification: str | None = None, concern: Concern | None = None
    ) -> list[Objection]:
        """Every objection that stands, those due first come first; then the latest ``ended`` of those that are over.

        Of a verification, or of those that concern somebody, where they are given.
        """
        standing = _concerning(_objections.where(_ROW.state.in_(_STANDING)), _ROW, verification, concern)
        if ended == 0:
            return [_objection(row) for row in self._run(standing.order_by(_ROW.due_at, _ROW.id))]
        over = _over(verification, concern)
        both = (standing.order_by(_ROW.due_at, _ROW.id), over.limit(ended))
        return [_objection(row) for one in both for row in self._run(one)]

    def objections_where(self, wanted: ObjectionsWanted) -> list[Objection]:
        """Those that stand, due first, and behind them those that are over, the latest first."""
        standing = _concerning(_objections.where(_ROW.state.in_(_STANDING)), _ROW, None, wanted.concern)
        if wanted.due_by is not None:
            standing = standing.where(_ROW.due_at <= wanted.due_by)
        page = standing.order_by(_ROW.due_at, _ROW.id).offset(wanted.skip).limit(wanted.limit)
        found = [_objection(row) for row in self._run(page)]
        if len(found) == wanted.limit or wanted.due_by is not None:
            return found
        passed = 0  # of those that are over, the stretches before this one have shown so many
        if not found and wanted.skip:
            counted = select(func.count()).select_from(standing.subquery())
            passed = wanted.skip - int(self._run(counted).scalar_one())
        rest = _over(None, wanted.concern).offset(passed).limit(wanted.limit - len(found))
        return found + [_objection(row) for row in self._run(rest)]

    def change_objection(self, objection: Objection) -> None:
        """Keep what has become of it; the caller has read it in this transaction."""
        self._run(update(o.objection).where(_ROW.id == objection.id).values(**_values(objection)))

    def add_words(self, objection: str, act: str, by: str, words: bytes, now: datetime) -> None:
        """Keep what somebody said with an act, encrypted."""
        row = {"objection_id": objection, "act": act, "said_by": by, "said_at": now, "words": words}
        self._run(insert(o.objection_words).values(**row))

    def words_about(self, objection: str) -> list[tuple[str, str, bytes, datetime]]:
        """Act, by whom, encrypted words and when, in their order."""
        said = o.objection_words.c
        found = select(said.act, said.said_by, said.words, said.said_at).where(said.objection_id == objection)
        return [(row.act, row.said_by, row.words, row.said_at) for row in self._run(found.order_by(said.said_at))]

    def asked_about(self, lookup: str) -> Asked | None:
        """Of which source and about whom a lookup was."""
        found = select(t.lookup.c.source, t.lookup.c.about, t.case_file.c.wrapped_key).select_from(
            t.lookup.join(t.verification).join(t.case_file)
        )
        row = self._run(found.where(t.lookup.c.id == lookup)).one_or_none()
        return None if row is None else Asked(*row)

    def sealed_lookup(self, lookup: str) -> SealedLookup | None:
        """A lookup with what was asked and answered, still encrypted."""
        its, case = t.lookup.c, t.case_file.c
        found = select(its.id, its.question, its.answer, case.wrapped_key, its.asked_at, its.answered_at).select_from(
            t.lookup.join(t.verification).join(t.case_file)
        )
        row = self._run(found.where(its.id == lookup)).one_or_none()
        return None if row is None else SealedLookup(*row)

    def key_of(self, verification: str) -> bytes:
        """The wrapped key of a verification's case; empty once it was destroyed."""
        found = select(t.case_file.c.wrapped_key).select_from(t.verification.join(t.case_file))
        return bytes(self._run(found.where(t.verification.c.id == verification)).scalar_one())

    def decisions_on(self, source: str, about: str, limit: int) -> list[Reopened]:
        """The decided verifications that asked this source about these persons, or used again what it said."""
        asked = select(t.lookup.c.verification_id).where(t.lookup.c.about == about, t.lookup.c.source == source)
        direct = set(self._run(asked.limit(limit)).scalars())
        used = select(t.entry.c.verification_id, t.entry.c.body).select_from(
            log_index.join(t.log_leaf, t.log_leaf.c.position == log_index.c.position).join(
                t.entry, t.entry.c.id == t.log_leaf.c.entry_id
            )
        )
        again = self._run(used.where(log_index.c.subject == about, log_index.c.kind == "reused").limit(limit))
        direct |= {row.verification_id for row in again if json.loads(row.body).get("source") == source}
        return [Reopened(*row) for row in self._run(_ON.where(t.verification.c.id.in_(sorted(direct))))]

    def reopen(self, objection: str, rows: Sequence[Reopened], now: datetime) -> None:
        """Keep which decisions were reopened by an objection."""
        for row in rows:
            values = {"objection_id": objection, "verification_id": row.verification, "reopened_at": now}
            self._run(insert(o.reopened).values(**values))

    def reopened_by(self, objection: str) -> list[Reopened]:
        """The decisions that an objection reopened."""
        its = select(o.reopened.c.verification_id).where(o.reopened.c.objection_id == objection)
        return [Reopened(*row) for row in self._run(_ON.where(t.verification.c.id.in_(its)))]

    def remind_objections(self, now: datetime) -> list[Objection]:
        """Mark as reminded whichever is overdue and was not reminded of since its last act; each is returned once."""
        late = (_ROW.state.in_(_STANDING), _ROW.due_at <= now, _ROW.reminded_at.is_(None))
        returned = (_ROW[column] for column in _NAMES.values())
        rows = self._run(update(o.objection).where(*late).values(reminded_at=now).returning(*returned))
        return [_objection(row) for row in rows]

    def marks(self) -> dict[str, frozenset[str]]:
        """The marked records: about whom, by source."""
        marked = select(_ROW.source, _ROW.about).where(_ROW.state.in_(sorted(one.value for one in MARKED)))
        found: dict[str, set[str]] = {}
        for row in self._run(marked):
            found.setdefault(row.source, set()).add(row.about)
        return {source: frozenset(about) for source, about in found.items()}


def _over(verification: str | None, concern: Concern | None) -> Select[Any]:
    """Those that are over, the latest first; of those that concern somebody, the ones among the latest of all."""
    latest = _objections.where(_ROW.ended_at.is_not(None)).order_by(_ROW.ended_at.desc(), _ROW.id.desc())
    if verification is not None:
        return latest.where(_ROW.verification_id == verification)
    if concern is None:
        return latest
    read = latest.limit(_MOST_READ).subquery()
    return _concerning(select(read), read.c, None, concern).order_by(read.c.ended_at.desc(), read.c.id.desc())


def _concerning(found: Select[Any], row: Any, verification: str | None, concern: Concern | None) -> Select[Any]:
    """Those of a verification, or those that concern somebody, where they are given."""
    if verification is not None:
        found = found.where(row.verification_id == verification)
    if concern is not None:
        found = found.where(
            row.owner.in_(sorted(concern.owners))
            | row.source.in_(sorted(concern.sources))
            | row.raised_unit.in_(sorted(concern.units))
        )
    return found


def _objection(row: Any) -> Objection:
    values = dict(zip(_NAMES, row, strict=True))
    return Objection(**{**values, "state": ObjectionState(values["state"])})


def _values(objection: Objection) -> dict[str, Any]:
    values = {column: getattr(objection, name) for name, column in _NAMES.items()}
    return values | {"state": objection.state.value}
