"""Settle: a verification whose lookups are all answered is decided and its receipt signed – or its chains go on.

Where the only answers missing are those that come later, it is pending: a preliminary receipt says what is known.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.core.answer import Answer, Awaited, Finding, Reason, Wait
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request, request_from
from broker.core.catalog import Edition
from broker.core.day import day_of
from broker.core.decide import Decision, Kind, advance
from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem
from broker.core.plan import Plan, plan, question
from broker.core.receipt import Circumstances, receipt_digest, receipt_payload, sign_receipt
from broker.flow.parts import Parts, new_id
from broker.flow.questions import question_bytes
from broker.log import fault
from broker.ports import Client, Held, LookupRow, NewDelivery, NewLookup, Policy, Work

SALT_BYTES = 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Matters:
    """A verification with everything its decision is a function of."""

    verification: str
    client: str
    request_digest: str
    applicant: str
    request: Request
    edition: Edition
    plan: Plan
    permits: Mapping[str, Permit | Refusal]
    preliminary: str | None = None  # the receipt that was issued while answers were waited for


@dataclass(frozen=True, slots=True)
class Heard:
    """What the caller has heard and is recording.

    Every lookup of the held verifications as it stood before, the findings it adds and the lookups it puts off (both by
    lookup id), and its entries, which are recorded before those of the decisions.
    """

    rows: Sequence[LookupRow]
    findings: MutableMapping[str, Finding]
    entries: MutableSequence[Entry]
    waits: MutableMapping[str, Wait]

    def wait(self, row: LookupRow) -> Wait | None:
        """What a lookup without an answer waits for, None where it is still to be asked."""
        if row.awaited is None or row.until is None:
            return self.waits.get(row.id)
        return self.waits.get(row.id) or Wait(Awaited(row.awaited), row.until)


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling adds to the transaction."""

    entries: list[Entry]
    receipts: dict[str, str]
    preliminary: dict[str, str]
    lookups: list[NewLookup]
    deliveries: list[NewDelivery]


def settle(
    parts: Parts,
    work: Work,
    policy: Policy,
    held: Sequence[Held],
    heard: Heard,
    now: datetime,
) -> list[NewLookup]:
    """Take every held verification as far as its answers carry, in the caller's transaction; returns new lookups."""
    by_verification: dict[str, list[LookupRow]] = {}
    for row in heard.rows:
        by_verification.setdefault(row.verification, []).append(row)
    settled, fresh = Settled(list(heard.entries), {}, {}, [], []), heard.findings
    for one in held:
        theirs = by_verification[one.id]
        answered = [row for row in theirs if row.id in fresh or row.state == "answered"]
        waits = {row.key: wait for row in theirs if row not in answered and (wait := heard.wait(row)) is not None}
        if one.state != "decided" and len(answered) + len(waits) == len(theirs):
            try:
                key = parts.vault.unwrap(one.wrapped_key)
                findings = {row.key: fresh.get(row.id) or _finding(parts, row, key) for row in answered}
                matters = _matters(parts, work, one, key)
            except BrokerProblem as problem:  # damaged or destroyed: it must not take the others' answers with it
                fault(_log, "a verification cannot be read", problem, verification=one.id)
                continue
            _settle_one(parts, policy.clients[one.client], matters, key, Known(findings, waits), now, settled)
    work.suspend(settled.preliminary)
    work.decide(settled.receipts, now)
    work.add_lookups(settled.lookups, now)
    work.add_deliveries(settled.deliveries, now)
    work.record(settled.entries)
    return settled.lookups


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a verification's lookups, by key: their findings, and those whose answers come later."""

    findings: Mapping[str, Finding]
    waits: Mapping[str, Wait]


