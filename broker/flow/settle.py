"""Settle: a verification whose lookups are all answered is decided and its receipt signed – or its chains go on.

Where the only answers missing are those that come later, it is pending: a preliminary receipt says what is known.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broker.core.answer import Awaited, Finding, Wait
from broker.core.decide import Decision, Kind
from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem
from broker.core.receipt import Circumstances, receipt_digest, receipt_payload, sign_receipt
from broker.flow.consented import consented, told
from broker.flow.evidence import exempt_before, progress_of, regressions, reuses
from broker.flow.matters import Known, Matters, due_lookups, finding_of, matters_of
from broker.flow.parts import Parts, new_id, require_signing
from broker.flow.promises import promised
from broker.log import fault
from broker.ports import Held, LookupRow, NewDelivery, NewLookup, Policy, Work
from broker.ports.consents import Consent
from broker.ports.waiting import Promise

_log = logging.getLogger(__name__)


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


@dataclass(slots=True)
class Settled:
    """What settling adds to the transaction."""

    entries: list[Entry] = field(default_factory=list)
    receipts: dict[str, str] = field(default_factory=dict)
    preliminary: dict[str, str] = field(default_factory=dict)
    lookups: list[NewLookup] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    consents: list[Consent] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)

    def store(self, work: Work, now: datetime) -> None:
        """Write it all; the caller holds the verifications, or has just made them."""
        work.suspend(self.preliminary)
        work.decide(self.receipts, now)
        work.add_consents(self.consents)
        work.add_lookups(self.lookups)
        work.add_promises(self.promises, now)
        work.add_deliveries(self.deliveries, now)
        work.record(self.entries)


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
    settled, fresh = Settled(list(heard.entries)), heard.findings
    for one in held:
        theirs = by_verification[one.id]
        answered = [row for row in theirs if row.id in fresh or row.state == "answered"]
        waits = {row.key: wait for row in theirs if row not in answered and (wait := heard.wait(row)) is not None}
        if one.state != "decided" and len(answered) + len(waits) == len(theirs):
            try:
                key = parts.vault.unwrap(one.wrapped_key)
                findings = {row.key: fresh.get(row.id) or finding_of(parts, row, key) for row in answered}
                matters = matters_of(parts, work, one, key)
            except BrokerProblem as problem:  # damaged or destroyed: it must not take the others' answers with it
                fault(_log, "a verification cannot be read", problem, verification=one.id)
                continue
            carry_on(parts, work, policy, matters, Known(findings, waits), now, settled)
    settled.store(work, now)
    return settled.lookups


def carry_on(
    parts: Parts,
    work: Work,
    policy: Policy,
    matters: Matters,
    known: Known,
    now: datetime,
    settled: Settled,
) -> None:
    """Take one verification as far as what is known carries: lookups that are due, else a receipt with its entries.

    What follows from it is added to ``settled``, and nothing is written yet.
    """
    client = policy.clients[matters.client]
    progress = progress_of(parts, work, policy, matters, known, now)
    if progress.due:
        due = due_lookups(parts, matters, progress.due, client.name, now)
        asked = consented(parts, work, matters, due, settled.consents, now)
        settled.lookups += asked.lookups
        settled.consents += asked.consents
        settled.entries += [told("requested", one, now, verification=matters.verification) for one in asked.consents]
        if asked.waits.keys() == set(progress.due):  # nothing else is to be heard: say what is known by now
            carry_on(parts, work, policy, matters, Known(known.findings, {**known.waits, **asked.waits}), now, settled)
        return
    if progress.pending and matters.preliminary is not None:
        return  # what is known of it stands in the preliminary receipt; the rest, in the final one
    require_signing(policy, parts.signer, now)
    before = {} if progress.pending else exempt_before(work, matters, progress.decisions)
    receipt, concluded = conclude(parts, matters, progress.decisions, before, now)
    if progress.pending:
        settled.preliminary[matters.verification] = receipt
    else:
        settled.receipts[matters.verification] = receipt
        settled.entries += reuses(parts, matters, progress.decisions, now)
        settled.entries += regressions(matters, progress.decisions, before, now)
        lookups, promises, left = promised(parts, matters, progress.decisions, client.name, now)
        settled.entries += left
        settled.lookups += lookups
        settled.promises += promises
    settled.entries.append(concluded)
    if client.callback_url:
        settled.deliveries.append(NewDelivery(new_id(now), matters.verification, client.id, concluded.kind))


def conclude(
    parts: Parts, matters: Matters, decisions: Sequence[Decision], before: Mapping[str, str], now: datetime
) -> tuple[str, Entry]:
    """The signed receipt, and the entry that names it: of the kind pending while some answers are to come.

    ``before`` has the materials that were exempt earlier in the case, and by which verification.
    """
    circumstances = Circumstances(
        issuer=parts.issuer,
        verification=matters.verification,
        client=matters.client,
        request_digest=matters.request_digest,
        applicant=matters.applicant,
        log=parts.log_origin,
        decided_at=now,
        supersedes=receipt_digest(matters.preliminary) if matters.preliminary else "",
        exempt_before=before,
    )
    payload = receipt_payload(circumstances, matters.edition, matters.plan, matters.request, decisions)
    receipt = sign_receipt(payload, parts.signer)
    pending = any(one.kind is Kind.PENDING for one in decisions)
    concluded = entry(
        "pending" if pending else "decided",
        now,
        verification=matters.verification,
        client=matters.client,
        case=matters.request.case_number,
        region=matters.request.region,
        item=matters.request.item,
        scene=matters.request.scene,
        edition=matters.edition.number,
        receipt=receipt_digest(receipt),
        materials={one.need.key: f"{one.kind.value} {one.last.reason}" for one in decisions},
    )
    return receipt, concluded
