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


def waiting(work: Work, kind: str, by: str, asked: Mapping[str, Any], now: datetime, total: int = 0) -> Job:
    """A new job of this kind, kept; the caller records who asked for it, and commits."""
    job = Job(new_id(now), kind, by, "waiting", 0, total, json.dumps(asked), None, now, now, 0)
    work.add_job(job)
    return job


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
