"""Alive: a log in which nothing happens says so, or a witness could not tell it from one that is withheld."""

from __future__ import annotations

from datetime import timedelta

from broker.core.entry import entry
from broker.flow.parts import Parts


def alive(parts: Parts) -> bool:
    """Write an entry ``alive`` where the log has signed nothing for ``limits.quiet_minutes``; whether one was written.

    One at a time, and none while an entry waits for its place: a sequencer that stands still is not covered up.
    """
    with parts.store.write() as work:
        now, signed_at = work.pulse().now, work.latest_signing()
        if signed_at is None or now - signed_at < timedelta(minutes=parts.limits.quiet_minutes):
            return False
        if not work.lock_log() or work.unsequenced(1):
            return False
        work.record([entry("alive", now)])
        work.commit()
    return True
