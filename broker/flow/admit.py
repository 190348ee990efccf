"""Admit: a signed request becomes a planned, authorised, stored verification – or a refusal with its entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.core.authorise import Permit, Refusal, authorise
from broker.core.case import Request, request_from
from broker.core.catalog import Edition
from broker.core.day import day_of
from broker.core.decide import Progress, advance
from broker.core.entry import Entry, entry
from broker.core.envelope import parse
from broker.core.errors import BrokerProblem, CallerProblem, Problem
from broker.core.plan import Plan, plan
from broker.flow.parts import Parts, new_id
from broker.flow.settle import Matters, conclude, due_lookups
from broker.ports import CaseFile, Client, NewVerification, Policy, StoredVerification, Work

NONCE_KEPT = timedelta(minutes=2)  # twice the window in which a signature is fresh (± 30 s), so none outlives its nonce


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request, and the nonce it carried."""

    client: Client
    key_id: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """The outcome: the verification as stored, and whether this request created it."""

    verification: StoredVerification
    created: bool


@dataclass
class _Draft:
    """What admission has worked out so far."""

    now: datetime
    caller: Caller
    request: Request
    digest: str
    edition: Edition
    plan: Plan
    permits: dict[str, Permit | Refusal] = field(default_factory=dict)
    progress: Progress = field(default_factory=lambda: Progress((), ()))


Identify = Callable[[Policy, datetime], Caller]  # verifies the signature; raises CallerProblem


def admit(parts: Parts, body: bytes, identify: Identify) -> Admitted:
    """Store a verification once: the same request id and body again return the same one.

    Raises ``Problem``; a refusal of a known caller is recorded, and changes nothing else.
    """
    outcome: tuple[Admitted, list[str]] | Problem
    with parts.store.write() as work:
        pulse = work.pulse()
        policy = parts.policy(work, pulse)
        caller = identify(policy, pulse.now)
        try:
            outcome = _admit(parts, work, policy, pulse.now, caller, body)
        except Problem as problem:
            outcome = problem
        else:
            # Crash before this commit: nothing happened, the caller repeats. After it: the caller repeats and is
            # given the same verification; the lookups are due, and the sweeper wakes their workers if we cannot.
            work.commit()
    if isinstance(outcome, Problem):
        _record_refusal(parts, caller, outcome)
        raise outcome
    admitted, sources = outcome
    parts.wake.wake(sources)  # our connection is back by now: a queue that hangs must not hold it
    return admitted


def _admit(
    parts: Parts, work: Work, policy: Policy, now: datetime, caller: Caller, body: bytes
) -> tuple[Admitted, list[str]]:
    if not work.spend_nonce(caller.key_id, caller.nonce, now + NONCE_KEPT):
        raise CallerProblem("signature.replayed")
    document = parse(body)
    parts.check_request(document)
    digest = hashlib.sha256(body).hexdigest()
    before = work.find_verification(caller.client.id, document["request_id"])
    if before is not None:
        return _repeated(before, digest), []
    request = request_from(document)
    edition = parts.edition_in_force(work, policy, now)
    draft = _Draft(now, caller, request, digest, edition, plan(edition, request, day_of(now)))
    _authorise(work, policy, draft)
    return _store(parts, work, draft, body)


def _repeated(before: StoredVerification, digest: str) -> Admitted:
    if before.request_digest != digest:
        raise CallerProblem("request.conflict", got=before.request_id)
    return Admitted(before, created=False)


def _authorise(work: Work, policy: Policy, draft: _Draft) -> None:
    """Permit or refuse every lookup of the plan; where not a single one is permitted, refuse the request."""
    grants = policy.grants_of.get(draft.caller.client.id, ())
    capped = sorted(grant.id for grant in grants if grant.daily_calls is not None)
    used = work.usage(capped, day_of(draft.now).isoformat()) if capped else {}
    lookups = draft.plan.lookups
    draft.permits = {key: authorise(grants, one, draft.request, draft.now, used) for key, one in lookups.items()}
    refusals = [permit for permit in draft.permits.values() if isinstance(permit, Refusal)]
    if lookups and len(refusals) == len(lookups):
        raise CallerProblem(refusals[0].rule, got=next(iter(lookups.values())).source)
    draft.progress = advance(draft.plan, draft.request, draft.permits, {}, day_of(draft.now))


