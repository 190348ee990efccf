"""A person in the source department answers, within days (部门间核查): where no interface is, and the law says who.

Nothing is sent. The first time, the answer is waited for and an order placed; ``flow.orders`` records the person's
answer. Asked again when the time is over, the question has gone unanswered: overdue is an outcome like any other.

``options`` of the list:

``sla_working_days``     how many working days the department has, the day of asking not counted
``remind_working_days``  how many working days before the last one it is reminded

``options`` of the deployment's connection:

``units``                credit code of the department that answers, by region: {"370400": "1137…"}; a region without
                         one is not configured
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from broker.core.answer import Answer, Awaited, Order, Question, Reason, Reply, Waiting
from broker.core.catalog import Source
from broker.core.day import CHINA, day_of
from broker.core.working_days import Calendar, add_working_days
from broker.ports import Connection, Conversation


class WorkOrders:
    """Implements ``ports.Connector`` for departments whose people answer."""

    def __init__(self, calendar: Calendar) -> None:
        """``calendar`` knows which days are worked."""
        self._calendar = calendar

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """A conversation without requests; what it leaves as memo is the end of the time for answering."""
        yield from ()
        return self._reply(question, source, connection, now)

    def _reply(self, question: Question, source: Source, connection: Connection, now: datetime) -> Reply:
        if question.memo:
            until = datetime.fromisoformat(question.memo)
            if now >= until:
                return Answer(Reason.OVERDUE)
            return Waiting(Awaited.DEPARTMENT, until, until, question.memo)
        unit = connection.options.get("units", {}).get(question.matter.region)
        if not unit:
            return Answer(Reason.NOT_CONFIGURED)
        last = add_working_days(self._calendar, day_of(now), source.options["sla_working_days"])
        until = _midnight(last + timedelta(days=1))
        order = Order(unit, _midnight(self._before(last, source.options["remind_working_days"])))
        return Waiting(Awaited.DEPARTMENT, until, until, until.isoformat(), order)

    def _before(self, last: date, days: int) -> date:
        """The working day that so many precede ``last``."""
        day = last
        while days:
            day -= timedelta(days=1)
            days -= self._calendar.is_working_day(day)
        return day


def _midnight(day: date) -> datetime:
    """When a day begins in China."""
    return datetime.combine(day, time(), CHINA)
