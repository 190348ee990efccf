"""What the decision of a verification is a function of, read back from its rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.core.answer import Answer, Finding, Reason, Wait
from broker.core.authorise import Permit, Refusal
from broker.core.case import Party, Request, request_from
from broker.core.catalog import Edition
from broker.core.day import day_of
from broker.core.plan import Plan, plan, question
from broker.flow.parts import Parts, new_id
from broker.flow.questions import question_bytes
from broker.ports import Held, LookupRow, NewLookup, Policy, StoredVerification, Vault, Work

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Matters:
    """A verification with everything its decision is a function of."""

    verification: str
    client: str
    request_digest: str
    applicant: str
    admitted_at: datetime
    request: Request
    edition: Edition
    plan: Plan
    permits: Mapping[str, Permit | Refusal]
    key: bytes = field(repr=False)  # the case's, unwrapped
    preliminary: str | None = None  # the receipt that was issued while answers were waited for


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a verification's lookups, by key: their findings, and those whose answers come later."""

    findings: Mapping[str, Finding]
    waits: Mapping[str, Wait]


def matters_of(parts: Parts, work: Work, held: Held, key: bytes) -> Matters:
    """Plan again: the plan is a pure function of the edition and the request, so nothing of it needs keeping.

    ``key`` is the case's. Raises ``BrokerProblem`` ``key.unusable`` where the request cannot be read.
    """
    edition = parts.edition(work, held.edition)
    request = request_from(json.loads(parts.vault.decrypt(key, held.request, held.id)))
    return Matters(
        verification=held.id,
        client=held.client,
        request_digest=held.request_digest,
        applicant=held.applicant,
        admitted_at=held.admitted_at,
        request=request,
        edition=edition,
        plan=plan(edition, request, day_of(held.admitted_at)),
        permits=permits_from(held.permits),
        key=key,
        preliminary=held.preliminary,
    )


def permits_text(permits: Mapping[str, Permit | Refusal]) -> str:
    """What was permitted, by lookup key, as it is kept."""
    return json.dumps(permits_of(permits))


def permits_of(permits: Mapping[str, Permit | Refusal]) -> dict[str, dict[str, str]]:
    """The grant that permits each lookup, or the rule that refuses it."""
    return {
        key: {"grant": one.grant} if isinstance(one, Permit) else {"rule": one.rule} for key, one in permits.items()
    }


def permits_from(text: str) -> dict[str, Permit | Refusal]:
    """What ``permits_text`` kept."""
    return {
        key: Permit(one["grant"]) if "grant" in one else Refusal(one["rule"]) for key, one in json.loads(text).items()
    }


def request_salt(vault: Vault, stored: StoredVerification) -> str | None:
    """What the digest of a verification's request was salted with (hex); None where it was destroyed with its case."""
    if stored.request_salt is None or not stored.wrapped_key:
        return None
    return vault.decrypt(vault.unwrap(stored.wrapped_key), stored.request_salt, stored.id).hex()


def finding_of(parts: Parts, row: LookupRow, key: bytes) -> Finding:
    """The finding of an answered lookup, decrypted with its case's key."""
    if row.answer is None or row.digest is None or row.asked_at is None or row.answered_at is None:
        raise AssertionError(row.id)  # an answered lookup has them all; the table's constraint sees to it
    return Finding(answer_in(parts, row.id, row.answer, key), row.digest, row.asked_at, row.answered_at)


def answer_in(parts: Parts, lookup: str, sealed: bytes, key: bytes) -> Answer:
    """A lookup's answer, out of its salt and seal."""
    return answer_from(parts.vault.decrypt(key, sealed, lookup)[SALT_BYTES:])


def answer_from(body: bytes) -> Answer:
    """An answer from the bytes ``core.answer.answer_bytes`` made of it."""
    document = json.loads(body)
    as_of = datetime.fromisoformat(document["as_of"]) if document["as_of"] else None
    return Answer(Reason(document["reason"]), document["fields"], document["holder"], as_of, document["code"])


def about(vault: Vault, subject: Party, related: Party | None) -> str:
    """The pseudonym of whom a lookup is about: of the one, or of the two together."""
    return vault.pseudonym(f"{subject.subject}+{related.subject}" if related else subject.subject)


def related_in(vault: Vault, related: Party | None) -> list[str]:
    """Whom an entry names beside its subject: the second person of a question, as a pseudonym."""
    return [] if related is None else [vault.pseudonym(related.subject)]


def disputed(parts: Parts, policy: Policy, plan: Plan, key: str, finding: Finding) -> Finding:
    """The finding of a planned lookup – as UNKNOWN where its record is marked (数据异议); its digest stays as it is."""
    planned = plan.lookups.get(key)
    marks = None if planned is None else policy.marks.get(planned.source)
    if planned is None or marks is None or about(parts.vault, planned.subject, planned.related) not in marks:
        return finding
    return replace(finding, answer=Answer(Reason.OBJECTED))


def due_lookups(parts: Parts, matters: Matters, keys: Sequence[str], system: str, now: datetime) -> list[NewLookup]:
    """The lookups of these keys, due at once, each with its question sealed under the case's key."""
    return [new_lookup(parts, matters, key, system, now) for key in keys]


def new_lookup(parts: Parts, matters: Matters, key: str, system: str, now: datetime) -> NewLookup:
    """The planned and permitted lookup of a key; ``system`` is the client's name, as the source is told it."""
    permit, number = matters.permits[key], new_id(now)
    if isinstance(permit, Refusal):
        raise TypeError(key)  # advance makes only permitted lookups due
    planned = matters.plan.lookups[key]
    asked = question(matters.plan, planned, number, matters.request, system, matters.edition.catalog)
    return NewLookup(
        id=number,
        verification=matters.verification,
        key=key,
        source=planned.source,
        grant=permit.grant,
        about=about(parts.vault, planned.subject, planned.related),
        ready_at=now,
        question=parts.vault.encrypt(matters.key, question_bytes(asked), number),
    )
