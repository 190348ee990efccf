"""Look up: claim a batch of a source's due lookups, ask them, record all answers – and settle what is whole."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from broker.core.answer import (
    Answer,
    Awaited,
    Question,
    Reason,
    Reply,
    Wait,
    Waiting,
    checked,
    data_time,
)
from broker.core.authorise import Wanted, asker, kept_back, still_in_force
from broker.core.case import request_from
from broker.core.catalog import Source
from broker.core.consent import OPEN, UNCONSENTED, ConsentState, standing
from broker.core.day import day_of
from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem
from broker.core.gate import BARRED, BARRED_STOP, Passage, new_gate, passage
from broker.core.health import Results, is_barred
from broker.core.plan import plan
from broker.core.receipt import moment
from broker.core.timeline import made_at
from broker.flow.matters import related_in
from broker.flow.parts import Parts
from broker.flow.passing import remember
from broker.flow.place import Placing, end, place
from broker.flow.promises import PROMISE, keep, put_off
from broker.flow.questions import question_from
from broker.flow.recorded import recorded
from broker.flow.settle import Heard, settle
from broker.flow.transactions import Asking, follow
from broker.log import fault
from broker.ports import AnsweredLookup, Claimed, Conversation, Policy, WaitingLookup, Work

PROMISED_AGAIN = timedelta(minutes=10)  # how long what can wait is left alone when it may not be asked today

_UNASKED = {**BARRED, **UNCONSENTED}  # rules with an answer of their own; any other is NOT_PERMITTED

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A claimed lookup, opened: its question, the source as its edition has it, and the rule that stops it, if any."""

    claim: Claimed
    question: Question
    source: Source
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class _Batch:
    """What was claimed: how many, which of them were opened, when, and how the gate let them through."""

    claimed: int
    lookups: Sequence[_Lookup]
    asked_at: datetime
    passage: Passage | None = None


def look_up(parts: Parts, source: str) -> int:
    """Work on one batch of a source's due lookups; returns how many there were, those that must wait included."""
    batch = _claim(parts, source)
    if batch.lookups:
        _record(parts, batch, _ask(parts, batch.lookups, batch.asked_at))
    if batch.passage is not None and batch.passage.wait_ms:
        parts.pause(batch.passage.wait_ms / 1000)
    return batch.claimed


