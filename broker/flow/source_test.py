"""Test a source's connection as a job (``flow/jobs.py``): the steps of ``flow/source_steps.py``, with their outcomes.

The probe is about a subject that exists only by agreement with the source's owner. The road is tried from the machine
that works the job off: the one that keeps house.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from broker.core.catalog import Source
from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.flow import jobs
from broker.flow.parts import Parts, new_id
from broker.flow.passing import asked_alone
from broker.flow.source_steps import Mark, Tested, steps
from broker.ports import Connection, Connector
from broker.ports.console import Job

KIND = "source-test"
_LEASE = timedelta(seconds=120)  # longer than any source's budget


def ask(parts: Parts, source: str, by: str) -> Job:
    """Begin a test. Raises ``CallerProblem`` ``page.unknown`` for a source that the list in force does not have."""
    with parts.store.write() as work:
        pulse = work.pulse()
        if source not in parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog.sources:
            raise CallerProblem("page.unknown")
        job = jobs.waiting(work, KIND, by, {"source": source}, pulse.now, total=1)
        work.record([entry("source_test_asked", pulse.now, by=by, source=source, job=job.id)])
        # Crash before this commit: nothing was asked for. After it: the housekeeping finds the job.
        work.commit()
    return job


def work_off(parts: Parts) -> bool:
    """Take the oldest waiting test and carry it through; False where there is none."""
    job = jobs.claim(parts, KIND, _LEASE)
    if job is None:
        return False
    source = str(json.loads(job.asked)["source"])
    result = _tried(parts, source)
    with parts.store.write() as work:
        now = work.pulse().now
        if work.keep_job(replace(job, state="done", done=1, result=json.dumps(result), ready_at=now)):
            failed = next((one["name"] for one in result["steps"] if one["mark"] == Mark.FAILS), "passed")
            work.record([entry("source_tested", now, source=source, job=job.id, code=failed)])
        # Crash before this commit: the source was asked, and is asked once more when the lease has run out.
        work.commit()
    return True


def _tried(parts: Parts, name: str) -> dict[str, Any]:
    """Every step that was made, as the page shows it."""
    with parts.store.read() as work:
        pulse = work.pulse()
        source = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog.sources.get(name)
    said: list[bool] = []
    tested = Tested(
        name, source, None if source is None else _asking(parts, source, said.append), parts.reach,
        lambda source, conversation: asked_alone(parts, source, conversation), f"probe-{new_id(pulse.now)}", pulse.now,
        lambda: said[-1] if said else None,
    )  # fmt: skip
    return {"steps": [asdict(one) for one in steps(tested)]}


def _asking(parts: Parts, source: Source, noted: Callable[[bool], None]) -> tuple[Connector, Connection] | None:
    """As a worker asks it, but for a connector that tells what the schema said, where the deployment has one."""
    asking = parts.asking(source)
    if asking is None or parts.noting is None:
        return asking
    return parts.noting(noted)[source.connector], asking[1]
