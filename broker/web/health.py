"""How the broker and its sources are, for people, for probes, and for Prometheus. Nothing here names a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import orjson
from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from broker.core.day import day_of
from broker.core.envelope import Verifier
from broker.core.gate import Breaker, Gate, Stop
from broker.core.health import BOUNDS_MS, Day
from broker.core.own_key import OwnKey
from broker.core.roles import Role
from broker.flow.backlog import outstanding
from broker.flow.fitness import fitness, sources_seen, states
from broker.flow.parts import Parts
from broker.web.backlog_figures import BacklogFigures
from broker.web.guard import JSON, Signed, read_body, reading
from broker.web.key_book import KeyBook

METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
FRESH_SECONDS: Final = 1.0  # anybody may ask for the examination: more often than this it is not made
COUNTED_SECONDS: Final = 5.0  # nor is the backlog counted more often, which costs more
_WATCHERS: Final = tuple(role for role in Role if role not in {Role.WITNESS, Role.PORTAL})


_T = TypeVar("_T")


class Health:
    """The routes of health; one object per process."""

    def __init__(self, parts: Parts, public_url: str, book: KeyBook, queue: Callable[[], bool]) -> None:
        """``book`` has the keys that this process holds; ``queue`` tells whether the queue answers."""
        self._parts = parts
        self._public_url = public_url
        self._examine = _Rarely(
            lambda: fitness(parts, _by_id([*book.receipt_keys, *book.log_keys]), queue), FRESH_SECONDS
        )
        self._count = _Rarely(lambda: outstanding(parts), COUNTED_SECONDS)

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, name, view in (
            ("/v1/sources", "sources", self.sources),
            ("/v1/health", "fitness", self.fitness),
            ("/metrics", "metrics", self.metrics),
        ):
            app.add_url_rule(rule, name, view, methods=["GET"], provide_automatic_options=False)

    def sources(self) -> Response:
        """Every source of the edition in force, to whoever asks them or answers for them."""
        signed = Signed(request, self._public_url, read_body(request), _WATCHERS)
        with reading(self._parts, signed) as (work, _):
            return _json({"sources": sources_seen(self._parts, work)})

    def fitness(self) -> Response:
        """Which part is broken; a problem where nothing can be admitted."""
        return _json(self._examine())

    def metrics(self) -> Response:
        """What a Prometheus scrapes: all workers' figures out of the database, and this process's own."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            now, policy = pulse.now, self._parts.policy(work, pulse)
            gates, days = states(work, now)
        registry = CollectorRegistry()
        registry.register(_Figures(gates, days, now))
        registry.register(_Stops(policy.stops))
        registry.register(_Keys(policy.own_keys.values(), now))
        registry.register(BacklogFigures(self._count()))
        ProcessCollector(registry=registry)
        response = Response(generate_latest(registry), content_type=METRICS)
        response.headers["Cache-Control"] = "no-store"
        return response


def _by_id(keys: Iterable[Verifier]) -> dict[str, Verifier]:
    return {one.key_id: one for one in keys}


class _Rarely(Generic[_T]):
    """Something that is done at most once in a while; whoever comes sooner gets what came of the last time."""

    def __init__(self, done: Callable[[], _T], seconds: float) -> None:
        self._done = done
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last: tuple[float, _T] | None = None  # until when it serves, and what it is

    def __call__(self) -> _T:
        with self._lock:
            if self._last is None or time.monotonic() >= self._last[0]:
                found = self._done()
                self._last = (time.monotonic() + self._seconds, found)
            return self._last[1]


class _Keys:
    """When our own signing keys end: whoever watches warns as many days ahead as a rotation takes."""

    def __init__(self, own_keys: Iterable[OwnKey], now: datetime) -> None:
        self._ends = {(one.name, one.role.value, one.verifier.key_id): one.ends(now) for one in own_keys}

    def collect(self) -> Iterable[Metric]:
        """Nothing for a key without an end."""
        told = GaugeMetricFamily(
            "broker_own_key_ends_timestamp_seconds", "When a signing key of ours ends.", labels=["name", "role", "key"]
        )
        for labels, ends in self._ends.items():
            if ends is not None:
                told.add_metric(labels, ends.timestamp())
        yield told


class _Stops:
    """What people have stopped: an alarm on what is away or silent leaves these out."""

    def __init__(self, stops: Mapping[str, Stop]) -> None:
        self._stops = stops

    def collect(self) -> Iterable[Metric]:
        """Nothing for a source that is not stopped."""
        told = GaugeMetricFamily(
            "broker_source_stopped_since_timestamp_seconds", "Since when a person has stopped it.", labels=["source"]
        )
        for source, stop in self._stops.items():
            told.add_metric([source], stop.at.timestamp())
        yield told


class _Figures:
    """The sources' figures as metrics: one label, the source, whose values the sharing list bounds."""

    def __init__(self, gates: Mapping[str, Gate], days: Mapping[str, Day], now: datetime) -> None:
        self._day = today = day_of(now).isoformat()
        self._gates = gates
        self._days = days
        self._today = {source: day for source, day in days.items() if day.day == today}

    def collect(self) -> Iterable[Metric]:
        """Counters begin anew at midnight in China, which Prometheus takes for a restart."""
        lookups = CounterMetricFamily(
            "broker_source_lookups", "Lookups by what came of them, today.", labels=["source", "outcome"]
        )
        faults = CounterMetricFamily("broker_source_faults", "Lookups that met a fault, today.", labels=["source"])
        calls = CounterMetricFamily("broker_source_calls", "Requests sent or counted today.", labels=["source"])
        for source, gate in self._gates.items():
            if gate.day == self._day:
                calls.add_metric([source], gate.calls)
        durations = HistogramMetricFamily(
            "broker_source_duration_seconds", "How long conversations took, today.", labels=["source"]
        )
        for source, day in self._today.items():
            for outcome in ("held", "not_held", "unknown", "barred"):
                lookups.add_metric([source, outcome], getattr(day, outcome))
            faults.add_metric([source], day.failed)
            durations.add_metric([source], _cumulated(day), sum_value=day.total_ms / 1000)
        yield from (lookups, faults, calls, durations, self._breakers(), *self._moments())

    def _breakers(self) -> Metric:
        told = GaugeMetricFamily(
            "broker_source_breaker_open",
            "1 while a source is not asked, 0.5 while one lookup probes.",
            labels=["source"],
        )
        for source, gate in self._gates.items():
            told.add_metric([source], {Breaker.CLOSED: 0.0, Breaker.HALF_OPEN: 0.5, Breaker.OPEN: 1.0}[gate.breaker])
        return told

    def _moments(self) -> Iterable[Metric]:
        for name, words in (("last_ok", "answered well"), ("last_fail", "met a fault")):
            told = GaugeMetricFamily(
                f"broker_source_{name}_timestamp_seconds", f"When a lookup last {words}.", labels=["source"]
            )
            for source, day in self._days.items():
                when = getattr(day, f"{name}_at")
                if when is not None:
                    told.add_metric([source], when.timestamp())
            yield told


def _cumulated(day: Day) -> list[tuple[str, float]]:
    """Prometheus counts in each bucket what stands in the smaller ones too."""
    reached, found = 0, []
    for bound, count in zip([*(str(one / 1000) for one in BOUNDS_MS), "+Inf"], day.buckets, strict=True):
        reached += count
        found.append((bound, float(reached)))
    return found


def _json(document: Mapping[str, Any]) -> Response:
    response = Response(orjson.dumps(document), content_type=JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
