"""Sweep: wake the workers of every source that has due lookups, whether a message was lost or a lease ran out.

There is no repair path: a swept lookup goes through ``look_up`` like any other.
"""

from __future__ import annotations

from datetime import timedelta

from broker.core.day import day_of
from broker.flow.parts import Parts
from broker.flow.people import IDLE

HEALTH_KEPT = timedelta(days=90)  # a quarter's figures for the talk with a source's owner


def sweep(parts: Parts) -> list[str]:
    """Wake what is due; returns the sources woken."""
    with parts.store.read() as work:
        sources = work.due_sources(work.pulse().now)
    parts.wake.wake(sources)
    return sources


def tidy(parts: Parts) -> None:
    """Forget nonces too old to be accepted anyway, sessions that have run out, old notes, how sources were long ago."""
    with parts.store.write() as work:
        now = work.pulse().now
        work.forget_nonces(now)
        work.forget_health(day_of(now - HEALTH_KEPT).isoformat())
        work.forget_notes(day_of(now - timedelta(days=parts.limits.answer_days)).isoformat())
        work.forget_sessions(now, now - IDLE)
        work.commit()
