"""Promises: a commitment (告知承诺) stood for an answer that no source gave; once the source is back, it is checked.

国办发〔2020〕42号: whoever accepts a commitment checks it afterwards. The check is a lookup like any other, under the
same grant and with its entries; it is asked even after the case is closed, because that is when it matters. A false
promise is told to the approval system by a signed notice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from broker.core.answer import Answer, Awaited, Finding, Outcome, Reason, Reply, Waiting, judge
from broker.core.authorise import Permit
from broker.core.case import Basis
from broker.core.catalog import Replacement, RowState
from broker.core.day import day_of
from broker.core.decide import ACCEPTED, Decision
from broker.core.entry import Entry, entry
from broker.core.envelope import canonical, seal
from broker.core.errors import BrokerProblem
from broker.core.plan import Need, lookup_of
from broker.core.receipt import moment, receipt_digest
from broker.flow.matters import Matters, disputed, matters_of, new_lookup
from broker.flow.parts import Parts, new_id, require_signing
from broker.ports import Held, LookupRow, NewDelivery, NewLookup, Policy, Work
from broker.ports.waiting import Promise, PromiseOfCase

PROMISE = "promise:"  # how the keys of lookups begin that check one
NOTICE_TYPE = "exemption-notice+jws"
FIRST_CHECK = timedelta(minutes=10)  # a source that was away is rarely back sooner
LONGEST_PAUSE = timedelta(days=1)
ATTEMPTS = 36  # doubling pauses up to a day: about a month; then a person must check


def promised(
    parts: Parts, matters: Matters, decisions: Sequence[Decision], system: str, now: datetime
) -> tuple[list[NewLookup], list[Promise], list[Entry]]:
    """The promises on which a final decision rests, the lookups that will check them, and entries for the others.

    Where no source could ever answer, the promise waits for a person (``by_hand``); that is what its entry says.
    """
    lookups: list[NewLookup] = []
    promises: list[Promise] = []
    left: list[Entry] = []
    for decision in decisions:
        if decision.last.reason != ACCEPTED:
            continue
        key = _to_check(matters, decision)
        if key is None:
            promises.append(Promise(new_id(now), matters.verification, decision.need.key, decision.detail, "by_hand"))
            left.append(_left(matters, decision, now))
            continue
        named = name_of(decision.need.key, key)
        lookup = replace(new_lookup(parts, matters, key, system, now), key=named, ready_at=now + FIRST_CHECK)
        lookups.append(lookup)
        promises.append(
            Promise(new_id(now), matters.verification, decision.need.key, decision.detail, "open", lookup.id)
        )
    return lookups, promises, left


def _left(matters: Matters, decision: Decision, now: datetime) -> Entry:
    """That a person is to check, and why no source will: the reason of the last step before the commitment."""
    before = decision.steps[-2] if len(decision.steps) > 1 else decision.last
    facts = {"client": matters.client, "case": matters.request.case_number, "material": decision.need.key}
    return entry("promise_left", now, verification=matters.verification, reason=str(before.reason), **facts)


def promises_kept_back(parts: Parts, states: Sequence[str]) -> list[PromiseOfCase]:
    """Promises of all systems in these states, the oldest first: what a person must check, or act on."""
    with parts.store.read() as work:
        return work.promises_in(states)


def name_of(need: str, key: str) -> str:
    """The lookup's key under which a planned lookup checks the promise about a need."""
    return f"{PROMISE}{need}:{key}"


def _to_check(matters: Matters, decision: Decision) -> str | None:
    """The lookup of the first step whose source may answer another time; without the holder nobody may be asked."""
    if matters.request.basis is Basis.HOLDER_CONSENT:
        return None
    for step, tried in zip(decision.need.material.chain, decision.steps, strict=False):
        if step.asks_source and tried.finding is not None and Reason(tried.reason).passes:
            return lookup_of(step, decision.need, matters.request)
    return None


def put_off(reply: Reply, attempt: int, now: datetime) -> Reply:
    """A check that met a source still away is made again later, with growing pauses, until the attempts are used up."""
    if not isinstance(reply, Answer) or not reply.reason.passes or attempt >= ATTEMPTS:
        return reply
    again = now + min(FIRST_CHECK * 2 ** min(attempt, 10), LONGEST_PAUSE)
    return Waiting(Awaited.SOURCE, again, again)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What a check found: the promise about this need is kept, broken, or for a person to check."""

    need: Need
    state: str
    reason: Reason
    finding: Finding


def keep(
    parts: Parts,
    work: Work,
    policy: Policy,
    held: Mapping[str, Held],
    found: Sequence[tuple[LookupRow, Finding]],
    now: datetime,
) -> None:
    """Judge those of the answers that check promises, in the transaction that records them, with entry and notice."""
    for row, finding in found:
        if not row.key.startswith(PROMISE):
            continue
        one = held[row.verification]
        try:
            matters = matters_of(parts, work, one, parts.vault.unwrap(one.wrapped_key))
        except BrokerProblem:
            continue  # deleted meanwhile: there is nothing left to hold the promise against
        told = disputed(parts, policy, matters.plan, row.key.split(":", 2)[2], finding)
        checked = _judged(matters, row.key, told, now)
        work.change_promise(row.id, checked.state, now)
        work.record([
            entry("promise_checked", now, verification=one.id, client=one.client, case=one.case_number,
                  material=checked.need.key, outcome=checked.state, reason=checked.reason.value, lookup=row.id,
                  answer=finding.digest)
        ])  # fmt: skip
        if checked.state != "kept" and policy.clients[one.client].callback_url:
            require_signing(policy, parts.signer, now)
            notice = seal(canonical(_notice(parts, one, matters, checked, now)), parts.signer, NOTICE_TYPE)
            kind = f"promise:{checked.need.key}"
            work.add_deliveries([NewDelivery(new_id(now), one.id, one.client, kind, notice)], now)


def _judged(matters: Matters, name: str, finding: Finding, now: datetime) -> _Checked:
    _, wanted, key = name.split(":", 2)
    need = next(one for one in matters.plan.needs if one.key == wanted)
    step = next(one for one in need.material.chain if _asks(one, need, matters, key))
    if need.holder is None:
        raise AssertionError(wanted)  # a lookup is about somebody
    reason = judge(finding.answer, step.expect, need.holder, matters.request, day_of(now))
    return _Checked(need, _STATES[reason.outcome], reason, finding)


_STATES = {Outcome.HELD: "kept", Outcome.NOT_HELD: "broken", Outcome.UNKNOWN: "by_hand"}


def _asks(step: Replacement, need: Need, matters: Matters, key: str) -> bool:
    confirmed = step.asks_source and step.state is RowState.CONFIRMED
    permitted = isinstance(matters.permits.get(key), Permit)
    return confirmed and permitted and lookup_of(step, need, matters.request) == key


def _notice(parts: Parts, held: Held, matters: Matters, checked: _Checked, now: datetime) -> dict[str, Any]:
    """What the approval system is told; ``schemas/notice.schema.json`` is its grammar."""
    return {
        "version": 1,
        "issuer": parts.issuer,
        "verification": held.id,
        "client": held.client,
        "receipt": receipt_digest(held.receipt or ""),
        "case": matters.request.case_number,
        "material": checked.need.key,
        "promise": checked.state,
        "reason": checked.reason.value,
        "digest": checked.finding.digest,
        "asked_at": moment(checked.finding.asked_at),
        "answered_at": moment(checked.finding.answered_at),
        "checked_at": moment(now),
    }
