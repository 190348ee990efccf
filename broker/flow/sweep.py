"""Sweep: wake the workers of every source that has due lookups, whether a message was lost or a lease ran out.

There is no repair path: a swept lookup goes through ``look_up`` like any other.
"""

from __future__ import annotations

from broker.flow.parts import Parts


def sweep(parts: Parts) -> list[str]:
    """Wake what is due; returns the sources woken."""
    with parts.store.read() as work:
        sources = work.due_sources(work.pulse().now)
    parts.wake.wake(sources)
    return sources


def tidy(parts: Parts) -> None:
    """Forget spent nonces whose signatures are too old to be accepted anyway."""
    with parts.store.write() as work:
        work.forget_nonces(work.pulse().now)
        work.commit()
