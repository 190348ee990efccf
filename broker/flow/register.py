"""Register: clients, their keys, grants, and the closing of cases – each change with its entry, effective at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from broker.core.authorise import IN_FORCE, REVOKED, SUSPENDED, Grant
from broker.core.catalog import Catalog
from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem, OperatorProblem
from broker.core.grant_application import withheld
from broker.core.receipt import moment
from broker.flow.admit import check_unit
from broker.flow.caller import Identify, identified
from broker.flow.grants import follow
from broker.flow.parts import Parts
from broker.ports import Client, ClientKey, Work


def register_client(parts: Parts, client: Client, by: str = "") -> None:
    """A new system, with its roles. Raises ``OperatorProblem`` ``register.exists``."""
    _change(parts, lambda work, now: work.add_client(client, now), "register.exists", client.id,
            lambda now: entry("client_registered", now, client=client.id, unit=client.unit,
                              roles=list(client.roles), units=list(client.units), by=by))  # fmt: skip


def register_key(parts: Parts, key: ClientKey, pem: str, by: str = "") -> None:
    """A further key of a client; old ones stay valid until they end or are revoked.

    Raises ``OperatorProblem`` ``register.revoked`` for one that is revoked already: nobody needs it, and an entry that
    says it was registered would mislead.
    """
    if key.revoked_at is not None:
        raise OperatorProblem("register.revoked", got=key.verifier.key_id)
    with parts.store.read() as work:
        if key.client not in parts.policy(work, work.pulse()).clients:
            raise OperatorProblem("register.unknown", got=key.client)
    number = key.verifier.key_id
    _change(parts, lambda work, _: work.add_client_key(number, key, pem), "register.exists", number,
            lambda now: entry("key_registered", now, client=key.client, key=number, by=by,
                              not_before=moment(key.not_before),
                              not_after=moment(key.not_after) if key.not_after else None))  # fmt: skip


def revoke_key(parts: Parts, key_id: str, reason: str = "", by: str = "") -> None:
    """No signature by this key counts from now on. Raises ``OperatorProblem`` ``register.unknown``."""
    with parts.store.read() as work:
        known = parts.policy(work, work.pulse()).keys.get(key_id)
    client = None if known is None else known.client
    _change(parts, lambda work, now: work.revoke_client_key(key_id, now), "register.unknown", key_id,
            lambda now: entry("key_revoked", now, client=client, key=key_id, reason=reason, by=by))  # fmt: skip


def register_grant(parts: Parts, grant: Grant, by: str = "", reason: str = "") -> None:
    """A grant that the operator writes directly, with no application; in force within its validity.

    Raises ``CallerProblem`` ``application.withheld``.
    """
    with parts.store.read() as work:
        catalog = parts.catalog_in_force(work, work.pulse())
        if catalog is not None:
            _shareable(catalog, grant)
    _change(parts, lambda work, _: work.add_grant(grant), "register.exists", grant.id,
            lambda now: entry("grant_registered", now, grant=grant.id, client=grant.client, source=grant.source,
                              basis_reference=grant.legal_reference, directly=True, by=by, comment=reason))  # fmt: skip


def _shareable(catalog: Catalog, grant: Grant) -> None:
    source = catalog.sources.get(grant.source)
    kept = source and withheld(catalog, source, grant.fields, grant.items, grant.scenes)
    if kept:
        raise CallerProblem("application.withheld", got=kept)


def set_grant_state(parts: Parts, grant: str, state: str, by: str = "", reason: str = "") -> bool:
    """The operator suspends, revokes or restores a grant directly; what is queued under it is stopped unasked.

    False where the grant is in force, or suspended, already: nothing is done, so no entry says that anything was.
    Raises ``OperatorProblem`` ``register.unknown``, and ``CallerProblem`` ``application.grant-state`` where the grant
    is revoked: that is final, for everybody.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        found = parts.policy(work, pulse).grants.get(grant)
        if found is None:
            raise OperatorProblem("register.unknown", got=grant)
        if found.state == state != REVOKED:
            return False
        if (
            state == IN_FORCE
            and not reason.strip()
            and any(grant in flag.evidence.grants for flag in work.flags(open_only=True))
        ):
            raise CallerProblem("application.reason", got=grant)  # a rule suspended it: who restores it says why
        if found.state == REVOKED or not work.change_grant_state(grant, found.state, state, "operator"):
            raise CallerProblem("application.grant-state", got=found.state, expected=f"{IN_FORCE} or {SUSPENDED}")
        work.move_policy()
        work.record([entry(f"grant_{state}", pulse.now, grant=grant, directly=True, by=by, comment=reason)])
        work.record(follow(work, grant, state, "operator", pulse.now))
        # Crash before this commit: the grant is as it was. After it: no process asks under it from its next claim on.
        work.commit()
    return True


@dataclass(frozen=True, slots=True)
class Closing:
    """How a case ended, and the person who says so: staff number and body."""

    case: str
    outcome: str
    operator: str
    unit: str


def close_case(parts: Parts, closing: Closing, identify: Identify) -> None:
    """The approval system reports the case's outcome: nothing is asked for it any more.

    Raises ``CallerProblem``: ``case.unknown``; ``case.closed`` where it is closed already; ``request.unit`` where the
    system does not act for the person's body; ``signature.replayed``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = identified(work, parts.policy(work, pulse), identify, pulse.now)
        check_unit(caller.client, closing.unit)
        if not work.close_case(caller.client.id, closing.case, closing.outcome, pulse.now):
            known = work.find_case(caller.client.id, closing.case)
            raise CallerProblem("case.closed" if known else "case.unknown", pointer="/case/number")
        work.record([entry("closed", pulse.now, client=caller.client.id, key=caller.key_id, case=closing.case,
                           outcome=closing.outcome, operator=closing.operator, unit=closing.unit)])  # fmt: skip
        work.commit()


def _change(
    parts: Parts,
    change: Callable[[Work, datetime], bool],
    failure: str,
    name: str,
    told: Callable[[datetime], Entry],
) -> None:
    """One administrator's change, its entry and the policy's new version, in one transaction."""
    with parts.store.write() as work:
        now = work.pulse().now
        if not change(work, now):
            raise OperatorProblem(failure, got=name)
        work.move_policy()
        work.record([told(now)])
        work.commit()
