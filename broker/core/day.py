"""Which day it is: laws take effect, licences expire and daily caps begin anew at midnight in China."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8), "CST")  # one zone for the whole country, without summer time since 1991


def day_of(now: datetime) -> date:
    """The calendar day of a moment in China."""
    return now.astimezone(CHINA).date()
