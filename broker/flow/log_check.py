"""Verify the whole log as a job: asked for by somebody, worked off beside the requests, watched, left, cancelled.

The log is read in one transaction, as ``review.verify_log`` does it; the job's row is kept in others meanwhile, so that
its progress is seen and a cancellation is heard. If the process dies, the lease runs out and the next one begins anew.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from broker.core.entry import entry
from broker.core.errors import BrokerProblem, CallerProblem
from broker.flow.parts import Parts, new_id
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
        job = Job(new_id(now), KIND, by, "waiting", 0, 0, "{}", None, now, now, 0)
        work.add_job(job)
        work.record([entry("log_check_asked", now, by=by, job=job.id)])
        # Crash before this commit: nothing was asked for. After it: the housekeeping finds the job.
        work.commit()
    return job


def cancel(parts: Parts, number: str, by: str) -> None:
    """Stop a job that is not finished. Raises ``CallerProblem`` ``job.unknown``."""
    with parts.store.write() as work:
        found = work.job(number)
        if found is None or found.kind != KIND:
            raise CallerProblem("job.unknown", got=number)
        if work.cancel_job(number):
            work.record([entry("log_check_cancelled", work.pulse().now, by=by, job=number)])
        work.commit()


def work_off(parts: Parts) -> bool:
    """Take the oldest waiting job and carry it through; False where there is none."""
    with parts.store.write() as work:
        now = work.pulse().now
        job = work.claim_job(KIND, now, now + _LEASE)
        work.commit()
    if job is None:
        return False
    reached = 0

    def heard(done: int, total: int) -> None:
        nonlocal reached
        if done - reached >= _STEP or done == total:
            reached = done
            _keep(parts, replace(job, state="running", done=done, total=total))

    try:
        report = verify_log(parts, parts.log_keys, heard)
        result = {"holds": True, "size": report.size, "root": report.root.hex(), "waiting": report.unsequenced}
    except _Cancelled:
        return True
    except (CallerProblem, BrokerProblem) as problem:  # what does not hold; anything else is a fault of this process
        if problem.code == "store.away":
            raise
        result = {"holds": False, "code": problem.code, "got": problem.got}
    _finish(parts, job, result, reached)
    return True


def _keep(parts: Parts, job: Job) -> None:
    """Keep progress under the lease."""
    with parts.store.write() as work:
        if not work.keep_job(replace(job, ready_at=work.pulse().now + _LEASE)):
            raise _Cancelled
        work.commit()


def _finish(parts: Parts, job: Job, result: dict[str, Any], reached: int) -> None:
    with parts.store.write() as work:
        now = work.pulse().now
        kept = replace(job, state="done", done=reached, total=reached, ready_at=now,
                       result=json.dumps(result | {"at": now.isoformat()}))  # fmt: skip
        if work.keep_job(kept):
            work.record([entry("log_checked", now, job=job.id, **result)])
        # Crash before this commit: the lease runs out and the log is verified again. After it: the result stands.
        work.commit()
