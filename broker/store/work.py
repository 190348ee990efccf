"""The unit of work over SQLAlchemy Core; implements ``ports.Work`` for PostgreSQL and SQLite with the same statements.

Lock order, so that no two steps wait for each other: verifications by id first, then lookups, then everything that is
only inserted. Statements are built once; SQLAlchemy keeps their compiled form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Connection, func, select

from broker.core.authorise import Grant
from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.entry import Entry
from broker.core.envelope import Verifier
from broker.core.errors import OperatorProblem
from broker.ports import (
    AnsweredLookup,
    CaseFile,
    Claimed,
    Client,
    ClientKey,
    Draft,
    Due,
    Held,
    LogRow,
    LookupRow,
    NewDelivery,
    NewEdition,
    NewLookup,
    NewVerification,
    Policy,
    Published,
    Pulse,
    StoredVerification,
    WaitingLookup,
)
from broker.store import edition_tables as e
from broker.store import tables as t
from broker.store.audit_rows import AuditRows
from broker.store.backlog_rows import BacklogRows
from broker.store.console_rows import ConsoleRows
from broker.store.edition_rows import EditionRows
from broker.store.engine import Database
from broker.store.figures_rows import FiguresRows
from broker.store.grants_rows import GrantsRows, parties_from, parties_text
from broker.store.health_rows import HealthRows
from broker.store.own_key_rows import OwnKeyRows
from broker.store.proof_rows import ProofRows
from broker.store.session_rows import SessionRows
from broker.store.statements import Statements
from broker.store.waiting_rows import WaitingRows

ReadKey = Callable[[str, str], Verifier]  # (SPKI PEM, key id) → verifier
_STRETCH = 100_000  # entries looked through in one statement
_LOG_LOCK = 0x6C6F67  # the advisory lock under which one sequencer at a time extends the log ("log")


class SqlStore:
    """Opens units of work on one database."""

    def __init__(self, database: Database, read_key: ReadKey) -> None:
        """``read_key`` turns a registered public key into a verifier."""
        self.database = database
        self.statements = Statements(is_sqlite=database.is_sqlite)
        self.read_key = read_key

    def write(self) -> AbstractContextManager[SqlWork]:
        """A transaction that may change things."""
        return self._open(write=True)

    def read(self) -> AbstractContextManager[SqlWork]:
        """A transaction that only reads, and waits for no writer."""
        return self._open(write=False)

    @contextmanager
    def glance(self) -> Iterator[SqlWork]:
        """One reading statement, without a transaction."""
        with self.database.glance() as connection:
            yield SqlWork(connection, self.statements, self.read_key)

    @contextmanager
    def _open(self, *, write: bool) -> Iterator[SqlWork]:
        with self.database.begin(write=write) as connection:
            yield SqlWork(connection, self.statements, self.read_key)


class SqlWork(
    WaitingRows,
    GrantsRows,
    ProofRows,
    HealthRows,
    SessionRows,
    ConsoleRows,
    FiguresRows,
    AuditRows,
    EditionRows,
    OwnKeyRows,
    BacklogRows,
):
    """One transaction; see ``ports.Work`` for what the methods mean."""

    def __init__(self, connection: Connection, statements: Statements, read_key: ReadKey) -> None:
        """On a connection whose transaction is open."""
        super().__init__(connection, statements)
        self._read_key = read_key
        self._moved = False

    def pulse(self) -> Pulse:
        """The policy's version and the database's clock."""
        version, now = self._run(self._sql.pulse).one()
        return Pulse(version, t.moment_from(now), self._moved)

    def policy(self, version: int) -> Policy:
        """Everything the administrators decided, as this transaction sees it."""
        clients = {row.id: _client(row) for row in self._run(select(t.client))}
        keys = {row.key_id: self._client_key(row) for row in self._run(select(t.client_key))}
        grants = {row.id: grant_from(row) for row in self._run(select(t.access_grant).order_by(t.access_grant.c.id))}
        grants_of: dict[str, list[Grant]] = {}
        for grant in grants.values():
            grants_of.setdefault(grant.client, []).append(grant)
        standing = t.edition.c.number.not_in(select(e.edition_withdrawal.c.edition))
        editions = self._run(
            select(t.edition.c.number, t.edition.c.effective_at).where(standing).order_by(t.edition.c.number)
        )
        stopped = frozenset(one.operator for one in self.flags(open_only=True) if one.action.stops)
        numbers = [(row.number, row.effective_at) for row in editions]
        own = self._own_keys(self._read_key)
        return Policy(version, clients, keys, grants, grants_of, numbers, stopped, self.marks(), own, self.stops())

    def _client_key(self, row: Any) -> ClientKey:
        verifier = self._read_key(row.public_key, row.key_id)
        return ClientKey(row.client_id, verifier, row.not_before, row.not_after, row.revoked_at)

    def grant(self, number: str) -> Grant | None:
        """A grant as it stands, locked until this transaction ends."""
        row = self._run(select(t.access_grant).where(t.access_grant.c.id == number).with_for_update()).one_or_none()
        return None if row is None else grant_from(row)

    def edition(self, number: int) -> tuple[str, bytes]:
        """Digest and published bytes of an edition; raises ``OperatorProblem`` ``edition.none``."""
        row = self._run(select(t.edition.c.digest, t.edition.c.body).where(t.edition.c.number == number)).one_or_none()
        if row is None:
            raise OperatorProblem("edition.none", got=str(number))
        return row.digest, row.body

    def published(self) -> list[Published]:
        """Every edition, ascending."""
        columns = (t.edition.c.number, t.edition.c.digest, t.edition.c.effective_at, t.edition.c.seal)
        known = t.edition.outerjoin(e.edition_withdrawal, e.edition_withdrawal.c.edition == t.edition.c.number)
        chosen = select(*columns, e.edition_withdrawal.c.withdrawn_at).select_from(known).order_by(t.edition.c.number)
        return [Published(*row) for row in self._run(chosen)]

    def record(self, entries: Sequence[Entry]) -> None:
        """Append entries; the database queues them for their place in the log."""
        if not entries:
            return
        rows = [{"kind": one.kind, "verification_id": one.verification, "body": one.body} for one in entries]
        self._many_later(self._sql.add_entries, rows)

    # --- admit

    def spend_nonces(self, carried: Sequence[tuple[str, str]], expires_at: datetime) -> set[tuple[str, str]]:
        """Those of the (key id, nonce) pairs that no key has brought before."""
        # In one order everywhere, so that two transactions with the same nonces do not wait for each other in a ring.
        rows = [{"key_id": key, "nonce": one, "expires_at": expires_at} for key, one in sorted(set(carried))]
        return {(row.key_id, row.nonce) for row in self._many(self._sql.spend_nonces, rows)}

    def spend_nonce(self, key_id: str, nonce: str, expires_at: datetime) -> bool:
        """True the first time a key brings this nonce."""
        return bool(self._run(self._sql.spend_nonce, key_id=key_id, nonce=nonce, expires_at=expires_at).rowcount)

    def find_verifications(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], StoredVerification]:
        """What was submitted before, by (client, request id)."""
        if not names:
            return {}
        rows = self._run(
            self._sql.find_verifications,
            b_clients=self._sql.listed(sorted({client for client, _ in names})),
            b_requests=self._sql.listed(sorted({request for _, request in names})),
        )
        return {(row.client_id, row.request_id): StoredVerification(*row) for row in rows}

    def open_cases(self, cases: Sequence[CaseFile], now: datetime) -> dict[tuple[str, str], CaseFile]:
        """The cases by (client, number): as given where they are new, else as they stand."""
        given = {(one.client, one.number): one for one in reversed(cases)}  # of two with one number, the first
        rows = [
            {"id": one.id, "client_id": one.client, "number": one.number, "applicant": one.applicant,
             "parties": parties_text(one.parties), "state": one.state, "wrapped_key": one.wrapped_key,
             "opened_at": now}
            for _, one in sorted(given.items())
        ]  # fmt: skip
        opened = {row.id for row in self._many(self._sql.open_cases, rows)}
        standing = [name for name, one in given.items() if one.id not in opened]
        return given | self._cases(standing)

    def _cases(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], CaseFile]:
        found = (self._case(self._sql.case_shared, client, number) for client, number in names)
        return {(case.client, case.number): case for case in found if case is not None}

    def close_case(self, client: str, number: str, outcome: str, now: datetime) -> bool:
        """True if an open case was closed by this."""
        return bool(
            self._run(self._sql.close_case, b_client=client, b_number=number, b_outcome=outcome, b_now=now).rowcount
        )

    def find_case(self, client: str, number: str) -> CaseFile | None:
        """The case of this client and number."""
        return self._case(self._sql.case, client, number)

    def _case(self, statement: Any, client: str, number: str) -> CaseFile | None:
        row = self._run(statement, b_client=client, b_number=number).one_or_none()
        if row is None:
            return None
        return CaseFile(
            row.id, row.client_id, row.number, row.applicant, row.state, row.wrapped_key, parties_from(row.parties),
            row.erased_at is not None,
        )  # fmt: skip

    def usage(self, grants: Sequence[str], day: str) -> dict[str, int]:
        """Today's calls by grant; grants without a row have none."""
        rows = self._run(self._sql.usage, b_day=day, b_ids=self._sql.listed(grants))
        return {row.grant_id: row.calls for row in rows}

    def add_verifications(self, rows: Sequence[NewVerification], now: datetime) -> set[str]:
        """The ids of those that were added; the others' request ids were taken."""
        ordered = sorted(rows, key=lambda row: (row.client, row.request_id))
        values = [
            {"id": row.id, "client_id": row.client, "request_id": row.request_id, "request_digest": row.request_digest,
             "case_id": row.case, "edition": row.edition, "state": "admitted", "request": row.request,
             "request_salt": row.request_salt, "permits": row.permits, "admitted_at": now, "unit": row.unit}
            for row in ordered
        ]  # fmt: skip
        return {row.id for row in self._many(self._sql.add_verifications, values)}

    def add_lookups(self, rows: Sequence[NewLookup]) -> None:
        """Lookups, each due from its time on."""
        self._many_later(self._sql.add_lookups, [
            {"id": row.id, "verification_id": row.verification, "key": row.key, "source": row.source,
             "grant_id": row.grant, "about": row.about, "state": "due", "ready_at": row.ready_at, "fence": 0,
             "question": row.question, "consent_id": row.consent,
             "awaited": row.wait.awaited.value if row.wait else None, "until": row.wait.until if row.wait else None}
            for row in rows
        ])  # fmt: skip

    # --- look_up and settle

    def claim(self, source: str, limit: int, now: datetime, lease_ms: int) -> list[Claimed]:
        """Up to ``limit`` due lookups of a source, leased to us from the database's now on."""
        until = now + timedelta(milliseconds=lease_ms)
        ids = self._run(
            self._sql.claim, b_source=source, b_now=now, b_limit=limit, b_lease_until=until
        ).scalars().all()  # fmt: skip
        if not ids:
            return []
        rows = self._run(self._sql.claimed, b_ids=self._sql.listed(ids))
        return [Claimed(*row) for row in rows]

    def use_grants(self, calls: Mapping[str, int], day: str) -> dict[str, int]:
        """Count calls; returns each grant's calls of the day including these. Grants in id order, as all do."""
        return {
            grant: self._run(self._sql.use_grant, grant_id=grant, day=day, calls=calls[grant]).scalar_one()
            for grant in sorted(calls)
        }

    def hold(self, verifications: Sequence[str], lookups: Sequence[str]) -> list[Held]:
        """Lock verifications, in id order, and then these lookups of theirs, until this transaction ends."""
        rows = self._run(self._sql.hold, b_ids=self._sql.listed(verifications)).all()
        if not self._sql.is_sqlite:
            # Another worker's claim may be on its way to its commit: wait for it, and see its fence afterwards. Only
            # our own lookups, since claims skip what is locked, and their siblings must be found by theirs.
            self._run(self._sql.hold_lookups, b_ids=self._sql.listed(lookups))
        return [Held(*row) for row in rows]

    def lookups_of(self, verifications: Sequence[str]) -> list[LookupRow]:
        """Every lookup of these verifications."""
        rows = self._run(self._sql.lookups_of, b_ids=self._sql.listed(verifications))
        return [LookupRow(*row) for row in rows]

    def answer(self, rows: Sequence[AnsweredLookup]) -> None:
        """Record answers; the caller holds the verifications and has compared the fences."""
        self._many_later(self._sql.answer, [
            {"b_id": row.id, "state": "answered", "reason": row.reason, "answer": row.answer, "digest": row.digest,
             "asked_at": row.asked_at, "answered_at": row.answered_at}
            for row in rows
        ])  # fmt: skip

    def wait(self, rows: Sequence[WaitingLookup]) -> None:
        """Put lookups off; the caller holds the verifications and has compared the fences."""
        self._many_later(self._sql.wait, [
            {"b_id": row.id, "awaited": row.awaited.value, "until": row.until, "memo": row.memo,
             "ready_at": row.again_at}
            for row in rows
        ])  # fmt: skip

    def suspend(self, receipts: Mapping[str, str]) -> None:
        """Store preliminary receipts; the caller holds the verifications."""
        rows = [{"b_id": one, "state": "pending", "preliminary": receipt} for one, receipt in receipts.items()]
        self._many_later(self._sql.suspend, rows)

    def decide(self, receipts: Mapping[str, str], now: datetime) -> None:
        """Store receipts; the caller holds the verifications."""
        self._many_later(
            self._sql.decide,
            [
                {"b_id": one, "state": "decided", "receipt": receipt, "decided_at": now}
                for one, receipt in receipts.items()
            ],
        )

    # --- sweep, sequence, deliver

    def due_sources(self, now: datetime) -> list[str]:
        """Sources with a lookup that is due and not leased."""
        return list(self._run(self._sql.due_sources, b_now=now).scalars())

    def forget_nonces(self, now: datetime) -> None:
        """Drop nonces whose requests are too old to be accepted anyway."""
        self._run(self._sql.forget_nonces, b_now=now)

    def lock_log(self) -> bool:
        """Whether this transaction is the one that may extend the log."""
        if self._sql.is_sqlite:
            return True  # a write transaction is alone
        return bool(self._run(select(func.pg_try_advisory_xact_lock(_LOG_LOCK))).scalar_one())

    def log_size(self) -> int:
        """How many entries have their place."""
        return int(self._run(self._sql.log_size).scalar_one())

    def unsequenced(self, limit: int) -> list[tuple[int, bytes]]:
        """Committed entries without a place, oldest first."""
        return [(row.id, row.body) for row in self._run(self._sql.unsequenced, b_limit=limit)]

    def tiles(self, keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """Stored tiles by (level, index); those not stored yet are missing."""
        found = {}
        for level, index in keys:
            row = self._run(self._sql.tile, b_level=level, b_index=index).one_or_none()
            if row is not None:
                found[level, index] = row.hashes
        return found

    def extend_log(
        self,
        first: int,
        entries: Sequence[int],
        tiles: Mapping[tuple[int, int], bytes],
        size: int,
        note: str,
        now: datetime,
    ) -> None:
        """Give entries the places from ``first`` on, store the tiles that changed and the signed checkpoint."""
        leaves = [{"position": first + offset, "entry_id": number} for offset, number in enumerate(entries)]
        self._many_later(self._sql.add_leaves, leaves)
        self._later(self._sql.leave_queue, b_ids=self._sql.listed(entries))
        for (level, index), hashes in tiles.items():
            self._later(self._sql.put_tile, level=level, index=index, hashes=hashes)
        self._later(self._sql.add_checkpoint, size=size, note=note, signed_at=now)

    def add_deliveries(self, rows: Sequence[NewDelivery], now: datetime) -> None:
        """Deliveries, due at once."""
        self._many_later(self._sql.add_deliveries, [
            {"id": row.id, "verification_id": row.verification, "kind": row.kind, "client_id": row.client,
             "state": "due", "ready_at": now, "fence": 0, "last_code": "", "notice": row.notice}
            for row in rows
        ])  # fmt: skip

    def claim_deliveries(self, limit: int, now: datetime, lease_ms: int) -> list[Due]:
        """Up to ``limit`` due deliveries, leased to us."""
        rows = self._run(
            self._sql.claim_deliveries, b_now=now, b_limit=limit, b_lease_until=now + timedelta(milliseconds=lease_ms)
        ).all()  # fmt: skip
        receipts = {
            (row.id, kind): receipt
            for row in self._run(self._sql.receipts, b_ids=self._sql.listed([one.verification_id for one in rows]))
            for kind, receipt in (("decided", row.receipt), ("pending", row.preliminary))
        }
        return [
            Due(
                row.id,
                row.verification_id,
                row.client_id,
                row.kind,
                row.fence,
                row.notice or receipts[row.verification_id, row.kind],
            )
            for row in rows
        ]

    def finish_delivery(self, due: Due, state: str, code: str, ready_at: datetime) -> bool:
        """Record how a delivery went; False where another worker has claimed it since."""
        done = self._run(
            self._sql.finish_delivery, b_id=due.id, b_fence=due.fence, b_state=state, b_ready=ready_at, b_code=code
        )
        return bool(done.rowcount)

    # --- read

    def verification(self, number: str) -> StoredVerification | None:
        """A verification as it stands."""
        return _stored(self._run(self._sql.stored_verification, b_id=number).one_or_none())

    def decided_among(self, numbers: Sequence[str]) -> dict[str, StoredVerification]:
        """Those of these verifications that are decided or pending, by id."""
        rows = self._run(self._sql.decided_among, b_ids=self._sql.listed(numbers))
        return {row.id: StoredVerification(*row) for row in rows}

    def latest_checkpoint(self) -> str | None:
        """The newest signed checkpoint, None while the log is empty."""
        return cast("str | None", self._run(self._sql.latest_checkpoint).scalar_one_or_none())

    def latest_signing(self) -> datetime | None:
        """When the newest checkpoint was signed, None while the log is empty."""
        return cast("datetime | None", self._run(self._sql.latest_signing).scalar_one_or_none())

    def place_of(self, verification: str, kind: str) -> tuple[int | None, bytes] | None:
        """The latest entry of a kind about a verification, with its place in the log once it has one."""
        row = self._run(self._sql.place_of, b_verification=verification, b_kind=kind).one_or_none()
        return None if row is None else (row.position, row.body)

    def entries(self, start: int, stop: int) -> list[bytes]:
        """The log's entries from one place to before another."""
        return list(self._run(self._sql.entries, b_start=start, b_stop=stop).scalars())

    def log_rows(self, start: int, stop: int) -> list[LogRow]:
        """The same with everything that their rows say, in order; places without an entry are missing."""
        found = self._run(self._sql.log_rows, b_start=start, b_stop=stop)
        return [LogRow(row.position, row.kind, row.verification_id, row.body) for row in found]

    def checkpoints(self, above: int, limit: int) -> list[tuple[int, str]]:
        """Signed checkpoints of more than so many entries with the size their row says, ascending."""
        return [(row.size, row.note) for row in self._run(self._sql.checkpoints, b_above=above, b_limit=limit)]

    def stray_entry(self) -> int | None:
        """An entry that neither has a place nor waits for one; there must be none."""
        last = self._run(self._sql.last_entry).scalar_one_or_none() or 0
        for start in range(0, last + 1, _STRETCH):  # each statement well below the time that one may take
            found = self._run(self._sql.stray_entry, b_start=start, b_stop=start + _STRETCH).scalar_one_or_none()
            if found is not None:
                return int(found)
        return None

    # --- register and publish

    def add_client(self, client: Client, now: datetime) -> bool:
        """False where the id is taken."""
        return self._added(
            self._sql.add_client, id=client.id, name=client.name, unit=client.unit, state=client.state,
            callback_url=client.callback_url, roles=",".join(client.roles), units=",".join(client.units),
            created_at=now,
        )  # fmt: skip

    def add_client_key(self, key_id: str, key: ClientKey, pem: str) -> bool:
        """False where the key is registered already, by whomever."""
        return self._added(
            self._sql.add_client_key, key_id=key_id, client_id=key.client, algorithm=key.verifier.algorithm.value,
            public_key=pem, not_before=key.not_before, not_after=key.not_after,
        )  # fmt: skip

    def revoke_client_key(self, key_id: str, now: datetime) -> bool:
        """False where there is no such key, or it is revoked already."""
        return self._added(self._sql.revoke_client_key, b_id=key_id, b_now=now)

    def add_grant(self, grant: Grant) -> bool:
        """False where the id is taken."""
        scope = {
            "scenes": grant.scenes, "items": grant.items, "forms": grant.forms, "fields": grant.fields,
            "bases": grant.bases, "legal_reference": grant.legal_reference, "daily_calls": grant.daily_calls,
            "distinct_holders": grant.distinct_holders, "purpose": grant.purpose, "application": grant.application,
        }  # fmt: skip
        return self._added(
            self._sql.add_grant, id=grant.id, client_id=grant.client, source=grant.source, scope=json.dumps(scope),
            valid_from=grant.valid_from, valid_to=grant.valid_to, state=grant.state,
        )  # fmt: skip

    def add_edition(self, edition: NewEdition, now: datetime) -> bool:
        """False where another publisher was faster with this number."""
        return self._added(
            self._sql.add_edition, number=edition.number, digest=edition.digest, body=edition.body, seal=edition.seal,
            effective_at=edition.effective_at, published_at=now, published_by=edition.published_by,
        )  # fmt: skip

    def add_draft(self, draft: Draft, body: bytes) -> None:
        """A new draft."""
        self._run(self._sql.add_draft, **asdict(draft), body=body)

    def drafts(self) -> list[Draft]:
        """All drafts, the newest first."""
        return [Draft(*row) for row in self._run(self._sql.drafts)]

    def draft(self, number: str) -> tuple[Draft, bytes] | None:
        """A draft and its body, locked until this transaction ends."""
        row = self._run(self._sql.draft, b_id=number).one_or_none()
        return None if row is None else (Draft(*row[:-1]), row.body)

    def read_draft(self, number: str) -> tuple[Draft, bytes] | None:
        """A draft and its body, as it stands."""
        row = self._run(self._sql.read_draft, b_id=number).one_or_none()
        return None if row is None else (Draft(*row[:-1]), row.body)

    def change_draft(self, draft: Draft, body: bytes | None = None) -> None:
        """Keep what has become of a draft, its body where that changed; the caller has locked it."""
        changed = {} if body is None else {"body": body}
        self._run(
            self._sql.change_draft, b_id=draft.id, state=draft.state, submitted_by=draft.submitted_by,
            reviewed_by=draft.reviewed_by, review=draft.review, edition=draft.edition, digest=draft.digest,
            revision=draft.revision, editors=draft.editors, base=draft.base, **changed,
        )  # fmt: skip

    def move_policy(self) -> None:
        """Let every process read the policy again, from its next transaction on."""
        self._moved = True
        self._later(self._sql.move_policy)


def _client(row: Any) -> Client:
    return Client(row.id, row.name, row.unit, row.callback_url, row.state, tuple(row.roles.split(",")),
                  tuple(filter(None, row.units.split(","))))  # fmt: skip


def grant_from(row: Any) -> Grant:
    """A grant from its row."""
    scope = json.loads(row.scope)
    return Grant(
        id=row.id,
        client=row.client_id,
        source=row.source,
        forms=tuple(Form(form) for form in scope["forms"]),
        fields=tuple(scope["fields"]),
        bases=tuple(Basis(basis) for basis in scope["bases"]),
        legal_reference=scope["legal_reference"],
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        scenes=tuple(scope["scenes"]),
        items=tuple(scope["items"]),
        daily_calls=scope["daily_calls"],
        distinct_holders=scope.get("distinct_holders"),  # not there in grants of the first release
        state=row.state,
        suspended_by=row.suspended_by,
        purpose=scope.get("purpose", ""),
        application=scope.get("application", ""),
    )


def _stored(row: Any) -> StoredVerification | None:
    if row is None:
        return None
    return StoredVerification(*row)
