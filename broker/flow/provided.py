"""A sign-in by the identity provider: whom it vouches for, and – where that is agreed – which roles its groups give.

What the provider says of somebody's groups counts for that sign-in, for so long as the rules say. It is kept apart
from the roles given here, which it takes away only where the rules make it the master.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.entry import entry
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.people import PROVIDER, Person, require_separation
from broker.core.provided import GroupRules, Told, told_of
from broker.flow.parts import Parts, new_id
from broker.flow.people import ABSOLUTE, UNCONFIRMED, Opened, open_session
from broker.ports import Work
from broker.ports.console import Credentials, Identity

# What the entry of a refused sign-in says by ``rule``.
_RULES = {"access.unknown": "identity", "access.claims": "claims", "access.no-role": "no-role",
          "access.taken": "taken", "person.separation": "separation"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Arrival:
    """One sign-in in its transaction."""

    parts: Parts
    work: Work
    identity: Identity
    now: datetime


def sign_in_as(parts: Parts, identity: Identity) -> Opened:
    """A whole sign-in by an identity provider, whose business the factors are.

    With rules for groups: (1) what the claims say is read as agreed; (2) the roles follow, those of other sessions of
    the person at once, because every page reads them anew; (3) who has none, or whom the rules cannot be followed for,
    keeps nothing that the provider gave, and no session.

    Raises ``CallerProblem`` ``access.unknown``, ``access.no-role``; ``OperatorProblem`` ``access.claims``,
    ``access.taken``, ``person.separation``.
    """
    with parts.store.write() as work:
        now = work.pulse().now
        arrival = _Arrival(parts, work, identity, now)
        login = work.login_of_subject(identity.key)
        found = work.credentials(login) if login else None
        try:
            _require_active(found)
            person = _unruled(arrival, found) if parts.groups is None else _followed(arrival, parts.groups, found)
        except (CallerProblem, OperatorProblem) as problem:
            if found is not None:
                _kept_out(arrival, found)
            work.record([entry("sign_in_refused", now, login=login, rule=_RULES[problem.code])])
            # Crash before this commit: whoever is refused is refused again. After it: what the provider gave is gone,
            # and so are the sessions.
            work.commit()
            raise
        lasts = ABSOLUTE if parts.groups is None else min(ABSOLUTE, parts.groups.lasts)
        opened = open_session(work, person.id, "open", now, now + lasts)
        work.record([entry("signed_in", now, login=person.login, by=PROVIDER)])
        # Crash before this commit: nobody is signed in, and all roles are as they were. After it, with the answer
        # lost: the roles are as the provider says, and a session that nobody knows runs out by itself.
        work.commit()
    return opened


def _require_active(found: Credentials | None) -> None:
    if found is not None and found.person.state != "active":
        raise CallerProblem("access.unknown")


def _unruled(arrival: _Arrival, found: Credentials | None) -> Person:
    """Without rules groups give nothing, and what they gave while there were rules is gone."""
    if found is None:
        raise CallerProblem("access.unknown")
    wanted = replace(found.person, provided=())
    _give(arrival, found.person, wanted)
    return wanted


def _followed(arrival: _Arrival, rules: GroupRules, found: Credentials | None) -> Person:
    """The person as the provider's word makes them: (1), (2); a new account where the rules open accounts."""
    told = told_of(rules, arrival.identity.claims)
    here = found.person.assignments if found is not None and not rules.master else ()
    require_separation((*here, *told.assignments))
    if not (here or told.assignments):
        raise CallerProblem("access.no-role")
    if found is None:
        made = _added(arrival, told)
        return made or _followed(arrival, rules, _come_meanwhile(arrival, told))
    described = _described(arrival, rules, found, told)
    wanted = replace(described, assignments=here, provided=told.assignments)
    _give(arrival, described, wanted)
    return wanted


def _added(arrival: _Arrival, told: Told) -> Person | None:
    """An account for somebody whom nobody here has opened one for; None where login or subject has one by now."""
    if not told.login:
        raise CallerProblem("access.unknown")
    if not told.unit:
        raise OperatorProblem("access.claims", got="unit")
    work, now = arrival.work, arrival.now
    person = Person(new_id(now), told.login, told.name or told.login, told.unit, "active", (), told.assignments)
    _, wrapped = arrival.parts.vault.new_case_key()
    made = Credentials(
        person, "", must_change=False, wrapped_key=wrapped, totp=b"", totp_step=UNCONFIRMED, failures=0,
        locked_until=None, subject=arrival.identity.key,
    )  # fmt: skip
    if not work.add_person(made, now):
        return None
    work.provide(person.id, told.assignments, now)
    roles = list(map(str, person.effective))
    work.record([entry("person_added", now, login=person.login, unit=person.unit, roles=roles, by=PROVIDER)])
    return person


def _come_meanwhile(arrival: _Arrival, told: Told) -> Credentials:
    """The account that the same person's other sign-in has just opened; else the login is somebody else's for ever."""
    login = arrival.work.login_of_subject(arrival.identity.key)
    found = arrival.work.credentials(login) if login else None
    if found is None:
        raise OperatorProblem("access.taken", got=told.login)
    _require_active(found)
    return found


def _described(arrival: _Arrival, rules: GroupRules, found: Credentials, told: Told) -> Person:
    """Name and body as the provider has them by now; what it leaves out stays."""
    before = found.person
    person = replace(before, name=told.name or before.name, unit=(told.unit if rules.unit else "") or before.unit)
    if (person.name, person.unit) != (before.name, before.unit):
        arrival.work.change_credentials(replace(found, person=person))
        told_now = entry("person_described", arrival.now, login=person.login, unit=person.unit, by=PROVIDER)
        arrival.work.record([told_now])
    return person


def _give(arrival: _Arrival, before: Person, wanted: Person) -> None:
    """Let the roles be those; an entry where that changes what the person may do, or by whom."""
    work, now = arrival.work, arrival.now
    if set(wanted.provided) != set(before.provided):
        work.provide(wanted.id, wanted.provided, now)
    if set(wanted.assignments) != set(before.assignments):
        work.assign(wanted.id, wanted.assignments, PROVIDER, now)
    if set(wanted.effective) != set(before.effective):
        roles = list(map(str, wanted.effective))
        work.record([entry("person_assigned", now, login=wanted.login, roles=roles, by=PROVIDER)])


def _kept_out(arrival: _Arrival, found: Credentials) -> None:
    """(3) Nothing by the provider, nor – where it is the master – by anybody; every session of the person ends."""
    rules = arrival.parts.groups
    if rules is None or found.person.state != "active":
        return
    here = () if rules.master else found.person.assignments
    _give(arrival, found.person, replace(found.person, assignments=here, provided=()))
    arrival.work.end_sessions(found.person.id)
