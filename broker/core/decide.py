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

from broker.core.answer import Finding, Outcome, Reason, Wait, judge
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Mode, Replacement, RowState
from broker.core.plan import Need, Plan, lookup_of

_NOTHING: Mapping[str, Wait] = MappingProxyType({})


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
    """Either lookups that are due before anything can be said, or the decisions."""

    due: tuple[str, ...]
    decisions: tuple[Decision, ...]

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
    waits: Mapping[str, Wait] = _NOTHING,
) -> Progress:
    """How far the answers so far carry. The same inputs always give the same progress.

    ``waits`` has the lookups whose answers come later, by key; they hold up their own materials only.
    """
    due: dict[str, None] = {}
    decisions = []
    for need in plan.needs:
        outcome = _walk(need, plan, request, permits, findings, today, waits)
        if isinstance(outcome, Decision):
            decisions.append(outcome)
        else:
            due[outcome] = None
    return Progress(tuple(due), tuple(decisions))


def _walk(
    need: Need,
    plan: Plan,
    request: Request,
    permits: Mapping[str, Permit | Refusal],
    findings: Mapping[str, Finding],
    today: date,
    waits: Mapping[str, Wait],
) -> Decision | str:
    """The decision for one need, or the key of the lookup that is to be asked for it."""
    steps: list[Tried] = []
    for step in need.material.chain:
        if step.asks_source:
            tried = _asked(step, need, request, permits, findings, today)
            if isinstance(tried, str):
                return _awaited(tried, step, need, steps, waits)
            steps.append(tried)
            ending = _ending(tried)
            if ending is not None:
                return Decision(need, ending, step.mode, tuple(steps))
        elif step.mode is Mode.SUBMISSION:
            break
        elif _offered(step, plan):
            steps.append(Tried(step.mode, f"fallback.{step.mode}", step.source or ""))
            return Decision(need, Kind.FALLBACK, step.mode, tuple(steps), step.text or step.item or step.unit)
    steps.append(Tried(Mode.SUBMISSION, "submit.last-step" if steps else "submit.no-source"))
    return Decision(need, Kind.SUBMIT, Mode.SUBMISSION, tuple(steps))


def _asked(
    step: Replacement,
    need: Need,
    request: Request,
    permits: Mapping[str, Permit | Refusal],
    findings: Mapping[str, Finding],
    today: date,
) -> Tried | str:
    """How a step that asks a source went, or the key of the lookup that is still to be asked."""
    key = lookup_of(step, need, request)
    source, form = step.source or "", step.form.value if step.form else ""
    if key is None or need.holder is None:
        return Tried(step.mode, Reason.INSUFFICIENT, source, form)
    if step.state is not RowState.CONFIRMED:
        return Tried(step.mode, Reason.PROPOSED, source, form)
    permit = permits[key]
    if isinstance(permit, Refusal):
        return Tried(step.mode, permit.rule, source, form)
    finding = findings.get(key)
    if finding is None:
        return key
    return Tried(step.mode, judge(finding.answer, step.expect, need.holder, request, today), source, form, finding)


def _awaited(key: str, step: Replacement, need: Need, steps: list[Tried], waits: Mapping[str, Wait]) -> Decision | str:
    """PENDING where the lookup's answer is waited for, else the lookup's key."""
    wait = waits.get(key)
    if wait is None:
        return key
    tried = Tried(step.mode, wait.awaited, step.source or "", step.form.value if step.form else "")
    return Decision(need, Kind.PENDING, step.mode, (*steps, tried), step.unit, wait.until)


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
