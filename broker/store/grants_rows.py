"""The unit of work's part for how grants come about; see ``ports.grants`` for what the methods mean."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Select, delete, exists, func, insert, select, update

from broker.core.authorise import SUSPENDED
from broker.core.grant_application import Actor, Application, ApplicationState, Scope, scope_from, scope_values
from broker.core.misuse import Action, Evidence, RuleName
from broker.ports.grants import ConductRow, Flag, Parties
from broker.store import grants_tables as g
from broker.store import proof_tables as p
from broker.store import tables as t
from broker.store.rows import Rows

# How a case ends without a decision, as one that was opened only to look would.
_UNDECIDED = frozenset(("terminated", "withdrawn"))


class GrantsRows(Rows):
    """One transaction's methods for how grants come about."""

    def holders(self, grants: Collection[str], operators: Collection[str], day: str) -> dict[tuple[str, str], set[str]]:
        """About whom each operator has asked under each grant on a day, by (grant, operator)."""
        table = g.holder_usage.c
        found: dict[tuple[str, str], set[str]] = {}
        for row in self._run(
            select(table.grant_id, table.operator, table.subject).where(
                table.day == day, table.grant_id.in_(sorted(grants)), table.operator.in_(sorted(operators))
            )
        ):
            found.setdefault((row.grant_id, row.operator), set()).add(row.subject)
        return found

    def add_holders(self, asked: Sequence[tuple[str, str, str]], day: str) -> None:
        """Further (grant, operator, subject); the caller has the grants' usage locked."""
        if asked:
            rows = [{"grant_id": grant, "day": day, "operator": who, "subject": whom} for grant, who, whom in asked]
            self.connection.execute(self._sql.once(g.holder_usage), rows)

    def change_parties(self, case: str, before: Parties, after: Parties) -> bool:
        """False where the case's parties are no longer those from before."""
        standing = (t.case_file.c.id == case, t.case_file.c.parties == parties_text(before))
        return self._added(update(t.case_file).where(*standing).values(parties=parties_text(after)))

    def add_application(self, application: Application) -> None:
        """A new application."""
        self._run(insert(g.grant_application), **_application_row(application))

    def application(self, number: str) -> Application | None:
        """An application; in a writing transaction locked until it ends."""
        found = select(g.grant_application).where(g.grant_application.c.id == number)
        row = self._run(self._held(found)).one_or_none()
        return None if row is None else _application(row)

    def applications(self, *, open_only: bool = False, decided: int | None = None) -> list[Application]:
        """All applications, or those that nobody has decided yet, the newest first.

        With ``decided``: those that nobody has decided yet, and then so many of the others.
        """
        table, applied = g.grant_application, ApplicationState.APPLIED.value
        found = select(table).order_by(table.c.applied_at.desc(), table.c.id.desc())
        waiting, others = found.where(table.c.state == applied), found.where(table.c.state != applied).limit(decided)
        chosen = [found] if decided is None and not open_only else [waiting] if open_only else [waiting, others]
        return [_application(row) for one in chosen for row in self._run(one)]

    def change_application(self, application: Application) -> None:
        """Keep what has become of an application; the caller has locked it."""
        one = g.grant_application.c.id == application.id
        self._run(update(g.grant_application).where(one).values(_application_row(application)))

    def change_grant_state(self, grant: str, before: str, after: str, by: str) -> bool:
        """False where the grant's state is no longer the one from before."""
        standing = (t.access_grant.c.id == grant, t.access_grant.c.state == before)
        return self._added(
            update(t.access_grant).where(*standing).values(state=after, suspended_by=by if after == SUSPENDED else "")
        )

    def permits_of(self, verification: str) -> str:
        """What was permitted at admission, as JSON: lookup key → grant or rule."""
        return str(self._run(select(t.verification.c.permits).where(t.verification.c.id == verification)).scalar_one())

    def entries_about(self, verification: str) -> list[tuple[int | None, bytes]]:
        """Every entry about a verification in the order they were written, each with its place once it has one."""
        told = select(t.log_leaf.c.position, t.entry.c.body).select_from(
            t.entry.outerjoin(t.log_leaf, t.log_leaf.c.entry_id == t.entry.c.id)
        )
        rows = self._run(told.where(t.entry.c.verification_id == verification).order_by(t.entry.c.id))
        return [(row.position, row.body) for row in rows]

    def watch_from(self) -> int | None:
        """The place in the log from which conduct is looked at, locked; None where another is looking just now."""
        row = self._run(select(g.misuse_cursor.c.position).with_for_update(skip_locked=True)).one_or_none()
        return None if row is None else int(row.position)

    def conduct_in(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """The log's entries about what operators wanted, from one place to before another, each with its place."""
        told, leaf = p.log_index.c, t.log_leaf.c
        found = select(told.position, t.entry.c.body).select_from(
            p.log_index.join(t.log_leaf, leaf.position == told.position).join(t.entry, t.entry.c.id == leaf.entry_id)
        )
        rows = self._run(
            found.where(told.position >= start, told.position < stop, told.kind.in_(("admitted", "refused"))).order_by(
                told.position
            )
        )
        return [(row.position, row.body) for row in rows]

    def watched_to(self, position: int) -> None:
        """Conduct was looked at up to before this place."""
        self._run(update(g.misuse_cursor).values(position=position))

    def add_conduct(self, rows: Sequence[ConductRow]) -> None:
        """Remember what operators did."""
        if rows:
            self.connection.execute(insert(g.conduct), [_conduct_row(row) for row in rows])

    def conduct_of(self, operator: str, since: datetime, limit: int) -> list[ConductRow]:
        """An operator's latest acts, in their order."""
        table = g.conduct
        theirs = select(table).where(table.c.operator == operator, table.c.at > since)
        rows = self._run(theirs.order_by(table.c.position.desc()).limit(limit)).all()
        return [_conduct(row) for row in reversed(rows)]

    def conduct_of_body(self, body: str, since: datetime, limit: int) -> list[ConductRow]:
        """The latest acts of all operators of a system's body, in their order."""
        rows = self._run(_of_body(select(g.conduct), body, since).order_by(g.conduct.c.position.desc()).limit(limit))
        return [_conduct(row) for row in reversed(rows.all())]

    def newcomers(self, body: str, since: datetime) -> list[str]:
        """A verification of each operator of that body who was never seen before then."""
        act, before = g.conduct.c, g.conduct.alias()
        seen = select(act.operator, func.min(act.verification_id).label("first")).group_by(act.operator)
        known = exists().where(before.c.operator == act.operator, before.c.at <= since)
        return [row.first for row in self._run(_of_body(seen, body, since).having(~known).order_by(act.operator))]

    def overdue_since(self, since: datetime, until: datetime) -> list[str]:
        """The operators who asked between these times, in order."""
        act = g.conduct.c
        found = select(act.operator).where(act.at > since, act.at <= until, act.refused == "").distinct()
        return list(self._run(found.order_by(act.operator)).scalars())

    def overdue_at(self) -> datetime | None:
        """Until when cases that became overdue have been looked at."""
        found: datetime | None = self._run(select(g.misuse_cursor.c.overdue_at)).scalar_one()
        return found

    def overdue_looked(self, at: datetime) -> None:
        """They have, until then."""
        self._run(update(g.misuse_cursor).values(overdue_at=at))

    def undecided_of(self, operator: str, since: datetime, until: datetime, limit: int) -> tuple[int, list[str]]:
        """How many of an operator's cases were opened between, and one verification of each without a decision."""
        case = t.case_file
        theirs = (
            select(func.min(g.conduct.c.verification_id).label("verification"), case.c.state, case.c.outcome)
            .join(case, (case.c.client_id == g.conduct.c.client_id) & (case.c.number == g.conduct.c.case_number))
            .where(g.conduct.c.operator == operator, g.conduct.c.at > since, g.conduct.c.at <= until)
            .where(case.c.opened_at <= until, g.conduct.c.refused == "")
            .group_by(case.c.id, case.c.state, case.c.outcome)
            .limit(limit)
        )
        rows = self._run(theirs).all()
        return len(rows), sorted(row.verification for row in rows if row.state == "open" or row.outcome in _UNDECIDED)

    def added_parties(self, client: str, cases: Sequence[str], since: datetime) -> dict[str, int]:
        """How many parties later verifications added since then, by case; cases without any are missing."""
        told = p.log_index.c
        of_case = select(told.case_number, func.count().label("added")).group_by(told.case_number)
        theirs = of_case.where(told.case_number.in_(cases), told.client_id == client, told.at > since)
        rows = self._run(theirs.where(told.kind == "party_added"))
        return {row.case_number: row.added for row in rows}

    def requests_of(self, verifications: Sequence[str]) -> list[tuple[str, bytes, bytes]]:
        """Id, encrypted request and wrapped case key of these verifications."""
        sealed = select(t.verification.c.id, t.verification.c.request, t.case_file.c.wrapped_key)
        found = sealed.select_from(t.verification.join(t.case_file)).where(t.verification.c.id.in_(verifications))
        return [(row.id, row.request, row.wrapped_key) for row in self._run(found)]

    def case_states(self, verifications: Sequence[str]) -> dict[str, str]:
        """The state of each verification's case as it stands now."""
        found = select(t.verification.c.id, t.case_file.c.state).select_from(t.verification.join(t.case_file))
        rows = self._run(found.where(t.verification.c.id.in_(sorted(set(verifications)))))
        return {row.id: row.state for row in rows}

    def forget_conduct(self, before: datetime) -> None:
        """Forget what operators did before."""
        self._run(delete(g.conduct).where(g.conduct.c.at < before))

    def add_flag(self, flag: Flag) -> None:
        """A new flag."""
        self._run(
            insert(g.misuse_flag), id=flag.id, rule=flag.rule.value, client_id=flag.client, operator=flag.operator,
            action=flag.action.value, state=flag.state, raised_at=flag.raised_at,
            evidence=json.dumps(asdict(flag.evidence), ensure_ascii=False),
        )  # fmt: skip

    def flag(self, number: str) -> Flag | None:
        """A flag; in a writing transaction locked until it ends."""
        row = self._run(self._held(select(g.misuse_flag).where(g.misuse_flag.c.id == number))).one_or_none()
        return None if row is None else _flag(row)

    def flags(
        self, *, operators: Collection[str] | None = None, open_only: bool = False, cleared: int | None = None
    ) -> list[Flag]:
        """Flags, the newest first; with ``cleared``, the open ones first, and then so many of the others."""
        table = g.misuse_flag
        found = select(table).order_by(table.c.raised_at.desc(), table.c.id.desc())
        if operators is not None:
            found = found.where(table.c.operator.in_(sorted(operators)))
        standing, over = found.where(table.c.state == "open"), found.where(table.c.state == "cleared").limit(cleared)
        chosen = [found] if cleared is None and not open_only else [standing] if open_only else [standing, over]
        return [_flag(row) for one in chosen for row in self._run(one)]

    def _held(self, found: Select[Any]) -> Select[Any]:
        """PostgreSQL's readers may not lock, and say so by their isolation level; SQLite's writers are alone."""
        isolation = self.connection.get_execution_options().get("isolation_level")
        return found if self._sql.is_sqlite or isolation else found.with_for_update()

    def clear_flag(self, flag: Flag) -> None:
        """Keep that it was cleared, by whom and why; the caller has locked it."""
        change = {"state": flag.state, "cleared_by": flag.cleared_by, "cleared_at": flag.cleared_at}
        one = g.misuse_flag.c.id == flag.id
        self._run(update(g.misuse_flag).where(one).values(comment=flag.comment, **change))


def _conduct_row(row: ConductRow) -> dict[str, Any]:
    renamed = {"verification": "verification_id", "client": "client_id", "case": "case_number"}
    said = asdict(row) | {"related": json.dumps(row.related)}
    return {renamed.get(name, name): value for name, value in said.items()}


def _conduct(row: Any) -> ConductRow:
    *said, related, refused = row
    return ConductRow(*said, related=tuple(json.loads(related)), refused=refused)


def _of_body(found: Select[Any], body: str, since: datetime) -> Select[Any]:
    """What that body's operators did since; led by the time, since a day is little of what is remembered."""
    act, client = g.conduct.c, body.partition("/")[0]
    return found.where(act.at > since, act.client_id == client, act.operator.startswith(f"{body}/", autoescape=True))


def _flag(row: Any) -> Flag:
    evidence = json.loads(row.evidence)
    return Flag(
        id=row.id, rule=RuleName(row.rule), client=row.client_id, operator=row.operator, action=Action(row.action),
        state=row.state, raised_at=row.raised_at, cleared_by=row.cleared_by, cleared_at=row.cleared_at,
        comment=row.comment, evidence=Evidence(
            evidence["count"], tuple(evidence["verifications"]), evidence["case"], tuple(evidence.get("grants", ()))
        ),
    )  # fmt: skip


def _application_row(one: Application) -> dict[str, Any]:
    decided = one.decided
    return {
        "id": one.id, "state": one.state.value, "client_id": one.client, "source": one.source,
        "asked": _scope_text(one.asked), "applied_by": one.applied.by, "applied_unit": one.applied.unit,
        "applied_at": one.applied_at, "owner": one.owner, "due_on": one.due_on, "due_certain": one.due_certain,
        "renews": one.renews, "decided_by": decided and decided.by, "decided_unit": decided and decided.unit,
        "decided_at": one.decided_at, "reason": one.reason, "given": one.given and _scope_text(one.given),
        "reminded_on": one.reminded_on,
    }  # fmt: skip


def _application(row: Any) -> Application:
    return Application(
        id=row.id, state=ApplicationState(row.state), client=row.client_id, source=row.source,
        asked=_scope(row.asked), applied=Actor(row.applied_by, row.applied_unit), applied_at=row.applied_at,
        owner=row.owner, due_on=row.due_on, due_certain=row.due_certain, renews=row.renews,
        decided=Actor(row.decided_by, row.decided_unit) if row.decided_by else None, decided_at=row.decided_at,
        reason=row.reason, given=_scope(row.given) if row.given else None, reminded_on=row.reminded_on,
    )  # fmt: skip


def _scope_text(scope: Scope) -> str:
    return json.dumps(scope_values(scope), ensure_ascii=False)


def _scope(text: str) -> Scope:
    return scope_from(json.loads(text))


def parties_text(parties: Parties) -> str:
    """Parties as the table keeps them."""
    return json.dumps([list(one) for one in parties])


def parties_from(text: str) -> tuple[tuple[str, str], ...]:
    """Parties as the table kept them."""
    return tuple((role, subject) for role, subject in json.loads(text))
