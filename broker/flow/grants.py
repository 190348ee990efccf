"""Grants: a using department applies, the source department decides; what was given is renewed, suspended, revoked.

Applicant and decider are different people of different departments. The systems that sign vouch for both: an approval
system for whom it applies, a source department's system for its own people, the centre's platform for everybody who
signs in there. Each step is one transaction with its entry.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import orjson

from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED
from broker.core.catalog import Catalog
from broker.core.day import day_of
from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem
from broker.core.grant_application import (
    Actor,
    Application,
    ApplicationState,
    Scope,
    Trim,
    after,
    approve,
    check_actor,
    check_decider,
    check_owner,
    check_reason,
    check_renewal,
    check_scope,
    due_on,
    grant_of,
    needs_reminder,
    refuse,
    renewals_of,
    taken_away,
)
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow.admit import check_unit
from broker.flow.caller import Caller, Identify, identified
from broker.flow.parts import Parts, new_id
from broker.ports import Client, Policy, Pulse, Work

_FROM = {SUSPENDED: (IN_FORCE,), REVOKED: (IN_FORCE, SUSPENDED), IN_FORCE: (SUSPENDED,)}  # what may become this


@dataclass(frozen=True, slots=True)
class Wish:
    """What a using department wants: for which system, of which source; ``renews`` names the grant it continues."""

    client: str
    source: str
    scope: Scope
    renews: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the source department decides, and why."""

    approve: bool
    reason: str
    trim: Trim = field(default_factory=Trim)


@dataclass(frozen=True, slots=True)
class Vouched:
    """What the console knows of somebody: whether they are the centre's, and the departments they speak for by name."""

    centre: bool
    departments: Collection[str] = ()


def apply(parts: Parts, wish: Wish, actor: Actor, identify: Identify | None = None) -> Application:
    """Keep an application; its deadline runs from today.

    Raises ``CallerProblem``: ``application.scope``, ``application.withheld``, ``application.renewal``, ``request.unit``
    where the system that signs does not act for the applicant's department.
    """
    check_actor(actor)
    with parts.store.write() as work:
        pulse = work.pulse()
        policy, caller = _identified(parts, work, pulse, identify)
        if caller is not None:
            check_unit(caller.client, actor.unit)  # else its own department could decide what it applies for
        catalog = parts.edition_in_force(work, policy, pulse.now).catalog
        check_scope(catalog, wish.source, wish.scope)
        source = catalog.sources[wish.source]
        due, certain = due_on(parts.calendar, pulse.now, source.sharing, parts.terms)
        made = Application(
            new_id(pulse.now), ApplicationState.APPLIED, caller.client.id if caller else wish.client, wish.source,
            wish.scope, actor, pulse.now, source.unit, due, certain, wish.renews,
        )  # fmt: skip
        if made.client not in policy.clients:
            raise CallerProblem("application.scope", got=made.client, pointer="/client")
        if made.renews:
            check_renewal(made, policy.grants.get(made.renews))
        work.add_application(made)
        work.record([_applied(made, caller)])
        # Crash before this commit: nobody has applied. After it, and with the answer lost: who applies again has two
        # applications, and the source department sees both.
        work.commit()
    return made


def decide(
    parts: Parts, number: str, verdict: Verdict, decider: Actor, identify: Identify | None = None,
    vouched: Vouched | None = None,
) -> Application:  # fmt: skip
    """Approve, trim or refuse; what is approved is a grant at once, in force within its validity.

    ``vouched``: what the console knows of the decider; None where an administrator types, or a system signs.

    Raises ``CallerProblem``: ``application.unknown``, ``application.state``, ``application.self-approval``,
    ``application.owner``, ``application.reason``, ``application.widened``, and what ``apply`` raises.
    """
    check_actor(decider)
    with parts.store.write() as work:
        pulse = work.pulse()
        policy, caller = _identified(parts, work, pulse, identify)
        found = work.application(number)
        if found is None:
            raise CallerProblem("application.unknown", got=number)
        catalog = parts.edition_in_force(work, policy, pulse.now).catalog
        found = replace(found, owner=_owner(catalog, found.source))
        check_decider(found, decider, verdict.reason)
        _speaks_for(caller, decider, found.owner)
        _console_lets(vouched, decider, catalog, found.source)
        if verdict.approve:
            decided = approve(found, decider, verdict.reason, verdict.trim, pulse.now)
            if found.renews:
                # It may have been revoked since, or be just now: whoever takes it away waits for us, and then sees
                # what renews it.
                decided = after(decided, check_renewal(found, work.grant(found.renews)))
            entries = _given(work, catalog, decided, pulse)
        else:
            decided, entries = refuse(found, decider, verdict.reason, pulse.now), []
        work.change_application(decided)
        work.record([_decided(decided, caller), *entries])
        # Crash before this commit: it is undecided. After it: it is decided, and its grant in force for every process
        # from its next transaction on; who decides again is told so.
        work.commit()
    return decided


