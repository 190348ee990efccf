"""Retain: entries and receipts for years, answers for days. What expires is destroyed by destroying its case's key.

Requests, questions and answers of a case are encrypted with its key. Receipts and entries name digests (salted; the
salt is destroyed with the answer) and pseudonyms, and go on verifying without what they digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from broker.core.entry import Entry, entry
from broker.core.errors import CallerProblem
from broker.flow.caller import Identify, identified
from broker.flow.parts import Parts
from broker.ports.proof import Shredded


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a case's data shall be destroyed before its time: whose case, who does it, and why."""

    client: str
    case: str
    by: str
    reason: str


def retain(parts: Parts) -> bool:
    """Shred one batch of cases whose time is over; True where there may be more."""
    with parts.store.write() as work:
        now = work.pulse().now
        cases = work.expired_cases(now - timedelta(days=parts.limits.answer_days), parts.limits.shred_batch)
        gone = work.shred(cases, now, erased=False)
        work.record([_told(one, now, why="expired") for one in gone])
        # Crash before this commit: everything is still there, the next run shreds it. After it: gone, and told.
        work.commit()
    return len(cases) >= parts.limits.shred_batch


def erase_case(parts: Parts, erasure: Erasure, identify: Identify | None = None) -> Shredded:
    """The right to deletion: shred a case now, and never give it a new key.

    Raises ``CallerProblem``: ``case.unknown``; ``case.undecided`` while a source may still answer; ``case.shredded``
    where it was erased before; ``signature.*``.
    """
    with parts.store.write() as work:
        pulse = work.pulse()
        caller = identified(work, parts.policy(work, pulse), identify, pulse.now) if identify else None
        case = work.lock_case(erasure.client, erasure.case)
        found = work.find_case(erasure.client, erasure.case)
        if case is None or found is None:
            raise CallerProblem("case.unknown", pointer="/case/number")
        if found.erased:
            raise CallerProblem("case.shredded", pointer="/case/number")
        if work.is_open(case):
            raise CallerProblem("case.undecided", pointer="/case/number")
        (gone,) = work.shred([case], pulse.now, erased=True)
        key = caller.key_id if caller else None
        work.record([_told(gone, pulse.now, why="erased", by=erasure.by, reason=erasure.reason, key=key)])
        # Crash before this commit: nothing is gone. After it, the answer lost: who repeats it is told that it is gone.
        work.commit()
    return gone


def _told(gone: Shredded, now: datetime, **facts: Any) -> Entry:
    return entry("shredded", now, client=gone.client, case=gone.case, verifications=gone.verifications,
                 lookups=gone.lookups, **facts)  # fmt: skip