def _claim(parts: Parts, source: str) -> _Batch:
    """Lease the batch and write its entries: whoever is asked from here on stands in the log.

    A lookup that cannot be read (its row damaged, its case's key destroyed) keeps its lease and is left alone until
    that runs out: it must not hold up the others.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        claims = work.claim(source, parts.limits.batch, pulse.now, parts.limits.lease_ms)
        if not claims:
            return _Batch(0, (), pulse.now)
        policy = parts.policy(work, pulse)
        opened = [one for claim in claims if (one := _opened(parts, work, claim)) is not None]
        # Late: gates and grants are rows where all workers of the source meet, and they are locked until the commit.
        opened, unasked = _agreed(work, opened, pulse.now)
        opened, ended = _still_wanted(work, policy, opened, pulse.now)
        opened, passage = _let_through(parts, work, policy, opened, pulse.now)
        # Those locks may have been waited for: what was revoked, closed, stopped or kept back meanwhile must not be
        # overtaken.
        opened, overtaken = _still_wanted(work, parts.policy(work, work.pulse()), _renewed(work, opened), pulse.now)
        opened, kept = _kept_back(parts, work, opened, pulse.now)
        lookups = [*unasked, *ended, *overtaken, *kept, *opened]
        work.record([_asked(parts, one, pulse.now) for one in lookups if one.stopped is None])
        # Crash before this commit: no lease, no entry, no call counted, nobody asked. After it: the entries say
        # `asked`, the lease runs out and the lookups are asked again, under the same lookup id, with another entry.
        work.commit()
    return _Batch(len(claims), lookups, pulse.now, passage)


def _agreed(work: Work, opened: Sequence[_Lookup], now: datetime) -> tuple[list[_Lookup], list[_Lookup]]:
    """Those that need no consent or have it, and those that end without; who has not decided is waited for again."""
    agreed: list[_Lookup] = []
    unasked: list[_Lookup] = []
    for one in opened:
        state, until = one.claim.consent, one.claim.consent_until
        stands = ConsentState.GRANTED if state is None or until is None else standing(ConsentState(state), until, now)
        if stands is ConsentState.GRANTED:
            agreed.append(one)
        elif stands in OPEN and until is not None:
            work.put_back([one.claim.id], until)
        else:
            unasked.append(replace(one, stopped=f"consent.{stands}"))
    return agreed, unasked


def _still_wanted(
    work: Work, policy: Policy, opened: Sequence[_Lookup], now: datetime
) -> tuple[list[_Lookup], list[_Lookup]]:
    """Those still to be asked, and those not any more – case closed, grant revoked, source stopped – with the rule.

    Before the gate: who is not asked costs no call, and does not take the place of the one who finds out whether a
    source is back. What checks a promise waits while its source is stopped, as it does while the source is away.
    """
    wanted: list[_Lookup] = []
    ended: list[_Lookup] = []
    for one in opened:
        is_stopped = one.claim.source in policy.stops
        closed = None if one.claim.case_state == "open" or _checks_promise(one.claim) else "case.closed"
        misuse = "misuse.stopped" if policy.stopped and _asker(one) in policy.stopped else None
        rule = closed or misuse or still_in_force(policy.grants.get(one.claim.grant), now)
        if rule is None and is_stopped and one.stopped is None:
            if _checks_promise(one.claim):
                work.put_back([one.claim.id], now + PROMISED_AGAIN)
                continue
            rule = BARRED_STOP
        if rule is None or one.stopped is not None:
            wanted.append(one)
        else:
            ended.append(replace(one, stopped=rule))
    return wanted, ended


def _renewed(work: Work, opened: Sequence[_Lookup]) -> list[_Lookup]:
    """The same, with their cases as they stand now."""
    states = work.case_states([one.claim.verification for one in opened])
    return [replace(one, claim=replace(one.claim, case_state=states[one.claim.verification])) for one in opened]


def _kept_back(
    parts: Parts, work: Work, opened: Sequence[_Lookup], now: datetime
) -> tuple[list[_Lookup], list[_Lookup]]:
    """Those that may go on, and those that the negative list keeps back since: the list in force counts, not theirs."""
    number = parts.policy(work, work.pulse()).edition_at(now)
    if number is None or all(one.claim.edition == number for one in opened):
        return list(opened), []  # admission has looked at this very list
    sources = parts.edition(work, number).catalog.sources
    free: list[_Lookup] = []
    kept: list[_Lookup] = []
    for one in opened:
        source = sources.get(one.claim.source)
        barred = one.stopped is None and source is not None and kept_back(source, _wanted(parts, work, one, source))
        (kept if barred else free).append(replace(one, stopped="grant.withheld") if barred else one)
    return free, kept


def _wanted(parts: Parts, work: Work, one: _Lookup, source: Source) -> Wanted:
    """Fields and items of a lookup; the items are looked up in its plan, where the list keeps back any."""
    if not source.withheld.items:
        return Wanted(one.question.fields, ())
    [(_, request, wrapped)] = work.requests_of([one.claim.verification])
    document = json.loads(parts.vault.decrypt(parts.vault.unwrap(wrapped), request, one.claim.verification))
    day = day_of(made_at(one.claim.verification))
    planned = plan(parts.edition(work, one.claim.edition), request_from(document), day)
    known = planned.lookups.get(one.claim.key.removeprefix(PROMISE))
    return Wanted(one.question.fields, () if known is None else known.items)


def _let_through(
    parts: Parts, work: Work, policy: Policy, opened: Sequence[_Lookup], now: datetime
) -> tuple[list[_Lookup], Passage | None]:
    """Those that may be asked now and those that gate or caps bar; what must wait is put back, as if never claimed."""
    if not opened:
        return [], None
    source = opened[0].source
    gate = work.gate(source.key) or new_gate(source, now)
    passed = passage(gate, source, len(opened), now)
    if passed.barred:
        work.set_gate(passed.gate)
        parts.roads.follow(source.key, passed.gate.breaker)
        return _barred(work, opened, passed, now), passed
    work.put_back([one.claim.id for one in opened[passed.asked :]], passed.ready_at or now)
    let = opened[: passed.asked]
    capped = _capped(parts, work, policy, let, now)
    again = [one.claim.id for one in let if one.claim.id in capped and _checks_promise(one.claim)]
    work.put_back(again, now + PROMISED_AGAIN)  # a cap is over tomorrow, and a check is not due today
    passed = replace(passage(gate, source, len(let) - len(capped), now), wait_ms=passed.wait_ms)
    work.set_gate(passed.gate)
    parts.roads.follow(source.key, passed.gate.breaker)
    return [replace(one, stopped=capped.get(one.claim.id)) for one in let if one.claim.id not in again], passed


def _barred(work: Work, opened: Sequence[_Lookup], passed: Passage, now: datetime) -> list[_Lookup]:
    """What the gate answers; whom the source has told to come back later, and who checks a promise, waits instead.

    A promised answer is worth the wait, and a promise is checked *when* the source is back: until then nobody can say
    whether it was kept.
    """
    checks = [one.claim.id for one in opened if _checks_promise(one.claim)]
    told = [one.claim.id for one in opened if one.claim.memo is not None and one.claim.id not in checks]
    work.put_back(checks, max(now + PROMISED_AGAIN, passed.gate.until or now))
    work.put_back(told, passed.gate.until or now + PROMISED_AGAIN)
    waiting = {*checks, *told}
    return [replace(one, stopped=passed.barred) for one in opened if one.claim.id not in waiting]


def _capped(parts: Parts, work: Work, policy: Policy, let: Sequence[_Lookup], now: datetime) -> dict[str, str]:
    """Lookups beyond what their grants allow for a day, and the rule; the others are counted."""
    day = day_of(now).isoformat()
    capped = dict.fromkeys(_beyond_holders(parts, work, policy, let, day), "grant.holders-exhausted")
    living = [one.claim for one in let if one.claim.id not in capped]
    caps = {claim.grant: cap for claim in living if (cap := policy.grants[claim.grant].daily_calls) is not None}
    calls = Counter(claim.grant for claim in living if claim.grant in caps)
    for grant, used in work.use_grants(calls, day).items():
        excess = min(calls[grant], max(0, used - caps[grant]))
        last = [claim for claim in living if claim.grant == grant][calls[grant] - excess :]
        capped.update((claim.id, "grant.exhausted") for claim in last)
    return capped


def _beyond_holders(parts: Parts, work: Work, policy: Policy, living: Sequence[_Lookup], day: str) -> set[str]:
    """Lookups about more persons than their operator may ask about today; the others' persons are kept as asked."""
    limits = {one.claim.grant: policy.grants[one.claim.grant].distinct_holders for one in living}
    if all(limit is None for limit in limits.values()):
        return set()
    work.use_grants(dict.fromkeys(limits, 0), day)  # locks them, in the order of all: nobody counts beside us
    asked = [_holder(parts, one) for one in living if limits[one.claim.grant] is not None]
    known = work.holders({grant for _, grant, _, _ in asked}, {who for _, _, who, _ in asked}, day)
    beyond: set[str] = set()
    fresh: list[tuple[str, str, str]] = []
    for lookup, grant, who, whom in asked:
        seen = known.setdefault((grant, who), set())
        unseen = sorted(whom - seen)
        if unseen and len(seen) + len(unseen) > (limits[grant] or 0):
            beyond.add(lookup)
        else:
            seen.update(unseen)
            fresh += [(grant, who, one) for one in unseen]
    work.add_holders(fresh, day)
    return beyond