def _settle_one(
    parts: Parts,
    client: Client,
    matters: Matters,
    key: bytes,
    known: Known,
    now: datetime,
    settled: Settled,
) -> None:
    progress = advance(matters.plan, matters.request, matters.permits, known.findings, day_of(now), known.waits)
    if progress.due:
        settled.lookups.extend(due_lookups(parts, matters, progress.due, client.name, key, now))
        return
    if progress.pending and matters.preliminary is not None:
        return  # what is known of it stands in the preliminary receipt; the rest, in the final one
    receipt, told = conclude(parts, matters, progress.decisions, now)
    (settled.preliminary if progress.pending else settled.receipts)[matters.verification] = receipt
    settled.entries.append(told)
    if client.callback_url:
        settled.deliveries.append(NewDelivery(new_id(now), matters.verification, client.id, told.kind))


def conclude(parts: Parts, matters: Matters, decisions: Sequence[Decision], now: datetime) -> tuple[str, Entry]:
    """The signed receipt, and the entry that names it: of the kind pending while some answers are to come."""
    circumstances = Circumstances(
        issuer=parts.issuer,
        verification=matters.verification,
        client=matters.client,
        request_digest=matters.request_digest,
        applicant=matters.applicant,
        log=parts.log_origin,
        decided_at=now,
        supersedes=receipt_digest(matters.preliminary) if matters.preliminary else "",
    )
    payload = receipt_payload(circumstances, matters.edition, matters.plan, matters.request, decisions)
    receipt = sign_receipt(payload, parts.signer)
    pending = any(one.kind is Kind.PENDING for one in decisions)
    told = entry(
        "pending" if pending else "decided",
        now,
        verification=matters.verification,
        client=matters.client,
        case=matters.request.case_number,
        edition=matters.edition.number,
        receipt=receipt_digest(receipt),
        materials={one.need.key: f"{one.kind.value} {one.last.reason}" for one in decisions},
    )
    return receipt, told


def _matters(parts: Parts, work: Work, held: Held, key: bytes) -> Matters:
    """Plan again: the plan is a pure function of the edition and the request, so nothing of it needs keeping."""
    edition = parts.edition(work, held.edition)
    request = request_from(json.loads(parts.vault.decrypt(key, held.request, held.id)))
    permits = {
        name: Permit(one["grant"]) if "grant" in one else Refusal(one["rule"])
        for name, one in json.loads(held.permits).items()
    }
    return Matters(
        verification=held.id,
        client=held.client,
        request_digest=held.request_digest,
        applicant=held.applicant,
        request=request,
        edition=edition,
        plan=plan(edition, request, day_of(held.admitted_at)),
        permits=permits,
        preliminary=held.preliminary,
    )


def _finding(parts: Parts, row: LookupRow, key: bytes) -> Finding:
    if row.answer is None or row.digest is None or row.asked_at is None or row.answered_at is None:
        raise AssertionError(row.id)  # an answered lookup has them all; the table's constraint sees to it
    body = parts.vault.decrypt(key, row.answer, row.id)[SALT_BYTES:]
    return Finding(answer_from(body), row.digest, row.asked_at, row.answered_at)


def answer_from(body: bytes) -> Answer:
    """An answer from the bytes ``core.answer.answer_bytes`` made of it."""
    document = json.loads(body)
    as_of = datetime.fromisoformat(document["as_of"]) if document["as_of"] else None
    return Answer(Reason(document["reason"]), document["fields"], document["holder"], as_of, document["code"])


def due_lookups(
    parts: Parts, matters: Matters, keys: Sequence[str], system: str, case_key: bytes, now: datetime
) -> list[NewLookup]:
    """The lookups of these keys, each with its question sealed under the case's key."""
    return [_lookup(parts, matters, key, system, case_key, now) for key in keys]


def _lookup(parts: Parts, matters: Matters, key: str, system: str, case_key: bytes, now: datetime) -> NewLookup:
    permit, number = matters.permits[key], new_id(now)
    if isinstance(permit, Refusal):
        raise TypeError(key)  # advance makes only permitted lookups due
    planned = matters.plan.lookups[key]
    asked = question(matters.plan, planned, number, matters.request, system, matters.edition.catalog)
    sealed = parts.vault.encrypt(case_key, question_bytes(asked), number)
    return NewLookup(number, matters.verification, key, planned.source, permit.grant, sealed)
