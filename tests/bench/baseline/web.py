"""The baseline's API: accept a signed request, start the chord, wait for it, answer."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

import redis
from celery import chord
from celery.exceptions import TimeoutError as ResultTimeoutError
from flask import Flask, Response, jsonify, request
from http_message_signatures import InvalidSignature
from jsonschema import Draft202012Validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.bench.baseline.models import AuditEntry, Grant, Lookup, Verification, now, sessions
from tests.bench.baseline.settings import THREADS, settings
from tests.bench.baseline.sources import FIELDS, MATERIALS
from tests.bench.baseline.tasks import decide, look_up
from tests.bench.baseline.trust import Requests
from tests.bench.work_unit import CLIENT, ITEM, PATH, REPOSITORY

WAIT_SECONDS = 30
NONCE_SECONDS = 120

Answer = tuple[Response, int]


def create_app() -> Flask:
    """The application, as gunicorn loads it."""
    told = settings()
    app = Flask("baseline")
    service = Service(
        Requests(told.caller_key.read_bytes(), told.public_url), redis.Redis.from_url(told.redis_url), told.database_url
    )
    app.add_url_rule(PATH, "submit", service.submit, methods=["POST"])
    app.add_url_rule("/ready", "ready", lambda: "ok")
    return app


class Service:
    """The one route."""

    def __init__(self, requests: Requests, nonces: Any, database_url: str) -> None:
        """Compiles the schema once; sessions come from a pool as large as the threads are many."""
        self._requests = requests
        self._nonces = nonces
        self._sessions = sessions(database_url, pool_size=THREADS)
        schema = json.loads((REPOSITORY / "schemas" / "request.schema.json").read_text("utf-8"))
        self._schema = Draft202012Validator(schema)

    def submit(self) -> Answer:
        """200 with the decision, or the refusal."""
        body = request.get_data()
        try:
            nonce = self._requests.verify(request, body)
        except InvalidSignature:
            return jsonify(code="signature.invalid"), 401
        if not self._nonces.set(f"nonce:{nonce}", 1, nx=True, ex=NONCE_SECONDS):
            return jsonify(code="signature.replayed"), 401
        document = json.loads(body)
        if not self._schema.is_valid(document):
            return jsonify(code="request.schema"), 400
        with self._sessions() as session:
            verification = self._accepted(session, document, body)
            if verification is None:
                return jsonify(code="grant.none"), 403
            return self._decided(session, verification)

    def _accepted(self, session: Session, document: dict[str, Any], body: bytes) -> Verification | None:
        """The rows of a new verification, committed; the one stored where the request came before."""
        known = session.scalars(
            select(Verification).where(
                Verification.client_id == CLIENT, Verification.request_id == document["request_id"]
            )
        ).one_or_none()
        if known is not None:
            return known
        grants = {
            grant.source: grant
            for grant in session.scalars(select(Grant).where(Grant.client_id == CLIENT, Grant.item == ITEM))
        }
        wanted = {name: MATERIALS[name] for name in document["materials"]}
        if not all(_permitted(grants.get(source), source, now()) for source, _, _ in wanted.values()):
            return None
        people = {"applicant": document["applicant"], **{one["role"]: one for one in document["parties"]}}
        verification = Verification(
            client_id=CLIENT, request_id=document["request_id"], case_number=document["case"]["number"],
            document=document, digest=hashlib.sha256(body).hexdigest(),
        )  # fmt: skip
        verification.lookups = [
            Lookup(
                material=name, source=source, grant_id=grants[source].id, subject=people[subject],
                related=people[related] if related else None,
            )
            for name, (source, subject, related) in wanted.items()
        ]  # fmt: skip
        session.add(verification)
        session.flush()
        operator, case = document["operator"]["id"], verification.case_number
        detail = {"operator": operator, "case": case, "request": verification.digest}
        session.add(AuditEntry(kind="admitted", verification_id=verification.id, detail=detail))
        session.commit()
        return verification

    def _decided(self, session: Session, verification: Verification) -> Answer:
        if verification.state != "decided":
            lookups = [look_up.s(lookup.id) for lookup in verification.lookups]
            result = chord(lookups)(decide.s(verification.id))
            try:
                result.get(timeout=WAIT_SECONDS)
            except ResultTimeoutError:
                return jsonify(id=verification.id, state="admitted"), 202
            session.refresh(verification, ["state", "receipt", "decided_at"])
        answer = jsonify(
            id=verification.id,
            state=verification.state,
            request_id=verification.request_id,
            case={"number": verification.case_number},
            receipt=verification.receipt,
        )
        return answer, 200


def _permitted(grant: Grant | None, source: str, moment: datetime) -> bool:
    return grant is not None and grant.valid_to > moment and set(FIELDS[source]) <= set(grant.fields)
