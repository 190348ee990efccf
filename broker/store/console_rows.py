"""The unit of work's part for the console; see ``ports.console`` for what the methods mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from broker.core.people import Assignment, ConsoleRole, Person, ScopeKind
from broker.ports.console import Account, Credentials, Decided, Job, Origin, Session
from broker.store import console_tables as t
from broker.store import tables
from broker.store.case_rows import CaseRows
from broker.store.objection_rows import ObjectionRows

_OPEN = ("waiting", "running")
_HERE, _PROVIDER = "here", "provider"  # who gave a role
_ORIGINS_KEPT = timedelta(days=180)  # an address from which nobody has come for so long is a stranger's again
_JOB = [t.job.c[one.name] for one in fields(Job)]


class ConsoleRows(CaseRows, ObjectionRows):
    """One transaction's methods for the console."""

    def add_person(self, credentials: Credentials, now: datetime) -> bool:
        """False where the login, or the identity provider's subject, is taken."""
        row = _row(credentials) | {"created_at": now}
        try:
            with self.connection.begin_nested():
                self._run(insert(t.person).values(**row))
        except IntegrityError:
            return False
        return True

    def people(self) -> list[Person]:
        """Everybody, by login."""
        given: dict[str, list[Any]] = {}
        for row in self._run(select(t.person_role).order_by(t.person_role.c.role, t.person_role.c.scope_value)):
            given.setdefault(row.person_id, []).append(row)
        rows = self._run(select(t.person).order_by(t.person.c.login))
        return [_person(row, given.get(row.id, ())) for row in rows]

    def accounts(self, now: datetime) -> list[Account]:
        """Everybody as the operator sees them, by login."""
        by_login = {one.login: one for one in self.people()}
        closed = select(t.sign_in_origin.c.person_id, func.count().label("places")).where(
            t.sign_in_origin.c.locked_until > now
        )
        waiting = {row.person_id: row.places for row in self._run(closed.group_by(t.sign_in_origin.c.person_id))}
        p = t.person.c
        rows = self._run(select(p.login, p.password, p.must_change, p.totp_step, p.locked_until).order_by(p.login))
        return [
            Account(by_login[row.login], bool(row.password), row.must_change, row.totp_step >= 0,
                    row.locked_until if row.locked_until and row.locked_until > now else None,
                    waiting.get(by_login[row.login].id, 0))
            for row in rows
        ]  # fmt: skip

    def origin(self, person: str, address: str) -> Origin | None:
        """What is known of sign-ins from an address."""
        its = t.sign_in_origin.c
        row = self._run(select(t.sign_in_origin).where(its.person_id == person, its.address == address)).one_or_none()
        return None if row is None else Origin(*row)

    def keep_origin(self, origin: Origin) -> None:
        """Keep it; a sign-in of before is not forgotten."""
        row = asdict(origin)
        made = (sqlite if self._sql.is_sqlite else postgresql).insert(t.sign_in_origin)
        kept = {"failures": origin.failures, "locked_until": origin.locked_until, "seen_at": origin.seen_at}
        used = func.coalesce(made.excluded.used_at, t.sign_in_origin.c.used_at)
        made = made.values(person_id=row.pop("person"), **row)
        self._run(made.on_conflict_do_update(index_elements=["person_id", "address"], set_={**kept, "used_at": used}))

    def forget_origins(self, person: str) -> None:
        """Let a person sign in from anywhere as if nobody had failed."""
        its = t.sign_in_origin.c
        self._run(update(t.sign_in_origin).where(its.person_id == person).values(failures=0, locked_until=None))

    def credentials(self, login: str) -> Credentials | None:
        """A person's credentials by login; in a writing transaction locked until it ends."""
        row = self._run(self._locked(select(t.person).where(t.person.c.login == login))).one_or_none()
        if row is None:
            return None
        return _credentials(row, self._run(select(t.person_role).where(t.person_role.c.person_id == row.id)).all())

    def login_of_subject(self, subject: str) -> str | None:
        """Whose identity an identity provider's subject is."""
        found = self._run(select(t.person.c.login).where(t.person.c.subject == subject)).scalar_one_or_none()
        return None if found is None else str(found)

    def change_credentials(self, credentials: Credentials) -> None:
        """Keep everything but the assignments; the caller has read them in this transaction."""
        row = _row(credentials)
        self._run(update(t.person).where(t.person.c.id == row.pop("id")).values(**row))

    def assign(self, person: str, assignments: Sequence[Assignment], by: str, now: datetime) -> None:
        """Let a person have these assignments and no others that were given here."""
        self._give(person, assignments, _HERE, by, now)

    def provide(self, person: str, assignments: Sequence[Assignment], now: datetime) -> None:
        """Let a person have these assignments and no others by the identity provider."""
        self._give(person, assignments, _PROVIDER, _PROVIDER, now)

    def add_session(self, session: Session) -> None:
        """Open a session."""
        row = asdict(session)
        self._run(insert(t.session).values(person_id=row.pop("person"), **row))

    def session(self, digest: str) -> tuple[Session, Person] | None:
        """A session and whose it is, assignments included: one statement, since every page begins with it."""
        joined = t.session.join(t.person).outerjoin(t.person_role)
        chosen = (t.session, t.person.c.login, t.person.c.name, t.person.c.unit, t.person.c.state,
                  t.person_role.c.role, t.person_role.c.scope_kind, t.person_role.c.scope_value,
                  t.person_role.c.origin)  # fmt: skip
        rows = self._run(select(*chosen).select_from(joined).where(t.session.c.digest == digest)).all()
        if not rows:
            return None
        row = rows[0]
        found = Session(digest, row.person_id, row.stage, row.csrf, row.created_at, row.seen_at, row.expires_at)
        given = _by_origin([one for one in rows if one.role is not None])
        return found, Person(row.person_id, row.login, row.name, row.unit, row.state, *given)

    def sessions_of(self, person: str) -> list[Session]:
        """Every session of a person, the newest first; what has run out may be among them."""
        chosen = select(t.session).where(t.session.c.person_id == person).order_by(t.session.c.created_at.desc())
        return [
            Session(row.digest, row.person_id, row.stage, row.csrf, row.created_at, row.seen_at, row.expires_at)
            for row in self._run(chosen)
        ]

    def touch_session(self, digest: str, now: datetime) -> None:
        """Note that a session was used."""
        self._run(update(t.session).where(t.session.c.digest == digest).values(seen_at=now))

    def end_session(self, digest: str) -> None:
        """Close one session."""
        self._run(delete(t.session).where(t.session.c.digest == digest))

    def end_sessions(self, person: str) -> None:
        """Close every session of a person."""
        self._run(delete(t.session).where(t.session.c.person_id == person))

    def forget_sessions(self, now: datetime, idle_before: datetime) -> None:
        """Drop what has run out, attempts and errands included."""
        over = (t.session.c.expires_at < now) | (t.session.c.seen_at < idle_before)
        self._run(delete(t.session).where(over))
        self._run(delete(t.attempt).where(t.attempt.c.window_at < idle_before))
        self._run(delete(t.errand).where(t.errand.c.expires_at < now))
        self._run(delete(t.sign_in_origin).where(t.sign_in_origin.c.seen_at < now - _ORIGINS_KEPT))

    def add_errand(self, digest: str, memory: str, expires_at: datetime) -> None:
        """Remember a browser that was sent to the identity provider."""
        self._run(insert(t.errand).values(digest=digest, memory=memory, expires_at=expires_at))

    def take_errand(self, digest: str, now: datetime) -> str | None:
        """What was remembered, once: it is gone afterwards."""
        taken = delete(t.errand).where(t.errand.c.digest == digest).returning(t.errand.c.memory, t.errand.c.expires_at)
        row = self._run(taken).one_or_none()
        return None if row is None or row.expires_at < now else str(row.memory)

    def count_attempt(self, key: str, window: datetime) -> int:
        """Count one attempt in a window, and say how many it has seen."""
        made = (sqlite if self._sql.is_sqlite else postgresql).insert(t.attempt)
        counted = made.values(key=key, window_at=window, count=1).on_conflict_do_update(
            index_elements=["key", "window_at"], set_={"count": t.attempt.c.count + 1}
        )
        return int(self._run(counted.returning(t.attempt.c.count)).scalar_one())

    def count_decided(self, after: str) -> int:
        """How many verifications whose ids come after this one are decided."""
        v = tables.verification.c
        counted = select(func.count()).select_from(tables.verification).where(v.id > after, v.state == "decided")
        return int(self._run(counted).scalar_one())

    def decided_after(self, after: str, limit: int) -> list[Decided]:
        """Decided verifications in the order of their ids, which is that of time, after this one."""
        v, case = tables.verification.c, tables.case_file.c
        joined = tables.verification.join(tables.case_file, v.case_id == case.id)
        chosen = select(v.id, v.client_id, v.edition, v.admitted_at, v.request, v.permits, case.wrapped_key)
        found = chosen.select_from(joined).where(v.id > after, v.state == "decided").order_by(v.id).limit(limit)
        return [Decided(*row) for row in self._run(found)]

    def add_job(self, job: Job) -> None:
        """A job that waits for whoever works next."""
        self._run(insert(t.job).values(**asdict(job)))

    def job(self, number: str) -> Job | None:
        """A job as it stands."""
        row = self._run(select(*_JOB).where(t.job.c.id == number)).one_or_none()
        return None if row is None else Job(*row)

    def jobs(self, kind: str, limit: int) -> list[Job]:
        """The newest jobs of a kind."""
        chosen = select(*_JOB).where(t.job.c.kind == kind).order_by(t.job.c.created_at.desc()).limit(limit)
        return [Job(*row) for row in self._run(chosen)]

    def newest_job(self, kind: str, about: str) -> Job | None:
        """The newest job of a kind about one thing."""
        chosen = select(*_JOB).where(t.job.c.kind == kind, t.job.c.about == about)
        row = self._run(chosen.order_by(t.job.c.created_at.desc(), t.job.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else Job(*row)

    def unfinished_jobs(self, owner: str) -> list[Job]:
        """What somebody has asked for that is not finished; in a writing transaction nobody adds to it meanwhile."""
        self._run(self._locked(select(t.person.c.id).where(t.person.c.login == owner)))  # one request after the other
        return [Job(*row) for row in self._run(select(*_JOB).where(t.job.c.owner == owner, t.job.c.state.in_(_OPEN)))]

    def claim_job(self, kind: str, now: datetime, lease_until: datetime) -> Job | None:
        """The oldest job of a kind that nobody works on, leased to us."""
        due = (t.job.c.kind == kind) & t.job.c.state.in_(_OPEN) & (t.job.c.ready_at <= now)
        oldest = select(t.job.c.id).where(due).order_by(t.job.c.created_at).limit(1)
        if not self._sql.is_sqlite:
            oldest = oldest.with_for_update(skip_locked=True)
        taken = update(t.job).where(t.job.c.id == oldest.scalar_subquery()).values(
            state="running", ready_at=lease_until, fence=t.job.c.fence + 1
        )  # fmt: skip
        row = self._run(taken.returning(*_JOB)).one_or_none()
        return None if row is None else Job(*row)

    def keep_job(self, job: Job) -> bool:
        """Keep what has become of a job; False where it was cancelled, or claimed by another since."""
        ours = (t.job.c.id == job.id) & (t.job.c.fence == job.fence) & (t.job.c.state == "running")
        kept = {"state": job.state, "done": job.done, "total": job.total, "result": job.result,
                "ready_at": job.ready_at}  # fmt: skip
        return self._added(update(t.job).where(ours).values(**kept))

    def cancel_job(self, number: str) -> bool:
        """True where a job that was not finished was cancelled by this."""
        unfinished = (t.job.c.id == number) & t.job.c.state.in_(_OPEN)
        return self._added(update(t.job).where(unfinished).values(state="cancelled"))

    def _give(self, person: str, assignments: Sequence[Assignment], origin: str, by: str, now: datetime) -> None:
        its = t.person_role.c
        self._run(delete(t.person_role).where(its.person_id == person, its.origin == origin))
        for one in dict.fromkeys(assignments):
            self._run(insert(t.person_role).values(
                person_id=person, role=one.role.value, scope_kind=one.kind.value, scope_value=one.value,
                given_by=by, given_at=now, origin=origin,
            ))  # fmt: skip

    def _locked(self, statement: Select[Any]) -> Select[Any]:
        """PostgreSQL's readers may not lock, and say so by their isolation level; SQLite's writers are alone."""
        isolation = self.connection.get_execution_options().get("isolation_level")
        return statement if self._sql.is_sqlite or isolation else statement.with_for_update()


def _row(credentials: Credentials) -> dict[str, Any]:
    person = credentials.person
    return {
        "id": person.id, "login": person.login, "name": person.name, "unit": person.unit, "state": person.state,
        "password": credentials.password, "must_change": credentials.must_change,
        "wrapped_key": credentials.wrapped_key, "totp": credentials.totp, "totp_step": credentials.totp_step,
        "failures": credentials.failures, "locked_until": credentials.locked_until,
        "subject": credentials.subject or None,
    }  # fmt: skip


def _credentials(row: Any, given: Sequence[Any]) -> Credentials:
    return Credentials(
        _person(row, given), row.password, row.must_change, row.wrapped_key, row.totp, row.totp_step,
        row.failures, row.locked_until, row.subject or "",
    )  # fmt: skip


def _person(row: Any, given: Sequence[Any]) -> Person:
    return Person(row.id, row.login, row.name, row.unit, row.state, *_by_origin(given))


def _by_origin(given: Sequence[Any]) -> tuple[tuple[Assignment, ...], tuple[Assignment, ...]]:
    """What was given here, and what the identity provider's groups give."""
    here, provided = (tuple(_assignment(one) for one in given if one.origin == which) for which in (_HERE, _PROVIDER))
    return here, provided


def _assignment(row: Any) -> Assignment:
    return Assignment(ConsoleRole(row.role), ScopeKind(row.scope_kind), row.scope_value)
