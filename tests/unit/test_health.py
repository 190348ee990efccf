"""How sources have been: what a batch adds, what the figures say, and which word stands for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.answer import Answer, Reason
from broker.core.gate import Breaker, new_gate
from broker.core.health import BOUNDS_MS, FAULTS, Day, Results, day_of_batch, merged, source_view, state_of
from broker.core.probe import Probing
from tests.asking import SOURCES

NOW = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)


def batch(*reasons: Reason, durations: tuple[int, ...] = (), barred: int = 0, now: datetime = NOW) -> Day:
    results = Results([Answer(reason) for reason in reasons], barred=barred)
    return day_of_batch("s", now.date().isoformat(), results, durations, now)


@pytest.mark.parametrize("reason", sorted(FAULTS))
def test_whoever_looks_at_a_failure_is_told_what_to_do_unless_it_mends_itself(reason: Reason) -> None:
    day = day_of_batch("s", "2026-11-22", Results([Answer(reason)]), [], NOW)
    told = source_view("s", {}, day, None, Probing.NONE, None)["reaction"]
    passing = {Reason.SOURCE_DOWN, Reason.LATE, Reason.EFFECT_UNKNOWN, Reason.STALE}
    assert (told is None) == (reason in passing)
    assert told is None or all(told.values())


def test_business_answers_are_no_failures_and_faults_are() -> None:
    day = batch(Reason.VALID, Reason.REVOKED, Reason.NOT_FOUND, Reason.LATE, Reason.MALFORMED, barred=2)
    assert (day.held, day.not_held, day.unknown, day.failed, day.barred, day.asked) == (1, 1, 3, 2, 2, 5)
    assert (day.last_ok_at, day.last_fail_at, day.last_failure) == (NOW, NOW, "unknown.malformed")
    fine = batch(Reason.NOT_FOUND)
    assert (fine.last_ok_at, fine.last_fail_at, fine.last_failure) == (NOW, None, "")


def test_of_what_was_never_asked_the_source_is_not_blamed() -> None:
    day = batch(Reason.NOT_CONFIGURED, Reason.INSUFFICIENT)
    assert (day.asked, day.last_ok_at, day.last_fail_at) == (0, None, None)


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=200))
def test_the_p95_is_a_bound_of_the_true_one_and_never_above_the_longest(durations: list[int]) -> None:
    day = batch(Reason.VALID, durations=tuple(durations))
    ordered = sorted(durations)
    true = ordered[-(-len(ordered) * 95 // 100) - 1]
    bound = next((one for one in BOUNDS_MS if true <= one), max(durations))
    assert day.p95_ms == min(bound, max(durations))
    assert sum(day.buckets) == day.timed == len(durations)
    assert (day.least_ms, day.most_ms) == (min(durations), max(durations))


def test_nothing_timed_has_no_figures() -> None:
    assert (batch(Reason.VALID).average_ms, batch(Reason.VALID).p95_ms) == (None, None)


def test_a_week_has_todays_counts_and_the_last_success_and_failure_of_all() -> None:
    yesterday = batch(Reason.LATE, now=NOW - timedelta(days=1))
    today = batch(Reason.VALID, Reason.VALID)
    week = merged([yesterday, today])
    assert week == replace(today, last_fail_at=yesterday.last_fail_at, last_failure="unknown.late")
    assert merged([]) is None


def test_a_week_has_the_newest_data_of_all_its_days() -> None:
    of = {"2026-06-20": None, "2026-06-22": NOW - timedelta(days=2), "2026-06-25": NOW - timedelta(days=5)}
    week = merged([replace(batch(Reason.VALID), day=day, data_as_of=moment) for day, moment in of.items()])
    assert week is not None
    assert week.data_as_of == NOW - timedelta(days=2)
    assert batch(Reason.VALID).data_as_of is None


def test_one_word_says_how_a_source_is() -> None:
    gate = new_gate(SOURCES["nr-title"], NOW)
    assert state_of(None, None) == state_of(None, gate) == "unasked"
    assert state_of(batch(Reason.VALID), gate) == "ok"
    assert state_of(batch(Reason.LATE), gate) == "failing"
    assert state_of(batch(Reason.VALID), replace(gate, breaker=Breaker.OPEN)) == "away"


def test_a_source_that_nobody_asked_can_be_shown() -> None:
    shown = source_view("s", {"zh": "甲", "en": "A"}, None, None, Probing.NONE, None)
    assert (shown["state"], shown["breaker"], shown["duration_ms"]["p95"]) == (
        "unasked",
        {"state": "closed", "until": None},
        None,
    )
