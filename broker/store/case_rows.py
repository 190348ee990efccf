"""The unit of work's part for looking cases up; see ``ports.cases`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, union_all

from broker.ports.cases import CaseLine, RecentCase, VerificationLine
from broker.store import objection_tables as o
from broker.store import tables as t
from broker.store.grants_rows import parties_from
from broker.store.rows import Rows, inline

_CASE = t.case_file.c
_CASES = select(
    _CASE.id, _CASE.client_id, _CASE.number, _CASE.applicant, _CASE.parties, _CASE.state, _CASE.opened_at,
    _CASE.closed_at, _CASE.shredded_at,
)  # fmt: skip
_ROW, _ENTRY = t.verification.c, t.entry.c
_VERIFICATIONS = select(
    _ROW.case_id, _ROW.id, _ROW.request_id, _ROW.edition, _ROW.state, _ROW.admitted_at, _ROW.decided_at, _ENTRY.body
).select_from(t.verification.join(t.entry, (_ENTRY.verification_id == _ROW.id) & (_ENTRY.kind == "admitted")))
_UNDECIDED = _ROW.state != inline("decided")
_AGAIN = t.verification.alias("again")
_RECENT = _VERIFICATIONS.join(t.case_file, _CASE.id == _ROW.case_id).add_columns(_CASE.number, _CASE.client_id)


class CaseRows(Rows):
    """One transaction's methods for looking cases up."""

    def cases_numbered(self, number: str, limit: int) -> list[CaseLine]:
        """The cases of this number, of whichever system, the newest first."""
        found = _CASES.where(_CASE.number == number).order_by(_CASE.opened_at.desc()).limit(limit)
        return [_case(row) for row in self._run(found)]

    def case_line(self, case: str) -> CaseLine | None:
        """A case by its id."""
        row = self._run(_CASES.where(_CASE.id == case)).one_or_none()
        return None if row is None else _case(row)

    def case_of(self, verification: str) -> CaseLine | None:
        """The case that a verification belongs to."""
        its = _CASES.select_from(t.case_file.join(t.verification)).where(_ROW.id == verification)
        row = self._run(its).one_or_none()
        return None if row is None else _case(row)

    def verifications_in(self, cases: Sequence[str], limit: int) -> dict[str, list[VerificationLine]]:
        """The verifications of these cases by case, the newest first."""
        found = _VERIFICATIONS.where(_ROW.case_id.in_(sorted(cases))).order_by(_ROW.id.desc()).limit(limit)
        by_case: dict[str, list[VerificationLine]] = {}
        for row in self._run(found):
            by_case.setdefault(row.case_id, []).append(_verification(row))
        return by_case

    def count_undecided(self, units: Collection[str] | None) -> int:
        """How many verifications of these bodies are not decided yet."""
        theirs = () if units is None else (_ROW.unit.in_(sorted(units)),)
        counted = select(func.count()).select_from(t.verification).where(_UNDECIDED, *theirs)
        return int(self._run(counted).scalar_one())

    def undecided(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """Those, the newest first."""
        theirs = () if units is None else (_ROW.unit.in_(sorted(units)),)
        return self._listed(_newest(limit, _UNDECIDED, *theirs))

    def recent(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """The latest verifications of these bodies, the newest first."""
        if units is None:
            return self._listed(_newest(limit))
        # The newest of each body, and of those the newest: PostgreSQL reads an index backwards for one body at a time.
        each = [select(_newest(limit, _ROW.unit == one).subquery()) for one in sorted(units)]
        together = union_all(*each).subquery() if each else _newest(0).subquery()
        return self._listed(select(together.c.id).order_by(together.c.id.desc()).limit(limit))

    def _listed(self, chosen: Select[Any]) -> list[RecentCase]:
        rows = self._run(_RECENT.where(_ROW.id.in_(chosen)).order_by(_ROW.id.desc()))
        return [_recent(row) for row in rows]

    def count_to_ask_again(self, units: Collection[str] | None) -> int:
        """How many decisions of these bodies were reopened and not asked again since."""
        return int(self._run(select(func.count()).select_from(_reopened(units).subquery())).scalar_one())

    def to_ask_again(self, units: Collection[str] | None, limit: int) -> list[RecentCase]:
        """Those, the newest first."""
        return self._listed(_reopened(units).order_by(_ROW.id.desc()).limit(limit))

    def bodiless(self, limit: int) -> list[str]:
        """The newest verifications whose row does not name their body yet, locked in the order all steps lock in."""
        newest = _newest(limit, _ROW.unit.is_(None))
        held = select(_ROW.id).where(_ROW.id.in_(newest)).order_by(_ROW.id).with_for_update()
        return list(self._run(held).scalars())

    def name_bodies(self, verifications: Sequence[str]) -> None:
        """Take their bodies from the entries that admitted them; the caller holds them."""
        told = select(_ENTRY.verification_id, _ENTRY.body).where(
            _ENTRY.verification_id.in_(sorted(verifications)), _ENTRY.kind == "admitted"
        )
        units = {row.verification_id: str(json.loads(row.body).get("unit", "")) for row in self._run(told)}
        self._many(self._sql.name_bodies, [{"b_id": one, "unit": units.get(one, "")} for one in verifications])

    def receipts_of(self, verification: str) -> tuple[str | None, str | None]:
        """The preliminary receipt and the final one."""
        row = self._run(select(_ROW.preliminary, _ROW.receipt).where(_ROW.id == verification)).one_or_none()
        return (None, None) if row is None else (row.preliminary, row.receipt)


def _case(row: Any) -> CaseLine:
    return CaseLine(
        row.id, row.client_id, row.number, row.applicant, parties_from(row.parties), row.state, row.opened_at,
        row.closed_at, row.shredded_at,
    )  # fmt: skip


def _newest(limit: int, *where: ColumnElement[bool]) -> Select[Any]:
    return select(_ROW.id).where(*where).order_by(_ROW.id.desc()).limit(limit)


def _reopened(units: Collection[str] | None) -> Select[Any]:
    """From what objections reopened, which is little, to the verifications: not the other way round."""
    theirs = () if units is None else (_ROW.unit.in_(sorted(units)),)
    later = _AGAIN.c.admitted_at > o.reopened.c.reopened_at
    asked_again = exists(select(1).where(_AGAIN.c.case_id == _ROW.case_id, later))
    return select(_ROW.id).select_from(o.reopened.join(t.verification)).where(~asked_again, *theirs).distinct()


def _recent(row: Any) -> RecentCase:
    admitted = json.loads(row.body)
    item = admitted.get("item") or admitted.get("scene") or ""
    return RecentCase(row.case_id, row.number, row.client_id, item, _verification(row))


def _verification(row: Any) -> VerificationLine:
    """The operator and the body stand in the entry, because the row keeps nothing of the request in the open."""
    told = json.loads(row.body)
    return VerificationLine(
        row.id, row.request_id, row.edition, row.state, row.admitted_at, row.decided_at, told.get("unit", ""),
        told.get("operator", ""),
    )  # fmt: skip