def _holder(parts: Parts, one: _Lookup) -> tuple[str, str, str, set[str]]:
    """A lookup, its grant, who asks, and about whom: one person, or two."""
    question, vault = one.question, parts.vault
    whom = {vault.pseudonym(question.subject.subject), *related_in(vault, question.related)}
    return one.claim.id, one.claim.grant, _asker(one), whom


def _checks_promise(claim: Claimed) -> bool:
    """Whether it checks what the applicant has promised: the one question that may be asked for a closed case."""
    return claim.key.startswith(PROMISE)


def _asker(one: _Lookup) -> str:
    operator = one.question.matter.operator
    return asker(one.claim.client, operator.unit, operator.id)


def _opened(parts: Parts, work: Work, claim: Claimed) -> _Lookup | None:
    try:
        key = parts.vault.unwrap(claim.wrapped_key)
        question = question_from(claim.id, parts.vault.decrypt(key, claim.question, claim.id))
        if claim.memo is not None:
            question = replace(question, memo=parts.vault.decrypt(key, claim.memo, claim.id).decode())
    except BrokerProblem as problem:
        fault(_log, "a lookup cannot be read", problem, lookup=claim.id)
        return None
    source = parts.edition(work, claim.edition).catalog.sources[claim.source]
    return _Lookup(claim, question, source)


