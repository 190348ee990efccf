"""Working days: weekends, the State Council's days off, and weekends that are worked instead."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.bootstrap import working_calendar
from broker.core.working_days import Calendar, add_working_days

STATE = working_calendar()
DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        (date(2026, 11, 23), 1, date(2026, 11, 24)),
        (date(2026, 11, 27), 1, date(2026, 11, 30)),  # over a weekend
        (date(2026, 11, 28), 1, date(2026, 11, 30)),  # begun on one
        (date(2026, 11, 23), 10, date(2026, 12, 7)),
        (date(2025, 9, 26), 1, date(2025, 9, 28)),  # a Sunday that is worked before the National Day
        (date(2025, 9, 30), 1, date(2025, 10, 9)),  # eight days off
        (date(2025, 10, 9), 2, date(2025, 10, 11)),  # and a Saturday that is worked after them
        (date(2026, 11, 23), 0, date(2026, 11, 23)),
    ],
)
def test_working_days_follow_the_published_calendar(start: date, days: int, end: date) -> None:
    assert add_working_days(STATE, start, days) == end


def test_a_year_without_data_counts_weekdays_and_says_so() -> None:
    assert STATE.covers(date(2025, 12, 1), date(2026, 6, 1))
    assert not STATE.covers(date(2026, 12, 20), date(2051, 1, 3))
    assert add_working_days(Calendar(), date(2025, 9, 30), 1) == date(2025, 10, 1)
    assert not Calendar().covers(date(2025, 9, 30), date(2025, 10, 1))


def test_no_deadline_lies_before_its_start() -> None:
    with pytest.raises(ValueError, match="-1"):
        add_working_days(STATE, date(2026, 1, 1), -1)


@given(DAYS, st.integers(1, 40), st.sets(DAYS, max_size=20), st.sets(DAYS, max_size=20))
def test_between_start_and_deadline_lie_exactly_so_many_working_days(
    start: date, days: int, off: set[date], worked: set[date]
) -> None:
    calendar = Calendar(frozenset(off), frozenset(worked))
    end = add_working_days(calendar, start, days)
    between = [start + timedelta(days=one) for one in range(1, (end - start).days + 1)]
    assert sum(map(calendar.is_working_day, between)) == days
    assert calendar.is_working_day(end)
