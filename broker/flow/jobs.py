"""Jobs: long work asked for by somebody, worked off beside the requests, watched, left, cancelled.

A job is a row: claimed with a lease, its progress kept step by step under that lease, cancelled where it is not
finished. If the process dies, the lease runs out and whoever works next begins anew. What a kind of job does, and what
the log says of it, is that kind's own: ``preview``, ``log_check``, ``source_test``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.flow.parts import Parts, new_id
from broker.ports import Work
from broker.ports.console import Job

MOST_OPEN = 5  # of one person at once: who waits for five has time to look at what came of the first
LATE = timedelta(seconds=30)  # the housekeeping looks every second; what waits longer waits for a process


def waiting(
    work: Work, kind: str, by: str, asked: Mapping[str, Any], now: datetime, total: int = 0, about: str | None = None
) -> Job:
    """A new job of this kind, kept; the caller records who asked for it, and commits.

    Raises ``CallerProblem``: ``job.waiting`` where the same person's job about the same thing is not finished,
    ``job.too-many`` where that person has asked for enough.
    """
    unfinished = work.unfinished_jobs(by)
    if about is not None and any((one.kind, one.about) == (kind, about) for one in unfinished):
        raise CallerProblem("job.waiting")
    if len(unfinished) >= MOST_OPEN:
        raise CallerProblem("job.too-many", got=str(len(unfinished)), expected=str(MOST_OPEN))
    job = Job(new_id(now), kind, by, "waiting", 0, total, json.dumps(asked), None, now, now, 0, about)
    work.add_job(job)
    return job


def stalled(job: Job, now: datetime) -> bool:
    """Whether nobody works on a job that is not finished: no process takes it up, or whoever did is gone."""
    return job.state in {"waiting", "running"} and now > job.ready_at + LATE


def claim(parts: Parts, kind: str, lease: timedelta) -> Job | None:
    """The oldest job of this kind that nobody works on, leased to us; None where there is none."""
    with parts.store.write() as work:
        now = work.pulse().now
        job = work.claim_job(kind, now, now + lease)
        # Crash before this commit: it waits for the next. After it: the lease runs out, and it is claimed again.
        work.commit()
    return job


def keep(parts: Parts, job: Job, lease: timedelta) -> bool:
    """Keep progress under the lease; False where somebody cancelled it or another worker has it now."""
    with parts.store.write() as work:
        kept = work.keep_job(replace(job, ready_at=work.pulse().now + lease))
        # Crash before this commit: the progress shown is the one before. After it: the lease is ours for longer.
        work.commit()
    return kept


def cancel(parts: Parts, kind: str, number: str, by: str, told: str) -> None:
    """Stop a job of this kind that is not finished; ``told`` is the kind of its entry.

    Raises ``CallerProblem`` ``job.unknown``, also for a job of another kind: whoever may stop the one may not
    therefore stop the other.
    """
    with parts.store.write() as work:
        found = work.job(number)
        if found is None or found.kind != kind:
            raise CallerProblem("job.unknown", got=number)
        if work.cancel_job(number):
            work.record([entry(told, work.pulse().now, by=by, job=number)])
        # Crash before this commit: it goes on. After it: whoever works on it hears so when it next keeps its progress.
        work.commit()
