"""Working days (工作日): deadlines of approvals and checks count them, not calendar days.

Which days are holidays, and which weekends are worked instead (调休), the State Council decides for each year anew, in
the autumn before. So both come as data; a year without data counts as plain weekdays, and ``covers`` tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """What differs from plain weekdays: days off, and weekend days that are worked."""

    holidays: frozenset[date] = field(default=frozenset(), repr=False)
    workdays: frozenset[date] = field(default=frozenset(), repr=False)

    def is_working_day(self, day: date) -> bool:
        """Whether offices are open; by the weekday alone in a year without data."""
        return day in self.workdays or (day.weekday() < _SATURDAY and day not in self.holidays)

    def covers(self, start: date, end: date) -> bool:
        """Whether the holidays of every year between are known; if not, a deadline there may still move later."""
        known = {day.year for day in self.holidays}
        return all(year in known for year in range(start.year, end.year + 1))


def add_working_days(calendar: Calendar, start: date, days: int) -> date:
    """The last of ``days`` working days after ``start``, itself not counted; ``start`` where there are none."""
    if days < 0:
        raise ValueError(days)
    day = start
    while days:
        day += timedelta(days=1)
        days -= calendar.is_working_day(day)
    return day
