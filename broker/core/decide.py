"""Material by material: which lookups are due next, and, when none is, the decision with every step's reason.

Each need walks its replacement chain. HELD exempts. NOT_HELD ends the walk: authoritative data contradicts what is
needed, and paper does not heal that. UNKNOWN moves to the next step; it never exempts and never refuses. Where an
answer comes later, from a person or after the holder's consent, the walk stands still: the material is PENDING.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from broker.core.answer import Finding, Outcome, Reason, Wait, judge
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Mode, Replacement, RowState
from broker.core.plan import Need, Plan, lookup_of

_NO_WAITS: Final[Mapping[str, Wait]] = MappingProxyType({})
_NO_EARLIER: Final[Mapping[str, Finding | None]] = MappingProxyType({})
ACCEPTED: Final = "commitment.accepted"  # the reason of a commitment that the applicant has signed


class Kind(StrEnum):
    """What becomes of one material."""

    EXEMPT = "exempt"  # 免提交
    FALLBACK = "fallback"  # replaced in another way than by asking a source
    SUBMIT = "submit"  # 申请人提交
    NOT_MET = "not_met"  # 数据不符: the source knows that it is not so
    PENDING = "pending"  # 待核查: the answer comes later; only preliminary receipts say so


@dataclass(frozen=True, slots=True)
class Tried:
    """One step of a chain as it went."""

    mode: Mode
    reason: str  # a Reason, or the rule that kept the step from being taken
    source: str = ""
    form: str = ""
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one material, by which mode, and how it came to that."""

    need: Need
    kind: Kind
    mode: Mode
    steps: tuple[Tried, ...]
    detail: str = ""  # the commitment's text version, the issuing item, the unit that checks
    until: datetime | None = None  # PENDING: when the answer is there at the latest, or the chain goes on

    @property
    def last(self) -> Tried:
        """The step that settled it."""
        return self.steps[-1]


@dataclass(frozen=True, slots=True)
class Progress:
    """What is missing before anything can be said – answers of sources, earlier evidence –, else the decisions."""

    due: tuple[str, ...]
    decisions: tuple[Decision, ...]
    wanted: tuple[str, ...] = ()  # 复用: lookups whose earlier findings are to be looked for

    @property
    def pending(self) -> bool:
        """Whether some of the decisions are still to come."""
        return any(one.kind is Kind.PENDING for one in self.decisions)


def advance(
    plan: Plan,
    request: Request,
    permits: Mapping[str, Permit | Refusal],
    findings: Mapping[str, Finding],
    today: date,
    waits: Mapping[str, Wait] = _NO_WAITS,
    earlier: Mapping[str, Finding | None] = _NO_EARLIER,
) -> Progress:
    """How far the answers so far carry. The same inputs always give the same progress.

    ``waits`` has the lookups whose answers come later, by key; they hold up their own materials only. ``earlier`` has
    what was found before for the lookups that were wanted, None where nothing can be used again.
    """
    situation = _Situation(plan, request, permits, findings, today, waits, earlier)
    due: dict[str, None] = {}
    wanted: dict[str, None] = {}
    decisions = []
    for need in plan.needs:
        outcome = _walk(need, situation)
        if isinstance(outcome, Decision):
            decisions.append(outcome)
        else:
            (wanted if outcome.earlier else due)[outcome.key] = None
    return Progress(tuple(due), tuple(decisions), tuple(wanted))


@dataclass(frozen=True, slots=True)
class _Situation:
    """Everything that decisions are a function of."""

    plan: Plan
    request: Request
    permits: Mapping[str, Permit | Refusal]
    findings: Mapping[str, Finding]
    today: date
    waits: Mapping[str, Wait]
    earlier: Mapping[str, Finding | None]


@dataclass(frozen=True, slots=True)
class _Missing:
    """That a chain cannot go on without this lookup's answer, or without an earlier one to it."""

    key: str
    earlier: bool


def _walk(need: Need, situation: _Situation) -> Decision | _Missing:
    """The decision for one need, or what is missing for it."""
    steps: list[Tried] = []
    for step in need.material.chain:
        if step.asks_source or step.mode is Mode.REUSE:
            tried = _tried(step, need, situation)
            if isinstance(tried, _Missing):
                return _awaited(tried, step, need, steps, situation.waits)
            steps.append(tried)
            ending = _ending(tried)
            if ending is not None:
                return Decision(need, ending, step.mode, tuple(steps))
        elif step.mode is Mode.SUBMISSION:
            break
        elif _offered(step, situation.plan):
            return _replaced(step, need, steps, situation.request)
    steps.append(Tried(Mode.SUBMISSION, "submit.last-step" if steps else "submit.no-source"))
    return Decision(need, Kind.SUBMIT, Mode.SUBMISSION, tuple(steps))


def _replaced(step: Replacement, need: Need, steps: list[Tried], request: Request) -> Decision:
    """In another way than by asking: as it is offered, or, of a commitment, as the applicant has accepted it."""
    reason, signed = f"fallback.{step.mode}", request.commitments.get(need.key)
    if step.mode is Mode.COMMITMENT and signed is not None:
        if signed == step.text:
            reason = ACCEPTED
        else:
            steps.append(Tried(step.mode, "commitment.other-text"))
    steps.append(Tried(step.mode, reason, step.source or ""))
    return Decision(need, Kind.FALLBACK, step.mode, tuple(steps), step.text or step.item or step.unit)


def _tried(step: Replacement, need: Need, situation: _Situation) -> Tried | _Missing:
    """How a step went that rests on a source's answer, or the lookup without whose answer it cannot go."""
    key = lookup_of(step, need, situation.request)
    if key is None or need.holder is None:
        return _told(step, Reason.INSUFFICIENT)
    if step.state is not RowState.CONFIRMED:
        return _told(step, Reason.PROPOSED)
    permit = situation.permits[key]
    if isinstance(permit, Refusal):
        return _told(step, permit.rule)
    reused = step.mode is Mode.REUSE
    found: Mapping[str, Finding | None] = situation.earlier if reused else situation.findings
    if key not in found:
        return _Missing(key, reused)
    finding = found[key]
    if finding is None:
        return _told(step, Reason.NO_EARLIER)
    reason = judge(finding.answer, step.expect, need.holder, situation.request, situation.today)
    return _told(step, reason, finding)


def _told(step: Replacement, reason: str, finding: Finding | None = None) -> Tried:
    return Tried(step.mode, reason, step.source or "", step.form.value if step.form else "", finding)


def _awaited(
    missing: _Missing, step: Replacement, need: Need, steps: list[Tried], waits: Mapping[str, Wait]
) -> Decision | _Missing:
    """PENDING where the lookup's answer is waited for, else what is missing."""
    wait = None if missing.earlier else waits.get(missing.key)
    if wait is None:
        return missing
    return Decision(need, Kind.PENDING, step.mode, (*steps, _told(step, wait.awaited)), step.unit, wait.until)


def _ending(tried: Tried) -> Kind | None:
    if tried.finding is None:
        return None  # nothing was asked, so nothing can be held or denied
    outcome = Reason(tried.reason).outcome
    if outcome is Outcome.UNKNOWN:
        return None
    return Kind.EXEMPT if outcome is Outcome.HELD else Kind.NOT_MET


def _offered(step: Replacement, plan: Plan) -> bool:
    """A confirmed row; the result of an earlier item only where that item is part of this request."""
    if step.state is not RowState.CONFIRMED:
        return False
    if step.mode is Mode.SCENE_RESULT:
        return any(item.key == step.item for item in plan.items)
    return step.mode in {Mode.DEPARTMENT_CHECK, Mode.COMMITMENT}
