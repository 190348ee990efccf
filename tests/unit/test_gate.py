"""The gate before a source: breaker first, then the day's calls, then the second's; and how a batch waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.core.gate import (
    BARRED_BREAKER,
    BARRED_DAY,
    BARRED_PAUSE,
    PROBE_GRACE,
    Breaker,
    alone,
    cost_after,
    new_gate,
    passage,
)
from tests.asking import SOURCES

NOW = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
SOURCE = replace(SOURCES["nr-title"], calls_per_second=10, calls_per_day=None, budget_ms=1000)


def later(**time: float) -> datetime:
    return NOW + timedelta(**time)


def test_a_tenth_of_a_second_of_calls_may_be_made_at_once_and_the_rest_waits() -> None:
    fast = replace(SOURCE, calls_per_second=100)
    first = passage(new_gate(fast, NOW), fast, 32, NOW)
    assert (first.asked, first.barred, first.wait_ms, first.calls) == (10, "", 110, 10)
    assert passage(first.gate, fast, 1, NOW).asked == 0
    assert passage(first.gate, fast, 1, later(milliseconds=11)).asked == 1
    assert passage(first.gate, fast, 32, later(days=1)).asked == 10


def test_a_clock_that_went_back_gives_no_calls_and_takes_none() -> None:
    fast = replace(SOURCE, calls_per_second=100)
    gate = passage(new_gate(fast, NOW), fast, 4, NOW).gate
    assert passage(gate, fast, 32, later(seconds=-60)).asked == 6


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 32)), max_size=60), st.integers(1, 60))
def test_in_no_second_more_begin_than_the_source_allows(steps: list[tuple[int, int]], rate: int) -> None:
    """Whatever second one looks at, the first one included."""
    source, now, gate = (
        replace(SOURCE, calls_per_second=rate),
        NOW,
        new_gate(replace(SOURCE, calls_per_second=rate), NOW),
    )
    begun: list[tuple[datetime, int]] = []
    for pause, wanted in steps:
        now += timedelta(milliseconds=pause)
        passed = passage(gate, source, wanted, now)
        gate = passed.gate
        begun.append((now, passed.asked))
        assert 0 <= passed.asked <= wanted
        assert passed.asked == wanted or passed.barred or passed.wait_ms > 0
        since = now - timedelta(seconds=1)
        assert sum(asked for when, asked in begun if when > since) <= rate


def test_what_is_allowed_is_nearly_used() -> None:
    source = replace(SOURCE, calls_per_second=200)
    gate, now, asked = new_gate(source, NOW), NOW, 0
    for _ in range(200):
        passed = passage(gate, source, 32, now)
        gate, asked, now = passed.gate, asked + passed.asked, now + timedelta(milliseconds=max(passed.wait_ms, 1))
    assert asked / (now - NOW).total_seconds() >= 0.9 * 200


def test_a_lookup_is_counted_as_the_calls_it_makes() -> None:
    source = replace(SOURCE, calls_per_second=100, calls_per_day=25)
    gate = replace(new_gate(source, NOW), cost=4000)
    first = passage(gate, source, 32, NOW)
    assert (first.asked, first.calls, first.gate.calls) == (3, 12, 12), "the third begins while calls are left"
    assert passage(first.gate, source, 32, later(milliseconds=20)).asked == 0, "and is paid for before the next"
    second = passage(first.gate, source, 32, later(seconds=1))
    assert (second.asked, second.gate.calls) == (3, 24)
    assert passage(second.gate, source, 1, later(seconds=2)).barred == BARRED_DAY, "one call is no lookup"


@given(st.lists(st.tuples(st.integers(1, 32), st.integers(0, 12)), max_size=30))
def test_what_lookups_cost_is_learnt_and_never_less_than_one_call(batches: list[tuple[int, int]]) -> None:
    gate = new_gate(SOURCE, NOW)
    for lookups, each in batches:
        gate = replace(gate, cost=cost_after(gate, lookups, lookups * each))
        assert 1000 <= gate.cost <= 12_000
    for _ in range(40):
        gate = replace(gate, cost=cost_after(gate, 8, 24))
    assert 2997 <= gate.cost <= 3003


def test_a_pause_that_the_source_asks_for_is_waited_for_or_answered() -> None:
    gate = replace(new_gate(SOURCE, NOW), closed_until=later(seconds=8))
    waits = passage(gate, SOURCE, 5, NOW)
    assert (waits.asked, waits.barred, waits.ready_at, waits.gate.tokens) == (0, "", later(seconds=8), gate.tokens)
    impatient = replace(SOURCE, options={"patience_seconds": 5})
    assert passage(gate, impatient, 5, NOW).barred == BARRED_PAUSE
    assert passage(gate, impatient, 5, later(seconds=3)).ready_at == later(seconds=8)
    assert passage(gate, SOURCE, 5, later(seconds=8)).asked == 1
    assert alone(gate, SOURCE, NOW).barred == BARRED_PAUSE


def test_one_call_beside_the_lookups_is_counted_and_the_lookups_wait_for_it() -> None:
    source = replace(SOURCE, calls_per_day=2)
    first = alone(replace(new_gate(source, NOW), cost=3000), source, NOW)
    assert (first.asked, first.calls, first.gate.calls, first.gate.cost) == (1, 1, 1, 3000)
    second = alone(first.gate, source, NOW)
    assert second.asked == 1
    assert passage(second.gate, replace(SOURCE, calls_per_day=9), 1, later(milliseconds=150)).asked == 0
    assert alone(second.gate, source, NOW).barred == BARRED_DAY
    away = replace(new_gate(source, NOW), breaker=Breaker.OPEN, until=later(seconds=10))
    assert alone(away, source, NOW).gate.breaker is Breaker.HALF_OPEN, "it finds out for all"


def test_when_the_days_calls_are_used_up_nobody_waits_for_tomorrow() -> None:
    source = replace(SOURCE, calls_per_day=3, calls_per_second=100)
    first = passage(new_gate(source, NOW), source, 5, NOW)
    assert (first.asked, first.wait_ms) == (3, 0)
    assert passage(first.gate, source, 2, NOW).barred == BARRED_DAY
    midnight = datetime(2026, 7, 1, 16, 0, tzinfo=UTC)  # in China
    assert passage(first.gate, source, 2, midnight - timedelta(seconds=1)).barred == BARRED_DAY
    assert passage(first.gate, source, 2, midnight).asked == 2


def test_an_open_breaker_bars_all_until_its_time_then_lets_one_pass() -> None:
    gate = replace(new_gate(SOURCE, NOW), breaker=Breaker.OPEN, until=later(seconds=10))
    assert passage(gate, SOURCE, 5, later(seconds=9.999)).barred == BARRED_BREAKER
    probe = passage(gate, SOURCE, 5, later(seconds=10))
    assert (probe.asked, probe.barred, probe.gate.breaker) == (1, "", Breaker.HALF_OPEN)
    assert passage(probe.gate, SOURCE, 5, later(seconds=10.5)).barred == BARRED_BREAKER


def test_a_probe_whose_worker_died_is_sent_again() -> None:
    gate = replace(new_gate(SOURCE, NOW), breaker=Breaker.OPEN, until=NOW)
    probe = passage(gate, SOURCE, 1, NOW)
    assert passage(probe.gate, SOURCE, 1, NOW + timedelta(seconds=1) + PROBE_GRACE).asked == 1


def test_a_barred_lookup_costs_no_call() -> None:
    source = replace(SOURCE, calls_per_day=5)
    gate = replace(new_gate(source, NOW), breaker=Breaker.OPEN, until=later(seconds=10))
    assert passage(gate, source, 5, NOW).gate.calls == 0
    assert passage(gate, source, 5, NOW).gate.tokens == gate.tokens
