"""Preview: what a draft would have made of the verifications of the last days, worked out beside the requests.

A job (``flow/jobs.py``). It reads the recorded requests and answers and keeps counts only; nothing of a person leaves
it. Each verification is decided twice, under the edition that the draft stands on and under the draft, both with
today's grants and today's marked records: what differs is the draft's own doing, and nobody else's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from broker.core.authorise import Permit, Refusal, Used, authorise, kept_back
from broker.core.case import Request, request_from
from broker.core.catalog import Edition, catalog_from
from broker.core.day import day_of
from broker.core.entry import entry
from broker.core.errors import BrokerProblem, CallerProblem, OperatorProblem
from broker.core.findings import has_errors
from broker.core.plan import Plan, plan
from broker.core.replay import Comparison, Permits, Recorded, run
from broker.flow import jobs
from broker.flow.matters import disputed, finding_of
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports import LookupRow, Policy
from broker.ports.console import Decided, Job

KIND = "preview"
LONGEST_DAYS = 31
_CHUNK = 100  # verifications between two looks at whether the job was cancelled
_LEASE = timedelta(seconds=60)
_MOST_TRIES = 3
_UNREADABLE = "unreadable"


def ask(parts: Parts, number: str, days: int, by: str, check: Check) -> Job:
    """Begin a preview of a draft over the last days.

    Raises ``catalog.broken``, ``edition.unknown``, ``job.waiting``, ``job.too-many``.
    """
    if not 1 <= days <= LONGEST_DAYS:
        raise CallerProblem("request.parameter", got=str(days), expected=f"1 to {LONGEST_DAYS} days")
    with parts.store.read() as work:
        kept = work.read_draft(number)
    if kept is None:
        raise CallerProblem("edition.unknown", got=number)
    if has_errors(check(json.loads(kept[1]))):
        raise OperatorProblem("catalog.broken")
    asked = {"draft": number, "days": days, "digest": kept[0].digest, "revision": kept[0].revision}
    with parts.store.write() as work:
        now = work.pulse().now
        job = jobs.waiting(work, KIND, by, asked, now, about=number)
        work.record([entry("preview_asked", now, by=by, draft=number, digest=kept[0].digest, days=days, job=job.id)])
        # Crash before this commit: nothing was asked for. After it: the housekeeping finds the job.
        work.commit()
    return job


def cancel(parts: Parts, number: str, by: str) -> None:
    """Stop a preview that is not finished. Raises ``CallerProblem`` ``job.unknown``."""
    jobs.cancel(parts, KIND, number, by, "preview_cancelled")


def digest_of_job(job: Job) -> str:
    """Of which state of its draft a preview is."""
    return str(json.loads(job.asked)["digest"])


def work_off(parts: Parts) -> bool:
    """Take the oldest waiting preview and carry it through; False where there is none."""
    job = jobs.claim(parts, KIND, _LEASE)
    if job is None:
        return False
    if job.fence > _MOST_TRIES:  # whoever took it up has died of it, again and again
        _fail(parts, job, "job.failed")
        return True
    asked = json.loads(job.asked)
    with parts.store.read() as work:
        now = work.pulse().now
        kept = work.read_draft(asked["draft"])
        base = None if kept is None or not kept[0].base else parts.edition(work, kept[0].base)
    if kept is None or kept[0].digest != asked["digest"]:  # changed meanwhile: the result would be of another list
        _fail(parts, job, "draft.changed")
        return True
    draft = Edition(0, kept[0].digest, catalog_from(json.loads(kept[1])))
    _replay(parts, job, (base or draft, draft), now - timedelta(days=asked["days"]))
    return True


def _fail(parts: Parts, job: Job, why: str) -> None:
    jobs.keep(parts, replace(job, state="failed", result=json.dumps({"why": why})), _LEASE)


def _replay(parts: Parts, job: Job, lists: tuple[Edition, Edition], since: datetime) -> None:
    first = f"{int(since.timestamp() * 1000):012x}"  # identifiers begin with their moment
    with parts.store.read() as work:
        total = work.count_decided(first)
    told, unreadable, done, after = Comparison(), 0, 0, first
    while True:
        with parts.store.read() as work:
            pulse = work.pulse()
            policy = parts.policy(work, pulse)
            rows = work.decided_after(after, _CHUNK)
            lookups = _by_verification(work.lookups_of([one.id for one in rows]))
            editions = {one.edition: parts.edition(work, one.edition) for one in rows}
        for one in rows:
            recorded = _recorded(parts, policy, one, lookups.get(one.id, ()), editions[one.edition])
            if recorded is None:
                unreadable += 1
                continue
            before, then = (run(each, recorded, _by_grants(policy, one, each, pulse.now)) for each in lists)
            told.add(recorded, before, then)
        done += len(rows)
        finished = len(rows) < _CHUNK
        result = json.dumps(told.as_values() | {_UNREADABLE: unreadable}) if finished else None
        kept = replace(job, state="done" if finished else "running", done=done, total=max(total, done), result=result)
        if not jobs.keep(parts, kept, _LEASE) or finished:
            return
        after = rows[-1].id


def _by_verification(rows: Sequence[LookupRow]) -> dict[str, list[LookupRow]]:
    found: dict[str, list[LookupRow]] = {}
    for row in rows:
        found.setdefault(row.verification, []).append(row)
    return found


def _recorded(
    parts: Parts, policy: Policy, one: Decided, rows: Sequence[LookupRow], edition: Edition
) -> Recorded | None:
    """What was recorded, None where its answers or its key were destroyed when their time was over.

    A record that is marked today counts as unknown, as it would if it were asked about today.
    """
    try:
        key = parts.vault.unwrap(one.wrapped_key)
        request = request_from(json.loads(parts.vault.decrypt(key, one.request, one.id)))
        if any(row.state == "answered" and row.answer is None for row in rows):
            return None
        planned = plan(edition, request, day_of(one.admitted_at))
        findings = {
            row.key: disputed(parts, policy, planned, row.key, finding_of(parts, row, key))
            for row in rows if row.state == "answered"
        }  # fmt: skip
    except BrokerProblem:
        return None
    asked = {key: frozenset(lookup.fields) for key, lookup in planned.lookups.items()}
    return Recorded(one.client, request, one.admitted_at, findings, asked)


def _by_grants(policy: Policy, one: Decided, edition: Edition, now: datetime) -> Permits:
    """What today's grants permit of a list's lookups; caps are left out, since they depend on the day."""
    grants = policy.grants_of.get(one.client, ())
    uncapped = [replace(grant, daily_calls=None, distinct_holders=None) for grant in grants]

    def permits(planned: Plan, request: Request) -> Mapping[str, Permit | Refusal]:
        return {
            key: Refusal("grant.withheld")
            if kept_back(edition.catalog.sources[lookup.source], lookup)
            else authorise(uncapped, lookup, request, now, Used({}))
            for key, lookup in planned.lookups.items()
        }

    return permits
