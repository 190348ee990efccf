"""Every statement of the steps, built once per dialect; the two differ in how a list is bound, nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    Table,
    Text,
    bindparam,
    column,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from broker.ports.figures import Paper
from broker.store import figures_tables as f
from broker.store import tables as t
from broker.store import waiting_tables as w

_CLOCK = {
    True: "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    False: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
}


class Statements:
    """The statements for one dialect. Names of bound values follow the columns; ``b_`` marks those in conditions."""

    def __init__(self, *, is_sqlite: bool) -> None:
        """Compile nothing yet; SQLAlchemy does so on first use and keeps it."""
        self.is_sqlite = is_sqlite
        self._insert = sqlite.insert if is_sqlite else postgresql.insert
        self._wholes: dict[str, Any] = {}
        self.kept_sums: dict[Any, dict[tuple[Any, ...], int]] = {}  # of frozen months: see ``figures_rows``
        self.pulse = text(f"SELECT version, {_CLOCK[is_sqlite]} FROM policy")  # noqa: S608 - a constant of ours
        self._for_admission()
        self._for_lookups()
        self._for_duties()
        self._for_reading()
        self._for_registers()

    def _for_admission(self) -> None:
        insert = self._insert
        self.spend_nonce = _once(insert(t.nonce))
        self.spend_nonces = self._many_new(t.nonce).returning(t.nonce.c.key_id, t.nonce.c.nonce)
        self.find_verifications = _stored().where(
            self._among(t.verification.c.client_id, "b_clients"), self._among(t.verification.c.request_id, "b_requests")
        )
        self.stored_verification = _stored().where(t.verification.c.id == bindparam("b_id"))
        self.open_cases = self._many_new(
            t.case_file, without=("closed_at", "outcome", "shredded_at", "erased_at")
        ).returning(t.case_file.c.id)
        self.case = select(t.case_file).where(
            t.case_file.c.client_id == bindparam("b_client"), t.case_file.c.number == bindparam("b_number")
        )
        # As the insert of its verification will: so whoever shreds the case waits for us, or we for them.
        self.case_shared = self.case.with_for_update(read=True, key_share=True)
        self.close_case = (
            update(t.case_file)
            .where(
                t.case_file.c.client_id == bindparam("b_client"),
                t.case_file.c.number == bindparam("b_number"),
                t.case_file.c.state == "open",
            )
            .values(state="closed", closed_at=bindparam("b_now"), outcome=bindparam("b_outcome"))
        )
        self.usage = select(t.grant_usage.c.grant_id, t.grant_usage.c.calls).where(
            t.grant_usage.c.day == bindparam("b_day"), self._among(t.grant_usage.c.grant_id, "b_ids")
        )
        open_ended = ("decided_at", "receipt", "preliminary")
        self.add_verifications = self._many_new(t.verification, without=open_ended).returning(t.verification.c.id)
        answered = ("reason", "answer", "digest", "asked_at", "answered_at", "memo")
        self.add_lookups = self._many(t.lookup, without=answered)
        self.add_entries = self._many(t.entry, without=("id",))

    def _for_lookups(self) -> None:
        insert = self._insert
        due = (
            select(t.lookup.c.id)
            .where(
                t.lookup.c.source == bindparam("b_source"),
                t.lookup.c.state == "due",
                t.lookup.c.ready_at <= bindparam("b_now"),
            )
            .order_by(t.lookup.c.ready_at)
            .limit(bindparam("b_limit", type_=Integer))
            .with_for_update(skip_locked=True)
            .cte("claimable")
        )
        self.claim = (
            update(t.lookup)
            .where(t.lookup.c.id == due.c.id)
            .values(ready_at=bindparam("b_lease_until"), fence=t.lookup.c.fence + 1)
            .returning(t.lookup.c.id)
        )
        self.claimed = (
            select(
                t.lookup.c.id,
                t.lookup.c.verification_id,
                t.verification.c.client_id,
                t.lookup.c.key,
                t.lookup.c.source,
                t.lookup.c.grant_id,
                t.verification.c.edition,
                t.lookup.c.fence,
                t.case_file.c.state,
                t.lookup.c.question,
                t.lookup.c.memo,
                t.case_file.c.wrapped_key,
                w.consent.c.state,
                w.consent.c.until_at,
            )
            .select_from(
                t.lookup.join(t.verification)
                .join(t.case_file)
                .outerjoin(w.consent, w.consent.c.id == t.lookup.c.consent_id)
            )
            .where(self._among(t.lookup.c.id, "b_ids"))
            .order_by(t.lookup.c.ready_at, t.lookup.c.id)
        )
        usage = insert(t.grant_usage)
        self.use_grant = usage.on_conflict_do_update(
            index_elements=["grant_id", "day"], set_={"calls": t.grant_usage.c.calls + usage.excluded.calls}
        ).returning(t.grant_usage.c.calls)
        self.hold = (
            select(
                t.verification.c.id,
                t.verification.c.client_id,
                t.verification.c.request_digest,
                t.verification.c.edition,
                t.verification.c.state,
                t.verification.c.admitted_at,
                t.verification.c.request,
                t.verification.c.permits,
                t.verification.c.preliminary,
                t.verification.c.receipt,
                t.case_file.c.applicant,
                t.case_file.c.number,
                t.case_file.c.wrapped_key,
            )
            .select_from(t.verification.join(t.case_file))
            .where(self._among(t.verification.c.id, "b_ids"))
            .order_by(t.verification.c.id)
            .with_for_update(of=t.verification)
        )
        self.hold_lookups = (
            select(t.lookup.c.id).where(self._among(t.lookup.c.id, "b_ids")).order_by(t.lookup.c.id).with_for_update()
        )
        self.lookups_of = select(
            t.lookup.c.id,
            t.lookup.c.verification_id,
            t.lookup.c.key,
            t.lookup.c.state,
            t.lookup.c.fence,
            t.lookup.c.answer,
            t.lookup.c.digest,
            t.lookup.c.asked_at,
            t.lookup.c.answered_at,
            t.lookup.c.awaited,
            t.lookup.c.until,
        ).where(self._among(t.lookup.c.verification_id, "b_ids"))
        self.answer = self._many_changed(t.lookup, "state", "reason", "answer", "digest", "asked_at", "answered_at")
        self.wait = self._many_changed(t.lookup, "awaited", "until", "memo", "ready_at")
        self.suspend = self._many_changed(t.verification, "state", "preliminary")
        self.name_bodies = self._many_changed(t.verification, "unit")
        self.decide = self._many_changed(t.verification, "state", "receipt", "decided_at")

    def _for_duties(self) -> None:
        insert = self._insert
        self.due_sources = (
            select(t.lookup.c.source)
            .where(t.lookup.c.state == "due", t.lookup.c.ready_at <= bindparam("b_now"))
            .distinct()
        )
        self.forget_nonces = delete(t.nonce).where(t.nonce.c.expires_at < bindparam("b_now"))
        self.log_size = select(func.coalesce(func.max(t.log_leaf.c.position) + 1, 0))
        self.unsequenced = (
            select(t.entry.c.id, t.entry.c.body)
            .select_from(t.entry_queue.join(t.entry, t.entry.c.id == t.entry_queue.c.entry_id))
            .order_by(t.entry.c.id)
            .limit(bindparam("b_limit", type_=Integer))
        )
        self.leave_queue = delete(t.entry_queue).where(self._among(t.entry_queue.c.entry_id, "b_ids", BigInteger()))
        self.add_leaves = self._many(t.log_leaf)
        tile = insert(t.log_tile)
        self.put_tile = tile.on_conflict_do_update(
            index_elements=["level", "index"], set_={"hashes": tile.excluded.hashes}
        )
        self.tile = select(t.log_tile.c.hashes).where(
            t.log_tile.c.level == bindparam("b_level"), t.log_tile.c.index == bindparam("b_index")
        )
        self.add_checkpoint = _once(insert(t.log_checkpoint))
        self.add_deliveries = self._many(t.delivery)
        ripe = (
            select(t.delivery.c.id)
            .where(t.delivery.c.state == "due", t.delivery.c.ready_at <= bindparam("b_now"))
            .order_by(t.delivery.c.ready_at)
            .limit(bindparam("b_limit", type_=Integer))
            .with_for_update(skip_locked=True)
            .cte("ripe")
        )
        self.claim_deliveries = (
            update(t.delivery)
            .where(t.delivery.c.id == ripe.c.id)
            .values(ready_at=bindparam("b_lease_until"), fence=t.delivery.c.fence + 1)
            .returning(
                t.delivery.c.id,
                t.delivery.c.verification_id,
                t.delivery.c.client_id,
                t.delivery.c.kind,
                t.delivery.c.fence,
                t.delivery.c.notice,
            )
        )
        self.receipts = select(t.verification.c.id, t.verification.c.receipt, t.verification.c.preliminary).where(
            self._among(t.verification.c.id, "b_ids")
        )
        self.finish_delivery = (
            update(t.delivery)
            .where(t.delivery.c.id == bindparam("b_id"), t.delivery.c.fence == bindparam("b_fence"))
            .values(state=bindparam("b_state"), ready_at=bindparam("b_ready"), last_code=bindparam("b_code"))
        )

    def _for_reading(self) -> None:
        # One list, not a place for each of its values: of five thousand, those take longer to bind than to find.
        self.papers_of = select(f.paper.c.report_id, *(f.paper.c[one.name] for one in fields(Paper))).where(
            self._among(f.paper.c.report_id, "b_ids")
        )
        self.decided_among = _stored().where(
            t.verification.c.state != "admitted", self._among(t.verification.c.id, "b_ids")
        )
        self.latest_checkpoint = select(t.log_checkpoint.c.note).order_by(t.log_checkpoint.c.size.desc()).limit(1)
        self.latest_signing = select(t.log_checkpoint.c.signed_at).order_by(t.log_checkpoint.c.size.desc()).limit(1)
        self.place_of = (
            select(t.log_leaf.c.position, t.entry.c.body)
            .select_from(t.entry.outerjoin(t.log_leaf, t.log_leaf.c.entry_id == t.entry.c.id))
            .where(t.entry.c.verification_id == bindparam("b_verification"), t.entry.c.kind == bindparam("b_kind"))
            .order_by(t.entry.c.id.desc())
            .limit(1)
        )
        self.entries = (
            select(t.entry.c.body)
            .select_from(t.log_leaf.join(t.entry, t.entry.c.id == t.log_leaf.c.entry_id))
            .where(t.log_leaf.c.position >= bindparam("b_start"), t.log_leaf.c.position < bindparam("b_stop"))
            .order_by(t.log_leaf.c.position)
        )
        self._for_review()

    def _for_review(self) -> None:
        placed = t.log_leaf.join(t.entry, t.entry.c.id == t.log_leaf.c.entry_id)
        self.log_rows = (
            select(t.log_leaf.c.position, t.entry.c.kind, t.entry.c.verification_id, t.entry.c.body)
            .select_from(placed)
            .where(t.log_leaf.c.position >= bindparam("b_start"), t.log_leaf.c.position < bindparam("b_stop"))
            .order_by(t.log_leaf.c.position)
        )
        self.checkpoints = (
            select(t.log_checkpoint.c.size, t.log_checkpoint.c.note)
            .where(t.log_checkpoint.c.size > bindparam("b_above"))
            .order_by(t.log_checkpoint.c.size)
            .limit(bindparam("b_limit"))
        )
        self.stray_entry = (
            select(t.entry.c.id)
            .select_from(
                t.entry.outerjoin(t.log_leaf, t.log_leaf.c.entry_id == t.entry.c.id).outerjoin(
                    t.entry_queue, t.entry_queue.c.entry_id == t.entry.c.id
                )
            )
            .where(t.entry.c.id >= bindparam("b_start"), t.entry.c.id < bindparam("b_stop"))
            .where(t.log_leaf.c.position.is_(None), t.entry_queue.c.entry_id.is_(None))
            .limit(1)
        )
        self.last_entry = select(func.max(t.entry.c.id))

    def _for_registers(self) -> None:
        insert = self._insert
        self.add_client = _once(insert(t.client))
        self.add_client_key = _once(insert(t.client_key))
        self.revoke_client_key = (
            update(t.client_key)
            .where(t.client_key.c.key_id == bindparam("b_id"), t.client_key.c.revoked_at.is_(None))
            .values(revoked_at=bindparam("b_now"))
        )
        self.add_grant = _once(insert(t.access_grant))
        self.add_edition = _once(insert(t.edition))
        record = [column for column in t.draft.c if column is not t.draft.c.body]
        self.add_draft = insert(t.draft)
        self.drafts = select(*record).order_by(t.draft.c.drafted_at.desc(), t.draft.c.id.desc())
        self.read_draft = select(*record, t.draft.c.body).where(t.draft.c.id == bindparam("b_id"))
        self.draft = self.read_draft.with_for_update()
        self.change_draft = update(t.draft).where(t.draft.c.id == bindparam("b_id"))
        self.move_policy = update(t.policy).values(version=t.policy.c.version + 1)

    def _among(self, column: Column[Any], name: str, kind: Any = None) -> ColumnElement[bool]:
        """``column`` is one of a bound list: one prepared statement, however long the list is."""
        if self.is_sqlite:
            return column.in_(select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value))
        return column == func.any(bindparam(name, type_=ARRAY(kind or Text())))

    # Many rows in one statement: PostgreSQL is given each column as an array, so that one prepared statement serves
    # whatever number of rows comes; SQLite, which has no round trip to save, is given them one after the other.

    def once(self, table: Table) -> Any:
        """One whole row of a table, unless it is there."""
        return _once(self._insert(table))

    def many(self, table: Table) -> Any:
        """Whole rows of a table, many at a time."""
        if table.name not in self._wholes:
            self._wholes[table.name] = self._many(table)
        return self._wholes[table.name]

    def _many(self, table: Table, *, without: Sequence[str] = ()) -> Any:
        names = [column.name for column in table.c if column.name not in without]
        if self.is_sqlite:
            return sqlite.insert(table)
        given = _given([table.c[name] for name in names])
        return postgresql.insert(table).from_select(names, select(*given.c))

    def _many_new(self, table: Table, *, without: Sequence[str] = ()) -> Any:
        """Those that are not there yet."""
        return self._many(table, without=without).on_conflict_do_nothing()

    def _many_changed(self, table: Table, *names: str) -> Any:
        """These columns of the rows whose ids are given as ``b_id``."""
        if self.is_sqlite:
            changed: dict[str, Any] = {name: bindparam(name) for name in names}
            return update(table).where(table.c.id == bindparam("b_id")).values(changed)
        given = _given([table.c.id.label("b_id"), *(table.c[name] for name in names)])
        return update(table).where(table.c.id == given.c.b_id).values({name: given.c[name] for name in names})

    def bound(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Rows as the statements for many take them."""
        return rows if self.is_sqlite else {name: [row[name] for row in rows] for name in rows[0]}

    def listed(self, values: Sequence[Any]) -> Any:
        """The list as this dialect binds it."""
        return json.dumps(list(values)) if self.is_sqlite else list(values)


def _given(columns: Sequence[Any]) -> Any:
    arrays = [bindparam(one.name, type_=ARRAY(one.type)) for one in columns]
    names = [column(one.name, one.type) for one in columns]
    return func.unnest(*arrays).table_valued(*names).render_derived(name="given")


def _once(insertion: Any) -> Any:
    """Insert unless it is there; its row count says which. Without the option, SQLAlchemy gives -1 on PostgreSQL."""
    return insertion.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _stored() -> Any:
    return select(
        t.verification.c.id,
        t.verification.c.client_id,
        t.verification.c.request_id,
        t.verification.c.request_digest,
        t.case_file.c.number,
        t.verification.c.edition,
        t.verification.c.state,
        t.verification.c.admitted_at,
        t.verification.c.decided_at,
        func.coalesce(t.verification.c.receipt, t.verification.c.preliminary),
        t.verification.c.request_salt,
        t.case_file.c.wrapped_key,
    ).select_from(t.verification.join(t.case_file))
