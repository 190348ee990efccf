"""Probe: a source that nobody has asked for a while is asked what was agreed, so that its fault shows before it hurts.

The probe is about a subject that exists only by agreement with the source's owner. It passes the gate and is counted
like any call; a source whose questions reach a person is never probed. One probes a source at a time, over all
processes: the row it is claimed in says when it is next due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from broker.core.answer import Answer, Question, Reply, checked, data_time
from broker.core.catalog import Source
from broker.core.entry import entry
from broker.core.gate import Passage
from broker.core.health import Probed, Results, last_heard
from broker.core.probe import Probing, agreed, failed_step, probe_question
from broker.flow.fitness import may_probe, probes, states
from broker.flow.parts import Parts, new_id
from broker.flow.passing import pass_alone, remember
from broker.ports import Connection, Connector, Work

_LEASE = timedelta(seconds=120)  # longer than any source's budget
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Probe:
    """A source that is ours to ask, until the lease that began then ends."""

    source: Source
    connector: Connector
    connection: Connection
    question: Question
    passed: Passage
    begun_at: datetime


def probe(parts: Parts) -> bool:
    """Probe the source that was silent longest; False where none is silent, or others probe them."""
    for source in _silent(parts):
        begun = _begin(parts, source)
        if begun is not None:
            _conclude(parts, begun, _asked(parts, begun))
            return True
    return False


def _silent(parts: Parts) -> list[Source]:
    """The sources that may be probed and are due, the longest silent first."""
    quiet = timedelta(minutes=parts.limits.probe_minutes)
    if not quiet:
        return []
    with parts.store.read() as work:
        pulse = work.pulse()
        catalog, stops = parts.catalog_in_force(work, pulse), parts.policy(work, pulse).stops
        if catalog is None:
            return []
        sources = [one for one in catalog.sources.values() if one.key not in stops]
        _, days = states(work, pulse.now)
        known = probes(work)
    heard = {one.key: last_heard(days.get(one.key)) or _NEVER for one in sources}
    due = [
        one
        for one in sources
        if may_probe(parts, one) is Probing.AGREED
        and heard[one.key] < pulse.now - quiet
        and (one.key not in known or known[one.key].ready_at <= pulse.now)
    ]
    return sorted(due, key=lambda one: (heard[one.key], one.key))


def _begin(parts: Parts, source: Source) -> _Probe | None:
    """Claim a source and let the probe through its gate; None where it is another's, or is not asked this time."""
    asking = parts.asking(source)
    if asking is None:
        return None
    with parts.store.write() as work:
        now = work.pulse().now
        if not work.claim_probe(source.key, now, now + _LEASE):
            return None
        begun = _let_through(parts, work, source, asking, now)
        # Crash before this commit: nobody was asked. After it: a call is counted that was not made, and when the lease
        # has run out whoever comes next probes.
        work.commit()
    return begun


def _let_through(
    parts: Parts, work: Work, source: Source, asking: tuple[Connector, Connection], now: datetime
) -> _Probe | None:
    """The probe, counted and in the log; None where it cannot be asked, which is then kept instead."""
    again = now + timedelta(minutes=parts.limits.probe_minutes)
    question = _question(source, asking[1], now)
    if question is None:
        work.keep_probe(Probed(source.key, again, now, "probe"), now + _LEASE)
        return None
    passed = pass_alone(parts, work, source, now)
    if not passed.asked or source.key in parts.policy(work, work.pulse()).stops:
        work.keep_probe(Probed(source.key, again), now + _LEASE)  # barred by us: it shows nothing of the source
        return None
    work.record([entry("source_probed", now, source=source.key, lookup=question.lookup_id)])
    return _Probe(source, *asking, question, passed, now)


def _question(source: Source, connection: Connection, now: datetime) -> Question | None:
    """The agreed probe; None where what was agreed names no subject."""
    try:
        return probe_question(source, agreed(source, connection.options), f"probe-{new_id(now)}")
    except (KeyError, TypeError, ValueError):
        return None


def _asked(parts: Parts, begun: _Probe) -> Reply:
    conversation = begun.connector.ask(begun.question, begun.source, begun.connection, begun.begun_at)
    return parts.transport.converse(begun.source, [conversation])[0]


def _conclude(parts: Parts, begun: _Probe, reply: Reply) -> None:
    """Keep how the source was and which step failed; one that answers later has shown that it takes questions."""
    source, expected = begun.source, agreed(begun.source, begun.connection.options).get("expect")
    with parts.store.write() as work:
        now = work.pulse().now
        answers = [checked(begun.question, reply, source, now)] if isinstance(reply, Answer) else []
        failed = next((failed_step(one, expected, fits=None) or "" for one in answers), "")
        again = now + timedelta(minutes=parts.limits.probe_minutes)
        work.keep_probe(Probed(source.key, again, now, failed), begun.begun_at + _LEASE)
        as_of = [data_time(reply, one) for one in answers if isinstance(reply, Answer)]
        remember(parts, work, source.key, begun.passed, Results(answers, as_of=as_of), now)
        # Crash before this commit: the source was asked, and how it was is not known; it is probed again.
        work.commit()
