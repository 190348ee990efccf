"""Look up: claim a batch of a source's due lookups, ask them, record all answers – and settle what is whole."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from broker.core.answer import (
    Answer,
    Finding,
    Question,
    Reason,
    Reply,
    Wait,
    Waiting,
    answer_bytes,
    answer_digest,
    checked,
)
from broker.core.authorise import asker, still_in_force
from broker.core.catalog import Source
from broker.core.day import day_of
from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem
from broker.core.receipt import moment
from broker.flow.parts import Parts
from broker.flow.questions import question_from
from broker.flow.settle import SALT_BYTES, Heard, settle
from broker.log import fault
from broker.ports import AnsweredLookup, Claimed, Policy, WaitingLookup, Work

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A claimed lookup, opened: its question, the source as its edition has it, and the rule that stops it, if any."""

    claim: Claimed
    question: Question
    source: Source
    stopped: str | None = None


def look_up(parts: Parts, source: str) -> int:
    """Work on one batch of a source's due lookups; returns how many there were."""
    claimed, lookups, asked_at = _claim(parts, source)
    if lookups:
        _record(parts, lookups, _ask(parts, lookups, asked_at), asked_at)
    return claimed


def _claim(parts: Parts, source: str) -> tuple[int, list[_Lookup], datetime]:
    """Lease the batch and write its entries: whoever is asked from here on stands in the log.

    A lookup that cannot be read (its row damaged, its case's key destroyed) keeps its lease and is left alone until
    that runs out: it must not hold up the others.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        claims = work.claim(source, parts.limits.batch, pulse.now, parts.limits.lease_ms)
        if not claims:
            return 0, [], pulse.now
        policy = parts.policy(work, pulse)
        opened = [one for claim in claims if (one := _opened(parts, work, claim)) is not None]
        # Late: counting calls locks the grant's row, where all workers of the source meet.
        stopped = _stopped(parts, work, policy, opened, pulse.now)
        lookups = [replace(one, stopped=stopped.get(one.claim.id)) for one in opened]
        work.record([_asked(parts, one, pulse.now) for one in lookups if one.stopped is None])
        # Crash before this commit: no lease, no entry, nobody asked. After it: the entries say `asked`, the lease runs
        # out and the lookups are asked again, under the same lookup id, with another entry.
        work.commit()
    return len(claims), lookups, pulse.now


def _stopped(parts: Parts, work: Work, policy: Policy, opened: Sequence[_Lookup], now: datetime) -> dict[str, str]:
    """Lookups not to be asked any more – case closed or grant revoked since, or a cap reached – and the rule."""
    stopped: dict[str, str] = {}
    for claim in (one.claim for one in opened):
        closed = None if claim.case_state == "open" else "case.closed"
        rule = closed or still_in_force(policy.grants.get(claim.grant), now)
        if rule is not None:
            stopped[claim.id] = rule
    day = day_of(now).isoformat()
    beyond = _beyond_holders(parts, work, policy, [one for one in opened if one.claim.id not in stopped], day)
    stopped |= dict.fromkeys(beyond, "grant.holders-exhausted")
    living = [one.claim for one in opened if one.claim.id not in stopped]
    caps = {claim.grant: cap for claim in living if (cap := policy.grants[claim.grant].daily_calls) is not None}
    calls = Counter(claim.grant for claim in living if claim.grant in caps)
    for grant, used in work.use_grants(calls, day).items():
        excess = min(calls[grant], max(0, used - caps[grant]))
        last = [claim for claim in living if claim.grant == grant][calls[grant] - excess :]
        stopped.update((claim.id, "grant.exhausted") for claim in last)
    return stopped


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
        if whom in seen:
            continue
        if len(seen) >= (limits[grant] or 0):
            beyond.add(lookup)
        else:
            seen.add(whom)
            fresh.append((grant, who, whom))
    work.add_holders(fresh, day)
    return beyond


def _holder(parts: Parts, one: _Lookup) -> tuple[str, str, str, str]:
    """A lookup, its grant, who asks, and about whom."""
    who = asker(one.claim.client, one.question.matter.operator)
    return one.claim.id, one.claim.grant, who, parts.vault.pseudonym(one.question.subject.subject)


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
        item=question.matter.item_code,
        source=claim.source,
        form=question.form.value,
        fields=list(question.fields),
        basis=question.matter.basis,
        grant=claim.grant,
        subject=parts.vault.pseudonym(question.subject.subject),
        attempt=claim.fence,
    )


def _ask(parts: Parts, lookups: Sequence[_Lookup], now: datetime) -> list[Reply]:
    """One reply per lookup, in order; outside any transaction."""
    replies: dict[str, Reply] = {
        one.claim.id: Answer(Reason.NOT_PERMITTED) for one in lookups if one.stopped is not None
    }
    by_source: dict[int, list[_Lookup]] = {}
    for one in lookups:
        if one.stopped is None:
            by_source.setdefault(id(one.source), []).append(one)  # one group, unless the batch spans two editions
    for group in by_source.values():
        source, asking = group[0].source, parts.asking(group[0].source)
        if asking is None:
            replies |= {one.claim.id: Answer(Reason.NOT_CONFIGURED) for one in group}
            continue
        connector, connection = asking
        conversations = [connector.ask(one.question, source, connection, now) for one in group]
        heard = parts.transport.converse(source, conversations)
        replies |= {one.claim.id: reply for one, reply in zip(group, heard, strict=True)}
    return [replies[one.claim.id] for one in lookups]


def _record(parts: Parts, lookups: Sequence[_Lookup], replies: Sequence[Reply], asked_at: datetime) -> None:
    with parts.store.write() as work:
        verifications = sorted({one.claim.verification for one in lookups})
        held = {one.id: one for one in work.hold(verifications, [one.claim.id for one in lookups])}
        rows = work.lookups_of(verifications)
        pulse = work.pulse()  # after the locks: a decision is not dated before an answer it rests on
        current = {row.id: row.fence for row in rows if row.state == "due"}
        recorded: list[AnsweredLookup] = []
        put_off: list[WaitingLookup] = []
        heard = Heard(rows, {}, [], {})
        for one, reply in zip(lookups, replies, strict=True):
            if current.get(one.claim.id) != one.claim.fence:
                continue  # our lease ran out and somebody else has asked since: theirs counts
            key = parts.vault.unwrap(one.claim.wrapped_key)
            if isinstance(reply, Waiting):
                put_off.append(_put_off(parts, one, reply, key))
                heard.waits[one.claim.id] = Wait(reply.awaited, reply.until)
                heard.entries.append(_awaited(one, reply, pulse.now))
                continue
            answer = checked(one.question, reply, one.source, pulse.now)
            row, heard.findings[one.claim.id] = _kept(parts, one, answer, key, asked_at, pulse.now)
            recorded.append(row)
            heard.entries.append(_answered(one, row, answer, pulse.now))
        work.answer(recorded)
        work.wait(put_off)
        policy = parts.policy(work, pulse)
        following = settle(parts, work, policy, list(held.values()), heard, pulse.now)
        # Crash before this commit: no reply was recorded; the lease runs out and the source is asked again under the
        # same lookup id. After it: every reply, its entry and all decisions they complete are true together.
        work.commit()
    parts.wake.wake(sorted({one.source for one in following}))


def _kept(
    parts: Parts, lookup: _Lookup, answer: Answer, key: bytes, asked_at: datetime, now: datetime
) -> tuple[AnsweredLookup, Finding]:
    salt, body = os.urandom(SALT_BYTES), answer_bytes(answer)
    digest = answer_digest(salt, body)
    sealed = parts.vault.encrypt(key, salt + body, lookup.claim.id)
    row = AnsweredLookup(lookup.claim.id, answer.reason.value, sealed, digest, asked_at, now)
    return row, Finding(answer, digest, asked_at, now)


def _put_off(parts: Parts, lookup: _Lookup, reply: Waiting, key: bytes) -> WaitingLookup:
    memo = parts.vault.encrypt(key, reply.memo.encode(), lookup.claim.id)
    return WaitingLookup(lookup.claim.id, reply.awaited, reply.again_at, reply.until, memo)


def _awaited(lookup: _Lookup, reply: Waiting, now: datetime) -> Entry:
    facts = {"lookup": lookup.claim.id, "client": lookup.claim.client, "source": lookup.claim.source,
             "awaited": reply.awaited.value, "until": moment(reply.until)}  # fmt: skip
    return entry("waiting", now, verification=lookup.claim.verification, **facts)


def _answered(lookup: _Lookup, row: AnsweredLookup, answer: Answer, now: datetime) -> Entry:
    facts: Mapping[str, str | None] = {
        "lookup": row.id,
        "client": lookup.claim.client,
        "source": lookup.claim.source,
        "outcome": answer.outcome.value,
        "reason": answer.reason.value,
        "code": answer.source_code,
        "answer": row.digest,
        "rule": lookup.stopped,
    }
    kind = "answered" if lookup.stopped is None else "stopped"
    return entry(kind, now, verification=lookup.claim.verification, **facts)
