"""Explain: why a verification was asked what it was asked, and decided as it was; each view is an entry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from broker.core.entry import entry
from broker.core.envelope import unb64
from broker.core.errors import CallerProblem
from broker.core.explain import Facts, Sent, Told, explain, explain_refusal
from broker.core.roles import Role
from broker.flow.parts import Parts
from broker.ports import Client, StoredVerification, Work

MAX_REFUSALS = 100  # of one request id: a system may repeat what is refused


def explain_as(parts: Parts, number: str, by: str) -> dict[str, Any]:
    """For an administrator at the machine, who says who they are. Raises ``CallerProblem`` ``verification.unknown``."""
    with parts.store.write() as work:
        told = explained(parts, work, number, {"by": by})
        # Crash before this commit: nobody was shown anything. After it: the log says they were, even if they were not.
        work.commit()
    return told


def explain_to(parts: Parts, work: Work, number: str, client: Client, key_id: str) -> dict[str, Any]:
    """For a system that signed, in its transaction: of its own verifications, of all for the centre and auditors."""
    stored = work.verification(number)
    sees_all = {Role.CENTRE, Role.AUDITOR} & set(client.roles)
    if stored is None or (stored.client != client.id and not sees_all):
        raise CallerProblem("verification.unknown")
    return explained(parts, work, number, {"reader": client.id, "key": key_id})


def refusals_as(parts: Parts, request_id: str, by: str) -> list[dict[str, Any]]:
    """Why requests of this id were refused, of whatever system: for an administrator at the machine.

    Raises ``CallerProblem`` ``refusal.unknown``.
    """
    with parts.store.write() as work:
        told = _refusals(parts, work, request_id, None, {"by": by})
        # Crash before this commit: nobody was shown anything. After it: the log says they were, even if they were not.
        work.commit()
    return told


def refusals_to(parts: Parts, work: Work, request_id: str, client: Client, key_id: str) -> list[dict[str, Any]]:
    """For a system that signed, in its transaction: of its own requests, of all for the centre and auditors."""
    sees_all = {Role.CENTRE, Role.AUDITOR} & set(client.roles)
    return _refusals(parts, work, request_id, None if sees_all else client.id, {"reader": client.id, "key": key_id})


def _refusals(
    parts: Parts, work: Work, request_id: str, client: str | None, reader: Mapping[str, str]
) -> list[dict[str, Any]]:
    found = work.refusals_of(request_id, client, MAX_REFUSALS)
    if not found:
        raise CallerProblem("refusal.unknown")
    pulse = work.pulse()
    grants = parts.policy(work, pulse).grants
    work.record([entry("explained", pulse.now, refusal=request_id, **reader)])
    return [explain_refusal(Told(one.position, json.loads(one.body)), grants) for one in found]


def explained(parts: Parts, work: Work, number: str, reader: Mapping[str, str]) -> dict[str, Any]:
    """The explanation, with the entry that says who was given it; the caller commits."""
    stored = work.verification(number)
    if stored is None:
        raise CallerProblem("verification.unknown")
    told = explanation_of(
        parts, work, stored, [Told(place, json.loads(body)) for place, body in work.entries_about(number)]
    )
    work.record([entry("explained", work.pulse().now, verification=number, **reader)])
    return told


def explanation_of(parts: Parts, work: Work, stored: StoredVerification, entries: Sequence[Told]) -> dict[str, Any]:
    """The explanation from the entries about the verification; that it was given, the caller has recorded."""
    number = stored.id
    grants = parts.policy(work, work.pulse()).grants
    lookups = [Sent(one.id, one.key, one.state, one.fence, one.digest) for one in work.lookups_of([number])]
    return explain(
        Facts(
            {"id": stored.id, "client": stored.client, "case": stored.case_number, "state": stored.state},
            parts.edition(work, stored.edition),
            json.loads(work.permits_of(number)),
            grants,
            lookups,
            entries,
            None if stored.receipt is None else payload_of(stored.receipt),
        )
    )


def payload_of(receipt: str) -> dict[str, Any]:
    """What a receipt says; it is our own, from our own table, so it is read without verifying it."""
    payload: dict[str, Any] = json.loads(unb64(receipt.split(".")[1]))
    return payload
