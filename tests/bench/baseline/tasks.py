"""The baseline's Celery worker: ``look_up`` three times in a chord, then ``decide``."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from celery import Celery
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload, sessionmaker

from broker.core.answer import Outcome, Reason
from tests.bench.baseline.models import AuditEntry, Lookup, Verification, now, sessions
from tests.bench.baseline.settings import settings
from tests.bench.baseline.sources import Sources, party
from tests.bench.baseline.trust import Receipts

app = Celery("baseline", broker=settings().redis_url, backend=settings().redis_url)
app.conf.update(
    task_acks_late=False,
    result_expires=600,
    worker_send_task_events=False,
    task_track_started=False,
    broker_connection_retry_on_startup=True,
    broker_pool_limit=32,
    redis_max_connections=200,
)


@cache  # once in each process, after the fork
def _session() -> sessionmaker[Session]:
    return sessions(settings().database_url, pool_size=2)


@cache
def _sources() -> Sources:
    return Sources(settings().platforms)


@cache
def _receipts() -> Receipts:
    return Receipts(settings().receipt_key)


@app.task(name="baseline.look_up")  # type: ignore[untyped-decorator]  # Celery ships no types
def look_up(lookup_id: str) -> str:
    """Ask one source, and keep its answer with its audit entry."""
    with _session()() as session:
        lookup = session.scalars(
            select(Lookup).where(Lookup.id == lookup_id).options(selectinload(Lookup.verification))
        ).one()
        request = lookup.verification.document
        related = party("spouse", lookup.related) if lookup.related else None
        answer = _sources().ask(
            lookup.id, lookup.source, party("applicant", lookup.subject), related, request, lookup.material, now()
        )
        lookup.reason = answer.reason.value
        lookup.answer = {"fields": dict(answer.fields), "code": answer.source_code}
        lookup.answered_at = now()
        detail = {"lookup": lookup.id, "source": lookup.source, "reason": lookup.reason, "grant": lookup.grant_id}
        session.add(AuditEntry(kind="answered", verification_id=lookup.verification_id, detail=detail))
        session.commit()
        return lookup.reason


@app.task(name="baseline.decide")  # type: ignore[untyped-decorator]  # as above
def decide(_reasons: list[str], verification_id: str) -> str:
    """Decide material by material, sign the receipt, and keep both with their audit entry."""
    with _session()() as session:
        verification = session.scalars(
            select(Verification).where(Verification.id == verification_id).options(selectinload(Verification.lookups))
        ).one()
        verification.decided_at = now()
        verification.receipt = _receipts().sign(_payload(verification))
        verification.state = "decided"
        digest = hashlib.sha256(verification.receipt.encode()).hexdigest()
        session.add(AuditEntry(kind="decided", verification_id=verification.id, detail={"receipt": digest}))
        session.commit()
        return verification.id


def _payload(verification: Verification) -> dict[str, Any]:
    return {
        "verification": verification.id,
        "client": verification.client_id,
        "request": {"id": verification.request_id, "digest": verification.digest},
        "case": verification.case_number,
        "materials": [_material(lookup) for lookup in verification.lookups],
        "decided_at": str(verification.decided_at),
    }


def _material(lookup: Lookup) -> dict[str, Any]:
    held = Reason(lookup.reason or Reason.SOURCE_DOWN).outcome is Outcome.HELD
    return {
        "material": lookup.material,
        "decision": "exempt" if held else "submit",
        "reason": lookup.reason,
        "source": lookup.source,
        "answered_at": str(lookup.answered_at),
    }
