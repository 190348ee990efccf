"""Retain: entries and receipts for years, answers for days. What expires is destroyed by destroying its case's key.

An answer goes that many days after it was given, even where its case lives on: then it alone is destroyed, and what is
reused or looked at again later finds none.

Requests, questions and answers of a case are encrypted with its key. Receipts and entries name digests (salted; the
salt is destroyed with the answer) and pseudonyms, and go on verifying without what they digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from broker.core.entry import Entry, entry
from broker.core.errors import BrokerProblem, CallerProblem
from broker.flow.caller import Identify, identified
from broker.flow.parts import Parts
from broker.ports import Work
from broker.ports.proof import Shredded

ANSWERS_PER_CASE = 10  # so many answers are destroyed in the time of one case


@dataclass(frozen=True, slots=True)
class Erasure:
    """That a case's data shall be destroyed before its time: whose case, who does it, and why."""

    client: str
    case: str
    by: str
    reason: str


def retain(parts: Parts) -> bool:
    """Destroy one batch of what is over, cases and single answers; True where there may be more."""
    with parts.store.write() as work:
        now, limit = work.pulse().now, parts.limits.shred_batch
        before = now - timedelta(days=parts.limits.answer_days)
        cases = work.expired_cases(before, limit)
        stuck = [one for one in work.stuck_cases(before, now, limit) if not _readable(parts, work, one)]
        gone = [_told(one, now, why="expired") for one in work.shred(cases, now, erased=False)]
        gone += [_told(one, now, why="unreadable") for one in work.shred(stuck, now, erased=False)]
        answers = work.expired_answers(before, limit * ANSWERS_PER_CASE)
        gone += [_told(one, now, kind="answers_shredded", why="expired") for one in work.forget_answers(answers)]
        work.record(gone)
        # Crash before this commit: everything is still there, the next run destroys it. After it: gone, and told.
        work.commit()
    return max(len(cases), len(stuck), len(answers) // ANSWERS_PER_CASE) >= limit


def _readable(parts: Parts, work: Work, case: str) -> bool:
    """Whether what is open in a case can still go on: its key opens, and with it all that is needed.

    Where not even the key opens, another case's must: else the deployment's own key is the wrong one, and nothing may
    be destroyed for that.
    """
    try:
        key = parts.vault.unwrap(work.case_key(case))
    except BrokerProblem:
        other = work.latest_case_key([case])
        return other is None or not _opens(parts, other)
    try:
        for one in work.sealed_of(case):
            parts.vault.decrypt(key, one.cipher, one.row)
    except BrokerProblem:
        return False
    return True


def _opens(parts: Parts, wrapped: bytes) -> bool:
    try:
        parts.vault.unwrap(wrapped)
    except BrokerProblem:
        return False
    return True


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
        if work.is_open(case) and _readable(parts, work, case):
            raise CallerProblem("case.undecided", pointer="/case/number")
        (gone,) = work.shred([case], pulse.now, erased=True)
        key = caller.key_id if caller else None
        work.record([_told(gone, pulse.now, why="erased", by=erasure.by, reason=erasure.reason, key=key)])
        # Crash before this commit: nothing is gone. After it, the answer lost: who repeats it is told that it is gone.
        work.commit()
    return gone


def _told(gone: Shredded, now: datetime, kind: str = "shredded", **facts: Any) -> Entry:
    return entry(kind, now, client=gone.client, case=gone.case, verifications=gone.verifications,
                 lookups=gone.lookups, **facts)  # fmt: skip