def _asked(parts: Parts, lookup: _Lookup, now: datetime) -> Entry:
    claim, question = lookup.claim, lookup.question
    return entry(
        "asked",
        now,
        verification=claim.verification,
        lookup=claim.id,
        client=claim.client,
        operator=question.matter.operator.id,
        unit=question.matter.operator.unit,
        case=question.matter.case_number,
        region=question.matter.region,
        item=question.matter.item_code,
        source=claim.source,
        form=question.form.value,
        fields=list(question.fields),
        basis=question.matter.basis,
        grant=claim.grant,
        subject=parts.vault.pseudonym(question.subject.subject),
        related=related_in(parts.vault, question.related),
        attempt=claim.fence,
        purpose="promise" if _checks_promise(claim) else None,
    )


def _ask(parts: Parts, lookups: Sequence[_Lookup], now: datetime) -> list[Reply]:
    """One reply per lookup, in order; outside any transaction."""
    replies: dict[str, Reply] = {
        one.claim.id: _UNASKED.get(one.stopped, Answer(Reason.NOT_PERMITTED))
        for one in lookups
        if one.stopped is not None
    }
    by_source: dict[int, list[_Lookup]] = {}
    for one in lookups:
        if one.stopped is None:
            by_source.setdefault(id(one.source), []).append(one)  # one group, unless the batch spans two editions
    talks: list[tuple[_Lookup, Conversation]] = []
    for group in by_source.values():
        source, asking = group[0].source, parts.asking(group[0].source)
        if asking is None:
            replies |= {one.claim.id: Answer(Reason.NOT_CONFIGURED) for one in group}
            continue
        connector, connection = asking
        talks += [(one, connector.ask(one.question, source, connection, now)) for one in group]
    if talks:
        # All at once, whatever edition they are of: one budget after the other would outlast the lease.
        quickest = min((one.source for one, _ in talks), key=lambda source: source.budget_ms)
        heard = parts.transport.converse(quickest, [talk for _, talk in talks])
        replies |= {one.claim.id: reply for (one, _), reply in zip(talks, heard, strict=True)}
    return [replies[one.claim.id] for one in lookups]


def _record(parts: Parts, batch: _Batch, replies: Sequence[Reply]) -> None:
    lookups = batch.lookups
    with parts.store.write() as work:
        heard_at = work.pulse().now  # the answers are here; what follows may wait for locks
        verifications = sorted({one.claim.verification for one in lookups})
        held = {one.id: one for one in work.hold(verifications, [one.claim.id for one in lookups])}
        rows = work.lookups_of(verifications)
        pulse = work.pulse()  # after the locks: a decision is not dated before an answer it rests on
        recording = _Recording(parts, batch.asked_at, heard_at, pulse.now, Heard(rows, {}, [], {}))
        current = {row.id: row.fence for row in rows if row.state == "due"}
        for one, reply in zip(lookups, replies, strict=True):
            if current.get(one.claim.id) == one.claim.fence:  # else somebody has asked since: theirs counts
                recording.take(one, reply)
        heard = recording.store(work)
        policy = parts.policy(work, pulse)
        fresh = [(row, heard.findings[row.id]) for row in rows if row.id in heard.findings]
        keep(parts, work, policy, held, fresh, pulse.now)
        following = settle(parts, work, policy, list(held.values()), heard, pulse.now)
        _remember(parts, work, batch, recording)
        # Crash before this commit: no reply was recorded; the lease runs out and the source is asked again under the
        # same lookup id. After it: every reply, its entry and all decisions they complete are true together.
        work.commit()
    parts.wake.wake(sorted({one.source for one in following}))


