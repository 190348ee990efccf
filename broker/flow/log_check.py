"""Verify the whole log as a job (``flow/jobs.py``).

The log is read in one transaction, as ``review.verify_log`` does it; the job's row is kept in others meanwhile, so that
its progress is seen and a cancellation is heard.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from broker.core.entry import entry
from broker.core.errors import BrokerProblem, CallerProblem
from broker.core.own_key import KeyRole
from broker.flow import jobs
from broker.flow.parts import Parts
from broker.flow.review import verify_log
from broker.ports.console import Job

KIND = "log-check"
_STEP = 20 * 1024  # entries between two looks at whether the job was cancelled: about a second's work
_LEASE = timedelta(seconds=60)


class _Cancelled(Exception):
    """Somebody cancelled the job, or another process has it now."""


def ask(parts: Parts, by: str) -> Job:
    """Begin a verification of the whole log, or join the one that is on its way."""
    with parts.store.write() as work:
        now = work.pulse().now
        running = next((one for one in work.jobs(KIND, 1) if one.state in {"waiting", "running"}), None)
        if running is not None:
            return running
        job = jobs.waiting(work, KIND, by, {}, now)
        work.record([entry("log_check_asked", now, by=by, job=job.id)])
        # Crash before this commit: nothing was asked for. After it: the housekeeping finds the job.
        work.commit()
    return job


def cancel(parts: Parts, number: str, by: str) -> None:
    """Stop a verification that is not finished. Raises ``CallerProblem`` ``job.unknown``."""
    jobs.cancel(parts, KIND, number, by, "log_check_cancelled")


def work_off(parts: Parts) -> bool:
    """Take the oldest waiting job and carry it through; False where there is none."""
    job = jobs.claim(parts, KIND, _LEASE)
    if job is None:
        return False
    reached = 0

    def heard(done: int, total: int) -> None:
        nonlocal reached
        if done - reached >= _STEP or done == total:
            reached = done
            if not jobs.keep(parts, replace(job, state="running", done=done, total=total), _LEASE):
                raise _Cancelled

    try:
        report = verify_log(parts, parts.published(KeyRole.LOG, parts.log_keys), heard)
        result = {"holds": True, "size": report.size, "root": report.root.hex(), "waiting": report.unsequenced}
    except _Cancelled:
        return True
    except (CallerProblem, BrokerProblem) as problem:  # what does not hold; anything else is a fault of this process
        if problem.code == "store.away":
            raise
        result = {"holds": False, "code": problem.code, "got": problem.got}
    _finish(parts, job, result, reached)
    return True


def _finish(parts: Parts, job: Job, result: dict[str, Any], reached: int) -> None:
    with parts.store.write() as work:
        now = work.pulse().now
        kept = replace(job, state="done", done=reached, total=reached, ready_at=now,
                       result=json.dumps(result | {"at": now.isoformat()}))  # fmt: skip
        if work.keep_job(kept):
            work.record([entry("log_checked", now, job=job.id, **result)])
        # Crash before this commit: the lease runs out and the log is verified again. After it: the result stands.
        work.commit()
