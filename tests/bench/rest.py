"""Latency at rest: one verification at a time, and between them the sources asked directly, to know what is theirs.

What is subtracted is the smallest time a verification can owe to its sources: the median of one exchange with the
slower of the two, since all three questions may be asked at once. Everything else counts as added by the contender.
"""

from __future__ import annotations

import socket
import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.bootstrap import read_platforms
from broker.core.catalog import Source
from broker.signing import keys
from tests.bench.direct import Asker, exchange_connector
from tests.bench.driver import ANSWER_SECONDS, exchange
from tests.bench.stack import Contender
from tests.bench.work_unit import Caller, document, documents, questions, sharing_list
from tests.bench.world import World

PAUSE_SECONDS = 0.02  # between two verifications, so that each begins at rest
WARM = 20


@dataclass(frozen=True)
class Rest:
    """Milliseconds."""

    samples: int
    source_p50: float
    total_p50: float
    total_p95: float
    added_p50: float
    added_p95: float


def at_rest(world: World, contender: Contender, samples: int) -> Rest:
    """Latency of a running contender."""
    caller = Caller(contender.url, keys.load_private(world.caller_key(contender.algorithm).read_bytes()))
    numbers = documents(world.couples, "rest")
    parts = urlsplit(contender.url)
    totals: list[float] = []
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=ANSWER_SECONDS) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ask = _sources(world)
        asked: dict[str, list[float]] = {}
        for position in range(samples + WARM):
            message = caller.submit(next(numbers))
            begun = time.perf_counter()
            response = exchange(sock, message)
            totals.append(time.perf_counter() - begun)
            if response.status != 200:
                raise RuntimeError(f"{response.status} {response.body[:300].decode(errors='replace')}")
            for source, seconds in ask().items():
                asked.setdefault(source, []).append(seconds)
            time.sleep(PAUSE_SECONDS)
            if position == WARM - 1:
                totals.clear()
                asked.clear()
    source = max(statistics.median(times) for times in asked.values())
    return _rest(totals, source)


def _rest(totals: list[float], source: float) -> Rest:
    ordered = sorted(1000 * one for one in totals)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    theirs = 1000 * source
    return Rest(len(ordered), theirs, p50, p95, p50 - theirs, p95 - theirs)


def _sources(world: World) -> Any:
    """A function that asks each source once and tells how long each took."""
    edition = sharing_list()
    sources = edition.catalog.sources
    by_source = {one.source: one for one in questions(edition, document(world.couples[0], "rest"))}
    asker = Asker(exchange_connector(), read_platforms(Path(world.sandbox.connections)))

    def ask() -> dict[str, float]:
        return {key: _timed(asker, replace(one), sources[key]) for key, one in by_source.items()}

    return ask


def _timed(asker: Asker, asked: Any, source: Source) -> float:
    begun = time.perf_counter()
    asker.ask(asked, source)
    return time.perf_counter() - begun
