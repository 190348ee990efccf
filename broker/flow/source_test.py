"""Test a source's connection as a job (``flow/jobs.py``): its harmless probe, as a worker asks it, told step by step.

The probe is about a subject that exists only by agreement with the source's owner. Name resolution, TCP and TLS are
tried apart only by ``broker source test`` on the machine itself; here they show as one step, that it answers.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from broker.core.answer import Answer, checked
from broker.core.entry import entry
from broker.core.errors import CallerProblem
from broker.core.probe import ANSWERED, agreed, failed_step, probe_question, told
from broker.flow import jobs
from broker.flow.parts import Parts, new_id
from broker.flow.passing import asked_alone
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
            failed = result["failed"]
            work.record([entry("source_tested", now, source=source, job=job.id, code=failed or "passed")])
        # Crash before this commit: the source was asked, and is asked once more when the lease has run out.
        work.commit()
    return True


def _tried(parts: Parts, name: str) -> dict[str, Any]:
    """The steps that held, the one that failed ("" for none), and what the answer said."""
    with parts.store.read() as work:
        pulse = work.pulse()
        source = parts.edition_in_force(work, parts.policy(work, pulse), pulse.now).catalog.sources.get(name)
    if source is None:
        return _result([], "list")
    asking = parts.asking(source)
    if asking is None:
        return _result(["list"], "connection")
    connector, connection = asking
    options = agreed(source, connection.options)
    try:
        question = probe_question(source, options, f"probe-{new_id(pulse.now)}")
    except (KeyError, TypeError, ValueError):
        return _result(["list", "connection"], "probe")
    reply = asked_alone(parts, source, connector.ask(question, source, connection, pulse.now))
    before = ["list", "connection", "probe"]
    if not isinstance(reply, Answer):
        return _result([*before, "answer"], "")  # it answers later: that it was taken is all a probe can show
    answer = checked(question, reply, source, pulse.now)
    failed = failed_step(answer, options.get("expect"), fits=None) or ""
    reached = ANSWERED[: ANSWERED.index(failed)] if failed else ANSWERED
    zh, en = told(answer)
    return _result([*before, *reached], failed, {"zh": zh, "en": en})


def _result(held: list[str], failed: str, said: dict[str, str] | None = None) -> dict[str, Any]:
    return {"held": held, "failed": failed, "said": said}