def withdraw(
    parts: Parts, grant: str, state: str, reason: str, actor: Actor, identify: Identify | None = None,
    vouched: Vouched | None = None,
) -> None:  # fmt: skip
    """Suspend, revoke or restore a grant, effective at once: lookups already queued under it are not asked.

    By the source's department, or by the centre, which must stop over-broad access at once – and restores only what it
    has suspended itself: what the department took away, the department gives back. What renews the grant shares its
    fate, with an entry of its own. Raises ``CallerProblem``:
    ``application.grant``, ``application.grant-state``, ``application.owner``, ``application.reason``.
    """
    check_actor(actor)
    check_reason(reason)
    with parts.store.write() as work:
        pulse = work.pulse()
        policy, caller = _identified(parts, work, pulse, identify)
        found = policy.grants.get(grant)
        if found is None:
            raise CallerProblem("application.grant", got=grant)
        catalog = parts.edition_in_force(work, policy, pulse.now).catalog
        owner = _owner(catalog, found.source)
        by_centre = (vouched is not None and vouched.centre) or (caller is not None and _is_centre(caller, actor))
        if not by_centre:
            check_owner(owner, actor)
            _speaks_for(caller, actor, owner)
            _console_lets(vouched, actor, catalog, found.source)
        if state == IN_FORCE and by_centre and found.suspended_by != Role.CENTRE and actor.unit != owner:
            raise CallerProblem("application.owner", got=Role.CENTRE.value, expected=owner or found.suspended_by)
        who = Role.CENTRE.value if by_centre else actor.unit
        if found.state not in _FROM[state] or not work.change_grant_state(grant, found.state, state, who):
            raise CallerProblem("application.grant-state", got=found.state, expected=" or ".join(_FROM[state]))
        work.move_policy()
        told = {"grant": grant, "by": actor.by, "unit": actor.unit, "comment": reason, **_signed(caller)}
        work.record([entry(f"grant_{state}", pulse.now, **told)])
        work.record(follow(work, grant, state, who, pulse.now))
        # Crash before this commit: the grant is as it was. After it: no process asks under it from its next claim on.
        work.commit()


def follow(work: Work, grant: str, state: str, by: str, now: datetime) -> list[Entry]:
    """Let what renews a grant share its fate, in the same transaction; an entry for each, which names what it renews.

    The caller has changed the grant, and so waited for whoever was just renewing it: what they gave is read here.
    Restored is only what was suspended by the same; what stands as it should already is left.
    """
    told = []
    for name in renewals_of(grant, work.applications()):
        one = work.grant(name)
        if one is None or one.state not in _FROM[state] or (state == IN_FORCE and one.suspended_by != by):
            continue
        if work.change_grant_state(name, one.state, state, by):
            work.move_policy()
            told.append(entry(f"grant_{state}", now, grant=name, client=one.client, source=one.source, renews=grant))
    return told


def visible(client: Client, found: Sequence[Application]) -> list[Application]:
    """The applications that concern a system: its own, its department's sources', or all for centre and auditors."""
    if {Role.CENTRE, Role.AUDITOR} & set(client.roles):
        return list(found)
    decides = Role.SOURCE in client.roles
    return [one for one in found if one.client == client.id or (decides and one.owner == client.unit)]


def remind(parts: Parts) -> list[str]:
    """Remind of what is due or overdue, at most once a working day each; returns the applications' ids."""
    with parts.store.write() as work:
        pulse = work.pulse()
        today = day_of(pulse.now)
        due = _due(parts, work, today)
        for one in due:
            work.change_application(replace(one, reminded_on=today))
        work.record([_reminded(one, today, pulse) for one in due])
        addresses = _addresses(parts.policy(work, pulse), due)
        # Crash before this commit: nobody was reminded, the next round does it. After it, before the callbacks: this
        # day's reminder stands in the log and in the lists only.
        work.commit()
    for url, owners in addresses.items():
        theirs = [{"id": one.id, "source": one.source, "due_on": one.due_on.isoformat(), "overdue": one.overdue(today)}
                  for one in due if one.owner in owners]  # fmt: skip
        parts.post(url, orjson.dumps({"reminder": "applications", "applications": theirs}))
    return [one.id for one in due]


