"""Passing a source's gate alone, and remembering how the road was: for lookups, operators' calls and probes alike."""

from __future__ import annotations

from datetime import datetime, timedelta

from broker.core.answer import Answer, Reply
from broker.core.catalog import Source
from broker.core.day import day_of
from broker.core.gate import BARRED, LONGEST_CLOSED, OPEN_FOR, Breaker, Passage, alone, cost_after, new_gate
from broker.core.health import Results, day_of_batch
from broker.flow.parts import Parts
from broker.ports import Conversation, Work


def pass_alone(parts: Parts, work: Work, source: Source, now: datetime) -> Passage:
    """Count one call beside the lookups; the caller commits before it is made, and :func:`remember` comes after it."""
    passed = alone(work.gate(source.key) or new_gate(source, now), source, now)
    work.set_gate(passed.gate)
    parts.roads.follow(source.key, passed.gate.breaker)
    return passed


def remember(
    parts: Parts,
    work: Work,
    source: str,
    passed: Passage | None,
    results: Results,
    now: datetime,
) -> None:
    """How the source was: its day, what was called, and its breaker and pause where they have moved.

    The workers of one source meet in these rows: last before the commit.
    """
    travelled = parts.roads.travelled(source)
    before = passed.gate.breaker if passed else travelled.breaker
    if travelled.durations_ms and travelled.breaker is not before:
        work.set_breaker(source, travelled.breaker, now + OPEN_FOR if travelled.breaker is Breaker.OPEN else None)
    elif before is Breaker.HALF_OPEN and not travelled.durations_ms:
        work.set_breaker(source, Breaker.OPEN, now)  # the one who was to find out sent nothing: the next one may
    if passed is not None and passed.asked and travelled.calls is not None:
        cost = cost_after(passed.gate, passed.asked, travelled.calls)
        if (travelled.calls, cost) != (passed.calls, passed.gate.cost):
            work.true_up(source, travelled.calls - passed.calls, cost)
    if travelled.pause_s:
        work.close_gate(source, now + min(timedelta(seconds=travelled.pause_s), LONGEST_CLOSED))
    if results.answers or results.barred:
        work.add_health(day_of_batch(source, day_of(now).isoformat(), results, travelled.durations_ms, now))


def asked_alone(parts: Parts, source: Source, conversation: Conversation) -> Reply:
    """What a source replies to one conversation beside the lookups: counted, and remembered like theirs."""
    with parts.store.write() as work:
        passed = pass_alone(parts, work, source, work.pulse().now)
        # Crash before this commit: nobody was asked. After it: a call is counted that was not made.
        work.commit()
    if not passed.asked:
        conversation.close()
        return BARRED[passed.barred]
    reply = parts.transport.converse(source, [conversation])[0]
    with parts.store.write() as work:
        results = Results([reply] if isinstance(reply, Answer) else [])
        remember(parts, work, source.key, passed, results, work.pulse().now)
        # Crash before this commit: the source was asked, and how it was is not known.
        work.commit()
    return reply