@dataclass
class _Recording:
    """What the replies of one batch amount to, gathered lookup by lookup and then stored at once."""

    parts: Parts
    asked_at: datetime
    heard_at: datetime
    now: datetime
    heard: Heard
    answers: list[AnsweredLookup] = field(default_factory=list)
    later: list[WaitingLookup] = field(default_factory=list)
    placings: list[Placing] = field(default_factory=list)
    asking: list[Asking] = field(default_factory=list)
    ended: dict[str, Reason] = field(default_factory=dict)  # lookups that were waiting, and wait no more
    told: dict[str, Reason] = field(default_factory=dict)  # the same, by what the source said before it was checked
    as_of: list[datetime | None] = field(default_factory=list)  # the source's own times of its data

    def take(self, one: _Lookup, reply: Reply) -> None:
        """One lookup's reply: it waits on, or has its answer."""
        key = self.parts.vault.unwrap(one.claim.wrapped_key)
        if _checks_promise(one.claim) and one.stopped is None:
            reply = put_off(reply, one.claim.fence, self.now)
        if isinstance(reply, Waiting):
            self._wait(one, reply, key)
        else:
            self._answer(one, reply, key)

    def _wait(self, one: _Lookup, reply: Waiting, key: bytes) -> None:
        self.later.append(_later(self.parts, one, reply, key))
        self.heard.waits[one.claim.id] = Wait(reply.awaited, reply.until)
        self.heard.entries.append(_awaited(one, reply, self.now))
        if reply.order is not None:
            self.placings.append(Placing(one.claim, one.question, reply.order, reply.until, key))
        if reply.awaited is Awaited.CONSENT:
            self.asking.append(Asking(one.claim, one.question, reply))

    def _answer(self, one: _Lookup, reply: Answer, key: bytes) -> None:
        answer = checked(one.question, reply, one.source, self.now)
        row, finding = recorded(self.parts, one.claim.id, answer, key, self.asked_at, self.now)
        self.answers.append(row)
        self.as_of.append(data_time(reply, answer))
        self.heard.findings[one.claim.id] = finding
        self.heard.entries.append(_answered(one, row, answer, self.heard_at, self.now))
        if one.claim.memo is not None:
            self.ended[one.claim.id] = answer.reason
            self.told[one.claim.id] = reply.reason

    def store(self, work: Work) -> Heard:
        """Write the replies and whatever they begin or end beside the lookups."""
        work.answer(self.answers)
        work.wait(self.later)
        self.heard.entries.extend(place(self.parts, work, self.placings, self.asked_at, self.now))
        self.heard.entries.extend(end(work, self.ended, self.now))
        self.heard.entries.extend(follow(self.parts, work, self.asking, self.told, self.now))
        return self.heard


def _remember(parts: Parts, work: Work, batch: _Batch, recording: _Recording) -> None:
    found = recording.heard.findings
    mine = [one for one in batch.lookups if one.claim.id in found]
    asked = [one for one in mine if one.stopped is None]
    verifications = {one.claim.verification for one in asked if not _checks_promise(one.claim)}
    barred = sum(is_barred(one.stopped) for one in mine)
    answers = [found[one.claim.id].answer for one in asked]
    results = Results(answers, len(verifications), barred, recording.as_of)
    remember(parts, work, batch.lookups[0].claim.source, batch.passage, results, recording.now)


def _later(parts: Parts, lookup: _Lookup, reply: Waiting, key: bytes) -> WaitingLookup:
    memo = parts.vault.encrypt(key, reply.memo.encode(), lookup.claim.id)
    return WaitingLookup(lookup.claim.id, reply.awaited, reply.again_at, reply.until, memo)


def _awaited(lookup: _Lookup, reply: Waiting, now: datetime) -> Entry:
    facts = {"lookup": lookup.claim.id, "client": lookup.claim.client, "source": lookup.claim.source,
             "awaited": reply.awaited.value, "until": moment(reply.until)}  # fmt: skip
    return entry("waiting", now, verification=lookup.claim.verification, **facts)


def _answered(lookup: _Lookup, row: AnsweredLookup, answer: Answer, heard_at: datetime, now: datetime) -> Entry:
    facts: Mapping[str, str | None] = {
        "lookup": row.id,
        "client": lookup.claim.client,
        "source": lookup.claim.source,
        "outcome": answer.outcome.value,
        "reason": answer.reason.value,
        "code": answer.source_code,
        "answer": row.digest,
        "rule": lookup.stopped,
        "heard": None if lookup.stopped else moment(heard_at),
    }
    kind = "answered" if lookup.stopped is None else "stopped"
    return entry(kind, now, verification=lookup.claim.verification, **facts)
