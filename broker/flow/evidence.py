"""Evidence of earlier verifications: what may be used again (复用), and what was exempt in the same case before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from broker.core.answer import Finding
from broker.core.authorise import Grant, Permit, asker, still_in_force
from broker.core.case import Basis, Party
from broker.core.catalog import Mode
from broker.core.day import day_of
from broker.core.decide import Decision, Kind, Progress, advance
from broker.core.entry import Entry, entry
from broker.core.envelope import unb64
from broker.core.errors import BrokerProblem
from broker.core.plan import PlannedLookup
from broker.flow.matters import Known, Matters, about, answer_in, disputed, related_in
from broker.flow.parts import Parts
from broker.ports import Policy, Work


def progress_of(parts: Parts, work: Work, policy: Policy, matters: Matters, known: Known, now: datetime) -> Progress:
    """How far a verification has come, with such earlier evidence as its chains ask for."""
    earlier: dict[str, Finding | None] = {}
    findings = known.findings
    if policy.marks:
        findings = {key: disputed(parts, policy, matters.plan, key, one) for key, one in findings.items()}
    while True:  # a chain may reuse in several steps; each round finds what one more of them wants
        progress = advance(matters.plan, matters.request, matters.permits, findings, day_of(now), known.waits, earlier)
        if not progress.wanted:
            return progress
        earlier |= {key: _earlier(parts, work, policy, matters, key, now) for key in progress.wanted}


def _earlier(parts: Parts, work: Work, policy: Policy, matters: Matters, key: str, now: datetime) -> Finding | None:
    """The latest fresh finding about the same persons, of the same source and form, under the same grant.

    The same grant means: the same system, for the purpose that the source department has approved. It must be in force
    now, since nobody is asked who would look at it again.
    """
    planned, permit = matters.plan.lookups[key], matters.permits[key]
    if matters.request.basis is Basis.HOLDER_CONSENT:
        return None  # the holder agreed to something else, elsewhere: they are asked anew
    if not isinstance(permit, Permit) or still_in_force(policy.grants.get(permit.grant), now):
        return None
    if _is_stopped(work, policy, matters):
        return None
    fresh_since = now - timedelta(days=matters.edition.catalog.sources[planned.source].freshness_days)
    subject = about(parts.vault, planned.subject, planned.related)
    for row in work.evidence(subject, planned.source, permit.grant, fresh_since):
        if row.verification == matters.verification or not _of_form(row.key, planned):
            continue
        try:
            answer = answer_in(parts, row.lookup, row.answer, parts.vault.unwrap(row.wrapped_key))
        except BrokerProblem:
            continue  # its case was deleted: what cannot be read any more is no evidence
        fresh = answer.as_of is None or answer.as_of >= fresh_since
        if fresh and set(planned.fields) <= answer.fields.keys():
            if not _counted(parts, work, policy.grants[permit.grant], matters, planned, now):
                return None
            return Finding(answer, row.digest, row.asked_at, row.answered_at, row.verification)
    return None


def _is_stopped(work: Work, policy: Policy, matters: Matters) -> bool:
    """Whether a source would not be asked any more: then what it said before is not looked at either."""
    operator = matters.request.operator
    if policy.stopped and asker(matters.client, operator.unit, operator.id) in policy.stopped:
        return True
    case = work.find_case(matters.client, matters.request.case_number)
    return case is not None and case.state != "open"


def _counted(parts: Parts, work: Work, grant: Grant, matters: Matters, planned: PlannedLookup, now: datetime) -> bool:
    """Whether the grant's cap of persons lets the operator see these; they are counted as if they were asked about.

    Nothing is locked, since verifications are by now: two at once may go beyond the cap by their own persons.
    """
    if grant.distinct_holders is None:
        return True
    day, operator = day_of(now).isoformat(), matters.request.operator
    who = asker(matters.client, operator.unit, operator.id)
    whom = {parts.vault.pseudonym(planned.subject.subject), *related_in(parts.vault, planned.related)}
    seen = work.holders([grant.id], [who], day).get((grant.id, who), set())
    fresh = sorted(whom - seen)
    if fresh and len(seen) + len(fresh) > grant.distinct_holders:
        return False
    work.add_holders([(grant.id, who, one) for one in fresh], day)
    return True


def _of_form(key: str, planned: PlannedLookup) -> bool:
    return key.startswith(f"{planned.source}:{planned.form.value}:")


def reuses(parts: Parts, matters: Matters, decisions: Iterable[Decision], now: datetime) -> list[Entry]:
    """An entry for each material that rests on earlier evidence: whose it was, and which answer."""
    return [
        _reused(parts, matters, one, now) for one in decisions if one.kind is Kind.EXEMPT and one.mode is Mode.REUSE
    ]


def _reused(parts: Parts, matters: Matters, decision: Decision, now: datetime) -> Entry:
    finding, holder = decision.last.finding, decision.need.holder
    if finding is None or holder is None:
        raise AssertionError(decision.need.key)  # exempt by an answer about somebody
    return entry(
        "reused",
        now,
        verification=matters.verification,
        client=matters.client,
        operator=matters.request.operator.id,
        unit=matters.request.operator.unit,
        case=matters.request.case_number,
        region=matters.request.region,
        item=matters.request.item,
        scene=matters.request.scene,
        material=decision.need.key,
        source=decision.last.source,
        form=decision.last.form,
        subject=parts.vault.pseudonym(holder.subject),
        related=related_in(parts.vault, _beside(matters, decision)),
        answer=finding.digest,
        origin=finding.origin,
    )


def _beside(matters: Matters, decision: Decision) -> Party | None:
    """The second person of the question that an earlier answer saves."""
    last, need = decision.last, decision.need.key
    planned = matters.plan.lookups.values()
    return next((one.related for one in planned if need in one.needs and _of(one) == (last.source, last.form)), None)


def _of(planned: PlannedLookup) -> tuple[str, str]:
    return planned.source, planned.form.value


def exempt_before(work: Work, matters: Matters, decisions: Sequence[Decision]) -> Mapping[str, str]:
    """Materials that a receipt of the case found exempt and this decision does not, and whose receipt it was.

    Preliminary receipts count, this verification's own too: somebody was told. Whether a source was asked says nothing,
    for another edition may have taken it out of the chain.
    """
    lost = {one.need.key for one in decisions if one.kind in _LESS}
    if not lost:
        return {}
    found: dict[str, str] = {}
    for verification, receipt in work.receipts_in_case_of(matters.verification):
        for material in json.loads(unb64(receipt.split(".")[1]))["materials"]:
            if material["decision"] == Kind.EXEMPT and material["material"] in lost:
                found[material["material"]] = verification
    return found


_LESS = frozenset({Kind.SUBMIT, Kind.FALLBACK})


def regressions(
    matters: Matters, decisions: Sequence[Decision], before: Mapping[str, str], now: datetime
) -> list[Entry]:
    """An entry for each material that was exempt in the case before and is not now, with the reason."""
    return [
        entry(
            "exemption_lost",
            now,
            verification=matters.verification,
            client=matters.client,
            case=matters.request.case_number,
            material=one.need.key,
            origin=before[one.need.key],
            outcome=one.kind.value,
            reason=str((one.steps[-2] if len(one.steps) > 1 else one.last).reason),
        )
        for one in decisions
        if one.need.key in before
    ]