def _store(parts: Parts, work: Work, draft: _Draft, body: bytes) -> tuple[Admitted, list[str]]:
    case, key = _opened_case(parts, work, draft)
    number = new_id(draft.now)
    stored = NewVerification(
        id=number,
        client=draft.caller.client.id,
        request_id=draft.request.request_id,
        request_digest=draft.digest,
        case=case.id,
        edition=draft.edition.number,
        request=parts.vault.encrypt(key, body, number),
        permits=_permits_text(draft.permits),
    )
    if not work.add_verification(stored, draft.now):
        # Another connection was faster with the same id and has committed by now: its verification is the answer.
        winner = work.find_verification(stored.client, stored.request_id)
        if winner is None:
            raise BrokerProblem("broker.overloaded", retry_after=1)
        return _repeated(winner, draft.digest), []
    matters = Matters(number, stored.client, draft.digest, case.applicant, draft.request, draft.edition, draft.plan,
                      draft.permits)  # fmt: skip
    lookups = due_lookups(parts, matters, draft.progress.due, draft.caller.client.name, key, draft.now)
    work.add_lookups(lookups, draft.now)
    entries = [_admitted_entry(draft, number, case.applicant)]
    receipt = None
    if not lookups:  # nothing to ask: decided on the spot, by the same code
        receipt, decided = conclude(parts, matters, draft.progress.decisions, draft.now)
        entries.append(decided)
        work.decide({number: receipt}, draft.now)
    work.record(entries)
    return Admitted(_stored(draft, stored, receipt), created=True), sorted({one.source for one in lookups})


def _stored(draft: _Draft, row: NewVerification, receipt: str | None) -> StoredVerification:
    return StoredVerification(
        id=row.id,
        client=row.client,
        request_id=row.request_id,
        request_digest=row.request_digest,
        case_number=draft.request.case_number,
        edition=row.edition,
        state="decided" if receipt else "admitted",
        admitted_at=draft.now,
        decided_at=draft.now if receipt else None,
        receipt=receipt,
    )


def _opened_case(parts: Parts, work: Work, draft: _Draft) -> tuple[CaseFile, bytes]:
    """The case, opened for this applicant by its first verification, and the key of its answers."""
    request = draft.request
    applicant = parts.vault.pseudonym(request.applicant.subject)
    key, wrapped = parts.vault.new_case_key()
    fresh = CaseFile(new_id(draft.now), draft.caller.client.id, request.case_number, applicant, "open", wrapped)
    case = work.open_case(fresh, draft.now)
    if case.applicant != applicant:
        raise CallerProblem("case.applicant-differs", pointer="/applicant")
    if case.state != "open":
        raise CallerProblem("case.closed", pointer="/case/number")
    return case, key if case is fresh else parts.vault.unwrap(case.wrapped_key)


def _permits_text(permits: dict[str, Permit | Refusal]) -> str:
    return json.dumps(
        {key: {"grant": one.grant} if isinstance(one, Permit) else {"rule": one.rule} for key, one in permits.items()}
    )


def _admitted_entry(draft: _Draft, verification: str, applicant: str) -> Entry:
    request = draft.request
    return entry(
        "admitted",
        draft.now,
        verification=verification,
        client=draft.caller.client.id,
        key=draft.caller.key_id,
        operator=request.operator.id,
        unit=request.operator.unit,
        case=request.case_number,
        region=request.region,
        item=request.item,
        scene=request.scene,
        channel=request.channel.value,
        basis=request.basis.value,
        basis_reference=request.basis_reference,
        subject=applicant,
        edition=draft.edition.number,
        request=draft.digest,
        lookups=sorted(draft.progress.due),
    )


def _record_refusal(parts: Parts, caller: Caller, problem: Problem) -> None:
    """The refusal's entry and the spent nonce, nothing else."""
    with parts.store.write() as work:
        now = work.pulse().now
        work.spend_nonce(caller.key_id, caller.nonce, now + NONCE_KEPT)
        facts = {"client": caller.client.id, "key": caller.key_id, "code": problem.code, "got": problem.got}
        work.record([entry("refused", now, **facts)])
        work.commit()