def _due(parts: Parts, work: Work, today: date) -> list[Application]:
    """The applications to remind of, locked; whoever is deciding one just now is waited for, and then it is not due."""
    likely = [one for one in work.applications(open_only=True) if needs_reminder(one, parts.calendar, today)]
    locked = [found for one in likely if (found := work.application(one.id)) is not None]
    return [one for one in locked if needs_reminder(one, parts.calendar, today)]


def _addresses(policy: Policy, due: Sequence[Application]) -> dict[str, set[str]]:
    """Where reminders go, and for which owners: to the departments' systems, and to the centre for nobody's sources."""
    owners = {one.owner for one in due}
    found: dict[str, set[str]] = {}
    for client in policy.clients.values():
        theirs = {client.unit} & owners if Role.SOURCE in client.roles else set()
        theirs |= {""} & owners if Role.CENTRE in client.roles else set()
        if theirs and client.callback_url and client.state == "active":
            found.setdefault(client.callback_url, set()).update(theirs)
    return found


def _given(work: Work, catalog: Catalog, decided: Application, pulse: Pulse) -> list[Entry]:
    grant = grant_of(decided)
    if decided.given is not None:
        check_scope(catalog, decided.source, decided.given)  # the list may have changed since it was applied for
    if grant.valid_to <= pulse.now:
        raise CallerProblem("application.scope", got=moment(grant.valid_to), pointer="/valid_to")
    work.add_grant(grant)
    work.move_policy()
    return [entry("grant_registered", pulse.now, grant=grant.id, client=grant.client, source=grant.source,
                  basis_reference=grant.legal_reference, application=decided.id, renews=decided.renews)]  # fmt: skip


def _owner(catalog: Catalog, source: str) -> str:
    known = catalog.sources.get(source)
    return "" if known is None else known.unit


def _is_centre(caller: Caller, actor: Actor) -> bool:
    return Role.CENTRE in caller.client.roles and caller.client.unit == actor.unit


def _speaks_for(caller: Caller | None, actor: Actor, owner: str) -> None:
    """A department's system vouches for its own people only; the centre's for all who sign in to its platform."""
    if caller is None or Role.CENTRE in caller.client.roles:
        return
    if not owner or actor.unit != caller.client.unit:
        raise CallerProblem("application.owner", got=actor.unit, expected=owner or Role.CENTRE.value)


def _named(catalog: Catalog, source: str) -> str:
    """The name of a source's department, which the list has even where it has no code for it."""
    known = catalog.sources.get(source)
    return "" if known is None else known.authority["zh"]


def _console_lets(vouched: Vouched | None, actor: Actor, catalog: Catalog, source: str) -> None:
    """In the console: where the list gives a department no code, its people decide by its name, or the centre's."""
    if vouched is None or _owner(catalog, source):
        return
    if not vouched.centre and _named(catalog, source) not in vouched.departments:
        raise CallerProblem("application.owner", got=actor.unit, expected=Role.CENTRE.value)


def _identified(parts: Parts, work: Work, pulse: Pulse, identify: Identify | None) -> tuple[Policy, Caller | None]:
    """The policy, and who signed, their nonce spent; nobody where an administrator types at the machine itself."""
    policy = parts.policy(work, pulse)
    if identify is None:
        return policy, None
    return policy, identified(work, policy, identify, pulse.now)


def _signed(caller: Caller | None) -> Mapping[str, str]:
    return {} if caller is None else {"signer": caller.client.id, "key": caller.key_id}


def _applied(one: Application, caller: Caller | None) -> Entry:
    return entry(
        "applied", one.applied_at, application=one.id, client=one.client, source=one.source, by=one.applied.by,
        unit=one.applied.unit, scenes=list(one.asked.scenes), items=list(one.asked.items),
        fields=list(one.asked.fields), forms=list(one.asked.forms), purpose=one.asked.purpose,
        basis_reference=one.asked.legal_reference, daily_calls=one.asked.daily_calls, due_on=one.due_on.isoformat(),
        renews=one.renews, **_signed(caller),
    )  # fmt: skip


def _decided(one: Application, caller: Caller | None) -> Entry:
    if one.decided is None or one.decided_at is None:
        raise TypeError(one.state)
    return entry(
        f"application_{one.state.value}", one.decided_at, application=one.id, client=one.client, source=one.source,
        by=one.decided.by, unit=one.decided.unit, comment=one.reason, less=taken_away(one) or None, **_signed(caller),
    )  # fmt: skip


def _reminded(one: Application, today: date, pulse: Pulse) -> Entry:
    facts: dict[str, Any] = {"application": one.id, "source": one.source, "owner": one.owner}
    return entry("application_reminded", pulse.now, due_on=one.due_on.isoformat(), overdue=one.overdue(today), **facts)
