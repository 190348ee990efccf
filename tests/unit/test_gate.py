"""The gate before a source: breaker first, then the day's calls, then the second's; and how a batch waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.core.gate import BARRED_BREAKER, BARRED_DAY, LONGEST_WAIT_MS, PROBE_GRACE, Breaker, new_gate, passage
from tests.asking import SOURCES

NOW = datetime(2026, 7, 1, 4, 0, tzinfo=UTC)
SOURCE = replace(SOURCES["nr-title"], calls_per_second=10, calls_per_day=None, budget_ms=1000)


def later(**time: float) -> datetime:
    return NOW + timedelta(**time)


def test_a_second_of_calls_may_be_made_at_once_and_the_rest_waits() -> None:
    first = passage(new_gate(SOURCE, NOW), SOURCE, 32, NOW)
    assert (first.asked, first.barred, first.wait_ms) == (10, "", LONGEST_WAIT_MS)
    assert passage(first.gate, SOURCE, 1, NOW).asked == 0
    assert passage(first.gate, SOURCE, 1, later(milliseconds=100)).asked == 1
    assert passage(first.gate, SOURCE, 32, later(days=1)).asked == 10


def test_a_clock_that_went_back_gives_no_calls_and_takes_none() -> None:
    gate = passage(new_gate(SOURCE, NOW), SOURCE, 4, NOW).gate
    assert passage(gate, SOURCE, 32, later(seconds=-60)).asked == 6


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 32)), max_size=40), st.integers(1, 50))
def test_in_no_stretch_of_time_more_is_asked_than_rate_times_time_and_one_second(
    steps: list[tuple[int, int]], rate: int
) -> None:
    source, now = replace(SOURCE, calls_per_second=rate), NOW
    gate, asked, elapsed = new_gate(source, NOW), 0, 0
    for pause, wanted in steps:
        now, elapsed = now + timedelta(milliseconds=pause), elapsed + pause
        passed = passage(gate, source, wanted, now)
        gate, asked = passed.gate, asked + passed.asked
        assert 0 <= passed.asked <= wanted
        assert passed.asked == wanted or passed.barred or passed.wait_ms > 0
    assert asked * 1000 <= rate * (elapsed + 1000)


def test_when_the_days_calls_are_used_up_nobody_waits_for_tomorrow() -> None:
    source = replace(SOURCE, calls_per_day=3)
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
