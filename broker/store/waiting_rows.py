"""The unit of work's part for what a verification waits for; see ``ports.waiting`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, exists, insert, or_, select, update

from broker.core.objection import MARKED
from broker.ports.waiting import Evidence, Promise, PromiseOfCase
from broker.store import objection_tables as o
from broker.store import tables as t
from broker.store import waiting_tables as w
from broker.store.consent_rows import ConsentRows
from broker.store.order_rows import OrderRows

_OBJECTED = o.objection.c
_FEW = 5  # evidence looked at: more than one only where forms differ or a case was deleted

_EVIDENCE = (
    select(
        t.lookup.c.id,
        t.lookup.c.verification_id,
        t.lookup.c.key,
        t.lookup.c.digest,
        t.lookup.c.asked_at,
        t.lookup.c.answered_at,
        t.lookup.c.answer,
        t.case_file.c.wrapped_key,
    )
    .select_from(t.lookup.join(t.verification).join(t.case_file))
    .where(
        t.lookup.c.about == bindparam("b_about"),
        t.lookup.c.reason == "held.valid",
        t.lookup.c.source == bindparam("b_source"),
        t.lookup.c.grant_id == bindparam("b_grant"),
        t.lookup.c.answered_at >= bindparam("b_since"),
        t.lookup.c.answer.is_not(None),
        ~exists().where(
            _OBJECTED.about == t.lookup.c.about,
            _OBJECTED.source == t.lookup.c.source,
            or_(
                _OBJECTED.state.in_(sorted(one.value for one in MARKED)),
                _OBJECTED.corrected_at >= t.lookup.c.answered_at,
            ),
        ),
    )
    .order_by(t.lookup.c.answered_at.desc())
    .limit(_FEW)
)
_SELF = t.verification.alias("self")
_RECEIPTS = (
    select(t.verification.c.id, t.verification.c.preliminary, t.verification.c.receipt)
    .select_from(t.verification.join(_SELF, t.verification.c.case_id == _SELF.c.case_id))
    .where(
        _SELF.c.id == bindparam("b_id"),
        or_(t.verification.c.receipt.is_not(None), t.verification.c.preliminary.is_not(None)),
    )
    .order_by(t.verification.c.decided_at.is_(None), t.verification.c.decided_at, t.verification.c.id)
)
_CHANGE_PROMISE = (
    update(w.promise)
    .where(w.promise.c.lookup_id == bindparam("b_lookup"))
    .values(state=bindparam("b_state"), checked_at=bindparam("b_now"))
)
_PROMISE = [
    w.promise.c[name] for name in ("id", "verification_id", "material", "text", "state", "lookup_id", "checked_at")
]
_PROMISES = select(*_PROMISE).where(w.promise.c.verification_id == bindparam("b_id")).order_by(w.promise.c.material)


_PROMISES_IN = (
    select(t.case_file.c.client_id, t.case_file.c.number, w.promise.c.promised_at, *_PROMISE)
    .select_from(w.promise.join(t.verification).join(t.case_file))
    .where(w.promise.c.state.in_(bindparam("b_states", expanding=True)))
    .order_by(w.promise.c.promised_at, w.promise.c.id)
)


class WaitingRows(OrderRows, ConsentRows):
    """One transaction's methods for what a verification waits for."""

    def evidence(self, about: str, source: str, grant: str, since: datetime) -> list[Evidence]:
        """Answers about these persons that held, answered since then under this grant, the newest first; a few."""
        rows = self._run(_EVIDENCE, b_about=about, b_source=source, b_grant=grant, b_since=since)
        return [Evidence(*row) for row in rows]

    def receipts_in_case_of(self, verification: str) -> list[tuple[str, str]]:
        """Every receipt of the same case, preliminary ones included, with its verification; what stands last, last."""
        rows = self._run(_RECEIPTS, b_id=verification)
        return [(row.id, one) for row in rows for one in (row.preliminary, row.receipt) if one is not None]

    def add_promises(self, rows: Sequence[Promise], now: datetime) -> None:
        """New promises."""
        for row in rows:  # few: one for each signed commitment
            self._run(
                insert(w.promise), id=row.id, verification_id=row.verification, material=row.material, text=row.text,
                state=row.state, lookup_id=row.lookup, promised_at=now,
            )  # fmt: skip

    def change_promise(self, lookup: str, state: str, now: datetime) -> None:
        """What became of the promise that this lookup checks."""
        self._run(_CHANGE_PROMISE, b_lookup=lookup, b_state=state, b_now=now)

    def promises(self, verification: str) -> list[Promise]:
        """The promises on which a verification's decision rests."""
        return [Promise(*row) for row in self._run(_PROMISES, b_id=verification)]

    def promises_in(self, states: Sequence[str]) -> list[PromiseOfCase]:
        """The promises in these states, the oldest first."""
        rows = self._run(_PROMISES_IN, b_states=list(states))
        return [PromiseOfCase(client, case, when, Promise(*rest)) for client, case, when, *rest in rows]
