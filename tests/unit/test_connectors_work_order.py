"""Work orders: until when a person may answer, when they are reminded, and what comes of it if they do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bootstrap import working_calendar
from broker.connectors import WorkOrders
from broker.core.answer import Answer, Awaited, Outcome, Reason, Reply, Waiting
from broker.core.case import Party
from broker.core.day import CHINA
from broker.core.work_order import CONFIRMED, OrderReply, answer_of
from broker.core.working_days import Calendar, add_working_days
from broker.ports import Connection
from tests.asking import SOURCES, question

UNIT = "11370400MB9999999L"
CONNECTION = Connection("ps-orders", "", {}, {"units": {"370400": UNIT}})
SOURCE = SOURCES["ps-record-check"]
HOLDER = Party("applicant", "111", "11010119900307109X", "测试人")
ASKED = question(SOURCE.key, SOURCE.forms[0], HOLDER)
HOLIDAYS = working_calendar()


def reply(now: datetime, memo: str = "", connection: Connection = CONNECTION, days: Calendar = HOLIDAYS) -> Reply:
    conversation = WorkOrders(days).ask(replace(ASKED, memo=memo), SOURCE, connection, now)
    with pytest.raises(StopIteration) as end:
        next(conversation)
    said: Reply = end.value.value
    return said


def china(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=CHINA)


def test_the_time_ends_with_the_last_working_day_and_the_reminder_comes_before() -> None:
    """Asked on a Wednesday, three working days are Thursday, Friday and Monday."""
    waiting = reply(china(2025, 3, 5, 15))
    assert isinstance(waiting, Waiting)
    assert waiting.order is not None
    assert (waiting.awaited, waiting.until, waiting.again_at) == (Awaited.DEPARTMENT, china(2025, 3, 11), waiting.until)
    assert (waiting.order.unit, waiting.order.remind_at) == (UNIT, china(2025, 3, 7))


def test_holidays_and_make_up_days_count_as_the_state_council_sets_them() -> None:
    """Before the Spring Festival of 2025: 28 January to 4 February are off, and Sunday, 26 January is worked."""
    waiting = reply(china(2025, 1, 25, 12))
    assert isinstance(waiting, Waiting)
    assert waiting.until == china(2025, 2, 6)


@given(st.datetimes(datetime(2024, 1, 1), datetime(2025, 11, 30), timezones=st.just(CHINA)))  # noqa: DTZ001 - bounds
def test_whenever_it_is_asked_the_days_between_are_the_agreed_number(now: datetime) -> None:
    waiting = reply(now)
    assert isinstance(waiting, Waiting)
    assert waiting.order is not None
    last = add_working_days(HOLIDAYS, now.date(), SOURCE.options["sla_working_days"])
    assert waiting.until == datetime.combine(date.fromordinal(last.toordinal() + 1), datetime.min.time(), CHINA)
    assert now < waiting.order.remind_at < waiting.until
    assert HOLIDAYS.is_working_day(waiting.order.remind_at.date())


def test_asked_again_in_time_it_waits_on_and_orders_nothing_twice() -> None:
    first = reply(china(2025, 3, 5))
    assert isinstance(first, Waiting)
    again = reply(china(2025, 3, 7), first.memo)
    assert again == replace(first, order=None)


def test_asked_again_when_the_time_is_over_overdue_is_the_answer() -> None:
    first = reply(china(2025, 3, 5))
    assert isinstance(first, Waiting)
    assert reply(first.until, first.memo) == Answer(Reason.OVERDUE)


def test_a_region_for_which_the_deployment_names_nobody_is_not_configured() -> None:
    assert reply(china(2025, 3, 5), connection=Connection("ps-orders", "", {})) == Answer(Reason.NOT_CONFIGURED)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (OrderReply.CONFIRM, Outcome.HELD),
        (OrderReply.DENY, Outcome.NOT_HELD),
        (OrderReply.CANNOT_SAY, Outcome.UNKNOWN),
    ],
)
def test_what_a_person_says_is_held_not_held_or_unknown(said: OrderReply, outcome: Outcome) -> None:
    answer = answer_of(said, [CONFIRMED])
    assert (answer.outcome, answer.source_code) == (outcome, said.value)
    assert bool(answer.fields) == (outcome is Outcome.HELD)
    assert answer_of(said, []).fields == {}
