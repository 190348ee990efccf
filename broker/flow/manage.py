"""Manage: an operator's call of a platform itself, outside any case – with its entry before, and its outcome after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broker.core.answer import Answer
from broker.core.catalog import Source
from broker.core.entry import entry
from broker.core.errors import OperatorProblem
from broker.core.gate import BARRED
from broker.core.health import Results
from broker.flow.parts import Parts, new_id
from broker.flow.passing import pass_alone, remember
from broker.ports import Connection
from broker.ports.management import ManagementCall, Manages


@dataclass(frozen=True, slots=True)
class Order:
    """Which call of which source's platform, by whom (staff number) and why."""

    source: str
    call: str
    operator: str
    reason: str
    arguments: Mapping[str, str] = field(default_factory=dict, repr=False)


def manage(parts: Parts, management: Manages, order: Order) -> Answer:
    """Make the call and return what came of it.

    Raises ``OperatorProblem`` ``config.invalid`` where the source or its platform is not connected here.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        catalog = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog
        source = catalog.sources.get(order.source)
        connection = None if source is None else parts.connections.get(source.platform)
        if source is None or connection is None:
            raise OperatorProblem("config.invalid", got=order.source, expected="a source whose platform is connected")
        number = new_id(pulse.now)
        facts = {"operator": order.operator, "source": source.key, "call": order.call, "why": order.reason}
        work.record([entry("managed", pulse.now, management=number, **facts)])
        passed = pass_alone(parts, work, source, pulse.now)
        # Crash before this commit: nobody was called, and no call counted. After it: the entry says that we were about
        # to.
        work.commit()
    wanted = ManagementCall(number, order.call, order.reason, order.arguments)
    answer = _made(parts, management, wanted, source, connection, pulse.now) if passed.asked else BARRED[passed.barred]
    with parts.store.write() as work:
        facts = {"source": source.key, "call": order.call, "outcome": answer.outcome.value}
        facts |= {"reason": answer.reason.value, "code": answer.source_code}
        now = work.pulse().now
        work.record([entry("managed_answered", now, management=number, **facts)])
        remember(parts, work, source.key, passed, Results([answer] if passed.asked else []), now)
        # Crash before this commit: the call was made, and its entry stands without an outcome. After it: both do.
        work.commit()
    return answer


def _made(
    parts: Parts, management: Manages, wanted: ManagementCall, source: Source, connection: Connection, now: datetime
) -> Answer:
    answer = parts.transport.converse(source, [management.run(wanted, source, connection, now)])[0]
    if not isinstance(answer, Answer):
        raise TypeError("a management call does not wait")
    return answer
