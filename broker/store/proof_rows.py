"""The unit of work's part for what proves; see ``ports.proof`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Table, exists, func, or_, select, update

from broker.core.log_export import Filter
from broker.ports.proof import About, Embargo, Indexed, Placed, Sealed, Shredded
from broker.store import figures_tables as f
from broker.store import proof_tables as p
from broker.store import tables as t
from broker.store import waiting_tables as w
from broker.store.found_by import among, naming_within, places_about
from broker.store.rows import Rows

_AFTER_ALL = datetime(9999, 1, 1, tzinfo=UTC)  # when a lookup of a destroyed case is due: no worker is woken for it
_NEVER = datetime.min.replace(tzinfo=UTC)  # of a row about persons without one about its entry

_OPEN_CASES = (  # a promise may be checked, so a lookup be due, after its verification is decided
    select(t.verification.c.case_id)
    .select_from(t.verification.outerjoin(t.lookup, (t.lookup.c.verification_id == t.verification.c.id)
                                          & (t.lookup.c.state != "answered")))
    .where(or_(t.verification.c.state != "decided", t.lookup.c.id.is_not(None)))
)  # fmt: skip


_FORGOTTEN = {"question": b"", "answer": None, "memo": None}
_ORDER_FORGOTTEN = {"question": b"", "remark": None, "evidence": None}

_EMBARGOES = select(
    p.embargo.c.id, p.embargo.c.subject, p.embargo.c.client_id, p.embargo.c.case_number, p.embargo.c.reason,
    p.embargo.c.until, p.embargo.c.requested_by, p.embargo.c.requested_at, p.embargo.c.approved_by,
    p.embargo.c.requested_from,
)  # fmt: skip


_PLACED = select(t.log_leaf.c.position, t.entry.c.body).select_from(
    t.log_leaf.join(t.entry, t.entry.c.id == t.log_leaf.c.entry_id).join(
        p.log_index, p.log_index.c.position == t.log_leaf.c.position
    )
)


def _beside(table: Table, start: int, stop: int) -> Select[Any]:
    """Rows beside those of the index, of these places."""
    return select(table).where(table.c.position >= start, table.c.position < stop)


class ProofRows(Rows):
    """One transaction's methods for what proves."""

    def indexed(self, start: int, stop: int) -> list[Indexed]:
        """The rows by which these entries are found, in order; ``related`` and ``named`` are sorted."""
        index = p.log_index.c
        related: dict[int, list[str]] = {}
        for row in self._run(_beside(p.log_related, start, stop)):
            related.setdefault(row.position, []).append(row.subject)
        named: dict[int, list[tuple[str, str]]] = {}
        for row in self._run(_beside(p.log_named, start, stop)):
            named.setdefault(row.position, []).append((row.fact, row.name))
        within = (index.position >= start, index.position < stop)
        found = [
            Indexed(
                *facts, request_id=request, item=item, region=region,
                related=tuple(sorted(related.pop(facts[0], ()))), named=tuple(sorted(named.pop(facts[0], ()))),
            )
            for *facts, request, item, region in self._run(
                select(p.log_index).where(*within).order_by(index.position)
            )
        ]  # fmt: skip
        return found + [Indexed(place, _NEVER, "") for place in sorted({*related, *named})]

    def index_entries(self, rows: Sequence[Indexed]) -> None:
        """Let entries be found by what they say."""
        self._many(self._sql.many(p.log_index), [
            {"position": row.position, "at": row.at, "kind": row.kind, "client_id": row.client,
             "case_number": row.case, "operator": row.operator, "subject": row.subject,
             "unit": row.unit, "source": row.source, "outcome": row.outcome, "request_id": row.request_id,
             "item": row.item, "region": row.region}
            for row in rows
        ])  # fmt: skip
        self._many(self._sql.many(p.log_related), [
            {"subject": one, "position": row.position} for row in rows for one in sorted(set(row.related))
        ])  # fmt: skip
        self._many(self._sql.many(p.log_named), [
            {"fact": fact, "name": name, "position": row.position} for row in rows for fact, name in row.named
        ])  # fmt: skip

    def refusals_of(self, request_id: str, client: str | None, limit: int) -> list[Placed]:
        """The latest entries with places that refuse a request of this id, of one system or of all, in order."""
        index = p.log_index.c
        found = _PLACED.where(index.request_id == request_id, index.kind == "refused")
        if client is not None:
            found = found.where(index.client_id == client)
        rows = self._run(found.order_by(t.log_leaf.c.position.desc()).limit(limit)).all()
        return [Placed(row.position, row.body) for row in reversed(rows)]

    def entries_on(self, wanted: About, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries about a person, in order."""
        index = p.log_index.c
        found = (
            _PLACED.where(t.log_leaf.c.position >= start, t.log_leaf.c.position < stop)
            .where(index.position.in_(places_about(wanted.subject)), index.kind.in_(wanted.kinds))
            .order_by(t.log_leaf.c.position)
            .limit(limit)
        )
        if wanted.since is not None:
            found = found.where(index.at >= wanted.since)
        if wanted.until is not None:
            found = found.where(index.at < wanted.until)
        return [Placed(row.position, row.body) for row in self._run(found)]

    def find_entries(self, wanted: Filter, start: int, stop: int, limit: int) -> list[Placed]:
        """Up to ``limit`` entries from ``start`` to before ``stop`` that the filter wants, in order."""
        within = _PLACED.where(t.log_leaf.c.position >= start, t.log_leaf.c.position < stop)
        asked = (*among(wanted, p.log_index), *naming_within(wanted, p.log_index, start, stop))
        found = within.where(*asked).order_by(t.log_leaf.c.position).limit(limit)
        return [Placed(row.position, row.body) for row in self._run(found)]

    # --- retention

    def expired_cases(self, before: datetime, limit: int) -> list[str]:
        """Up to ``limit`` cases, locked, that were closed or last active before a time."""
        case, done = t.case_file.c, t.verification.c
        recent = exists().where(done.case_id == case.id, or_(done.admitted_at >= before, done.decided_at >= before))
        alive = _OPEN_CASES.where(done.case_id == case.id).correlate(t.case_file).exists()
        found: Select[tuple[str]] = (
            select(case.id)
            .where(func.length(case.wrapped_key) > 0, case.opened_at < before)
            .where(~alive, or_(~recent, case.closed_at < before))
            .order_by(case.opened_at)
            .limit(limit)
            .with_for_update(of=t.case_file, skip_locked=True)
        )
        locked = list(self._run(found).scalars())
        # What was admitted between the reading and the lock is seen now; behind the lock nothing can be.
        still_open = self._run(_OPEN_CASES.where(done.case_id.in_(locked)))
        return sorted(set(locked) - set(still_open.scalars()))

    def stuck_cases(self, before: datetime, now: datetime, limit: int) -> list[str]:
        """Up to ``limit`` cases, locked, where something is open, nothing was done since ``before``, and none waits."""
        case, done, asked = t.case_file.c, t.verification.c, t.lookup.c
        theirs = select(done.id).where(done.case_id == case.id)
        recent = theirs.where(or_(done.admitted_at >= before, done.decided_at >= before))
        waits = exists().where(asked.verification_id.in_(theirs), asked.state == "due",
                               or_(asked.until >= now, asked.ready_at >= now, asked.answered_at >= before))  # fmt: skip
        found: Select[tuple[str]] = (
            select(case.id)
            .where(func.length(case.wrapped_key) > 0, case.opened_at < before, ~recent.exists(), ~waits)
            .where(_OPEN_CASES.where(done.case_id == case.id).correlate(t.case_file).exists())
            .order_by(case.opened_at)
            .limit(limit)
            .with_for_update(of=t.case_file, skip_locked=True)
        )
        return list(self._run(found).scalars())

    def case_key(self, case: str) -> bytes:
        """The wrapped key of a case; empty where it was destroyed."""
        return bytes(self._run(select(t.case_file.c.wrapped_key).where(t.case_file.c.id == case)).scalar_one())

    def latest_case_key(self, besides: Sequence[str]) -> bytes | None:
        """The wrapped key of the latest case that is none of these."""
        case = t.case_file.c
        others = select(case.wrapped_key).where(func.length(case.wrapped_key) > 0, case.id.not_in(besides))
        latest = others.order_by(case.opened_at.desc()).limit(1)
        found: bytes | None = self._run(latest).scalar_one_or_none()
        return found

    def sealed_of(self, case: str) -> list[Sealed]:
        """What of a case must be readable for its open verifications and lookups to go on."""
        done, asked = t.verification.c, t.lookup.c
        theirs = select(asked.id, asked.state, asked.question, asked.memo, asked.answer).select_from(
            t.lookup.join(t.verification)
        )
        needed = theirs.where(done.case_id == case, or_(asked.state == "due", done.state != "decided"))
        requests = select(done.id, done.request).where(done.case_id == case, done.state != "decided")
        found = [Sealed(row.id, row.request) for row in self._run(requests)]
        for row in self._run(needed):
            sealed = (row.question, row.memo) if row.state == "due" else (row.answer,)
            found += [Sealed(row.id, one) for one in sealed if one is not None]
        return found

    def expired_answers(self, before: datetime, limit: int) -> list[str]:
        """Up to ``limit`` lookups, locked, of decided verifications, that were answered before a time."""
        asked = t.lookup.c
        found: Select[tuple[str]] = (
            select(asked.id)
            .select_from(t.lookup.join(t.verification))
            .where(asked.answer.is_not(None), asked.answered_at < before, t.verification.c.state == "decided")
            .order_by(asked.answered_at)
            .limit(limit)
            .with_for_update(of=t.lookup, skip_locked=True)
        )
        return list(self._run(found).scalars())

    def forget_answers(self, lookups: Sequence[str]) -> list[Shredded]:
        """Destroy questions, answers and memos of these locked lookups, and of their orders; counted by case."""
        if not lookups:
            return []
        case, done, asked = t.case_file.c, t.verification.c, t.lookup.c
        counts = (
            select(case.client_id, case.number, func.count(done.id.distinct()), func.count(asked.id))
            .select_from(t.case_file.join(t.verification).join(t.lookup))
            .where(asked.id.in_(lookups))
            .group_by(case.id, case.client_id, case.number)
            .order_by(case.id)
        )
        gone = [Shredded(*row) for row in self._run(counts)]
        self._run(update(t.lookup).where(asked.id.in_(lookups)).values(_FORGOTTEN))
        self._run(update(w.work_order).where(w.work_order.c.lookup_id.in_(lookups)).values(_ORDER_FORGOTTEN))
        return gone

    def lock_case(self, client: str, number: str) -> str | None:
        """The id of the case, locked."""
        case = t.case_file.c
        found = select(case.id).where(case.client_id == client, case.number == number).with_for_update()
        row = self._run(found).one_or_none()
        return None if row is None else str(row.id)

    def is_open(self, case: str) -> bool:
        """Whether something of this case is still to be answered or decided."""
        return self._run(_OPEN_CASES.where(t.verification.c.case_id == case).limit(1)).first() is not None

    def shred(self, cases: Sequence[str], now: datetime, *, erased: bool) -> list[Shredded]:
        """Destroy the keys of these locked cases, and with them requests, questions, answers, clerks' notes."""
        if not cases:
            return []
        case, done, asked = t.case_file.c, t.verification.c, t.lookup.c
        theirs = select(done.id).where(done.case_id.in_(cases))
        counts = (
            select(case.client_id, case.number, func.count(done.id.distinct()), func.count(asked.id))
            .select_from(t.case_file.outerjoin(t.verification).outerjoin(t.lookup))
            .where(case.id.in_(cases))
            .group_by(case.id, case.client_id, case.number)
            .order_by(case.id)
        )
        gone = [Shredded(*row) for row in self._run(counts)]
        lost = asked.verification_id.in_(theirs)
        self._run(update(t.lookup).where(lost).values(_FORGOTTEN))
        self._run(update(t.lookup).where(lost, asked.state == "due").values(ready_at=_AFTER_ALL))
        self._run(update(w.work_order).where(w.work_order.c.verification_id.in_(theirs)).values(_ORDER_FORGOTTEN))
        report = f.paper_report.c
        told = select(report.id).join(t.case_file, (report.client_id == case.client_id)
                                      & (report.case_number == case.number)).where(case.id.in_(cases))  # fmt: skip
        self._run(update(f.paper).where(f.paper.c.report_id.in_(told)).values(note=b""))
        self._run(update(f.paper_report).where(report.id.in_(told)).values(request_salt=None))
        self._run(update(t.verification).where(done.case_id.in_(cases)).values(request=b"", request_salt=None))
        marked = {"wrapped_key": b"", "shredded_at": now} | ({"erased_at": now} if erased else {})
        self._run(update(t.case_file).where(case.id.in_(cases)).values(marked))
        return gone

    def renew_case_key(self, case: str, wrapped_key: bytes) -> bool:
        """Give a case whose key was destroyed by expiry a new one."""
        row = t.case_file.c
        return self._added(
            update(t.case_file)
            .where(row.id == case, row.wrapped_key == b"", row.erased_at.is_(None))
            .values(wrapped_key=wrapped_key, shredded_at=None)
        )

    # --- witnesses

    def checkpoint_at(self, size: int) -> str | None:
        """The checkpoint of this size as we signed it."""
        head = t.log_checkpoint.c
        found: str | None = self._run(select(head.note).where(head.size == size)).scalar_one_or_none()
        return found

    def add_cosignature(self, size: int, witness: str, line: str, now: datetime) -> bool:
        """Keep a witness's line under a checkpoint; False where it has one there already."""
        row = {"size": size, "witness": witness, "line": line, "signed_at": now}
        return self._added(self._sql.once(p.log_cosignature), **row)

    def witness_line(self, witness: str) -> str | None:
        """The newest line that was handed in under a witness's name."""
        given = p.log_cosignature.c
        newest = select(given.line).where(given.witness == witness).order_by(given.size.desc()).limit(1)
        found: str | None = self._run(newest).scalar_one_or_none()
        return found

    def witnessed_checkpoint(self) -> str | None:
        """The newest checkpoint that a witness has signed, with the lines of all who did."""
        given, head = p.log_cosignature.c, t.log_checkpoint.c
        newest = select(func.max(given.size)).scalar_subquery()
        both = t.log_checkpoint.join(p.log_cosignature, given.size == head.size)
        found = select(head.note, given.line).select_from(both).where(head.size == newest).order_by(given.witness)
        rows = self._run(found).all()
        return rows[0].note + "".join(row.line for row in rows) if rows else None

    # --- the subject's view

    def add_embargo(self, embargo: Embargo) -> None:
        """An embargo that nobody has approved yet."""
        said = asdict(embargo)
        row = {"client_id": said.pop("client"), "case_number": said.pop("case"), **said}
        self._run(self._sql.once(p.embargo), **row)

    def embargo(self, number: str) -> Embargo | None:
        """An embargo, locked until this transaction ends."""
        row = self._run(_EMBARGOES.where(p.embargo.c.id == number).with_for_update()).one_or_none()
        return None if row is None else Embargo(*row)

    def find_embargo(self, number: str) -> Embargo | None:
        """An embargo as it stands, for reading."""
        row = self._run(_EMBARGOES.where(p.embargo.c.id == number)).one_or_none()
        return None if row is None else Embargo(*row)

    def approve_embargo(self, number: str, by: str, now: datetime) -> None:
        """Let an embargo hide what it names; the caller has locked it."""
        self._run(update(p.embargo).where(p.embargo.c.id == number).values(approved_by=by, approved_at=now))

    def lift_embargo(self, number: str, now: datetime) -> None:
        """Let an embargo end now; the caller has locked it."""
        self._run(update(p.embargo).where(p.embargo.c.id == number).values(until=now))

    def count_embargoes_to_approve(self, now: datetime) -> int:
        """How many are not over yet, and approved by nobody."""
        one = p.embargo.c
        wanted = select(func.count()).where(one.until > now, one.approved_by.is_(None))
        return int(self._run(wanted).scalar_one())

    def embargoes(self, since: datetime, limit: int) -> list[Embargo]:
        """The embargoes that end later than this, the newest first."""
        one = p.embargo.c
        found = _EMBARGOES.where(one.until > since).order_by(one.requested_at.desc(), one.id.desc()).limit(limit)
        return [Embargo(*row) for row in self._run(found)]

    def embargoes_on(self, subject: str, now: datetime) -> list[Embargo]:
        """The embargoes not over yet on this person, and on all cases."""
        one = p.embargo.c
        found = _EMBARGOES.where(one.until > now, or_(one.subject == subject, one.subject.is_(None)))
        return [Embargo(*row) for row in self._run(found)]
