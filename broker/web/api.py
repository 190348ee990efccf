"""What an approval system does, all of it signed: submit, read, wait, fetch receipt and proof, close a case."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.receipt import Bundle, moment
from broker.core.roles import Role
from broker.flow.admit import Submission, admit_all
from broker.flow.caller import Caller
from broker.flow.explain import explain_to, refusals_to
from broker.flow.matters import request_salt
from broker.flow.parts import Parts
from broker.flow.prove import proved
from broker.flow.register import Closing, close_case
from broker.ports import StoredVerification, Work
from broker.ports.waiting import Promise
from broker.web.desk import FrontDesk
from broker.web.guard import JSON, Signed, read_body, reading, recorded, verified_document
from broker.web.view import verification_view
from broker.web.waiting import WaitingRoom

LONGEST_WAIT_S = 30  # below the minute after which common proxies drop a silent connection
_WAIT = re.compile(r'(?:^|[,\s])wait\s*=\s*"?([0-9]{1,6})"?(?=\s*(?:[,;]|$))')
_UNRECORDED = frozenset(("caller.suspended", "caller.role"))  # these come before admit, which records all others


class Api:
    """The signed routes; one object per process."""

    def __init__(self, parts: Parts, public_url: str, room: WaitingRoom, outcome: Grammar) -> None:
        """``outcome`` is the grammar of a case's outcome; the request's is the flow's business."""
        self._parts = parts
        self._public_url = public_url
        self._room = room
        self._desk = FrontDesk(lambda submissions: admit_all(parts, submissions))
        self._outcome = outcome

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        one = "/v1/verifications/<number>"
        for rule, view, method in (
            ("/v1/verifications", self.submit, "POST"),
            (one, self.read, "GET"),
            (f"{one}/receipt", self.receipt, "GET"),
            (f"{one}/proof", self.proof, "GET"),
            (f"{one}/bundle", self.bundle, "GET"),
            (f"{one}/promises", self.promises, "GET"),
            (f"{one}/explanation", self.explanation, "GET"),
            ("/v1/refusals/<number>", self.refusals, "GET"),
            ("/v1/cases/outcome", self.close, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def submit(self) -> Response:
        """Admit a verification; 202 while the sources are asked, 200 with the result once it is decided or pending."""
        signed = self._signed()
        with recorded(self._parts, signed, _UNRECORDED):
            admitted = self._desk.admit(Submission(signed.body, signed.identify))
        stored, applied = self._waited(admitted.verification)
        response = _json(self._view(stored), 202 if stored.state == "admitted" else 200, applied)
        response.headers["Location"] = f"{self._public_url}/v1/verifications/{stored.id}"
        return response

    def read(self, number: str) -> Response:
        """A verification of this client as it stands, or as it stands after waiting."""
        stored, applied = self._waited(self._own(number))
        return _json(self._view(stored), 200, applied)

    def receipt(self, number: str) -> Response:
        """The receipt as stored, byte for byte."""
        return _answer(_decided(self._own(number)).encode("ascii"), "application/jose")

    def proof(self, number: str) -> Response:
        """The log entry of the decision and its inclusion proof."""
        bundle = self._bundle(number)
        return _json({"entry": bundle.entry.decode("utf-8"), "proof": bundle.proof})

    def bundle(self, number: str) -> Response:
        """Receipt, entry and proof in one document: what is filed in the case archive."""
        return _json(self._bundle(number).document())

    def promises(self, number: str) -> Response:
        """What the applicant promised instead of a material, and what became of it."""
        with reading(self._parts, self._signed()) as (work, caller):
            promises = work.promises(_found(work, caller, number).id)
        return _json({"promises": [_promise(one) for one in promises]})

    def explanation(self, number: str) -> Response:
        """Why it was asked what it was asked, and decided as it was."""
        signed = Signed(request, self._public_url, read_body(request), (Role.APPROVAL, Role.CENTRE, Role.AUDITOR))
        with reading(self._parts, signed) as (work, caller):
            return _json(explain_to(self._parts, work, number, caller.client, caller.key_id))

    def refusals(self, number: str) -> Response:
        """Why requests of this id were refused; they have led to no verification."""
        signed = Signed(request, self._public_url, read_body(request), (Role.APPROVAL, Role.CENTRE, Role.AUDITOR))
        with reading(self._parts, signed) as (work, caller):
            return _json({"refusals": refusals_to(self._parts, work, number, caller.client, caller.key_id)})

    def close(self) -> Response:
        """The case's outcome; the signature is verified before the body is parsed, and again by the step."""
        signed = self._signed()
        with recorded(self._parts, signed):
            document = verified_document(self._parts, signed, self._outcome)
            by = document["operator"]
            closing = Closing(document["case"]["number"], document["outcome"], by["id"], by["unit"])
            close_case(self._parts, closing, signed.identify)
        return _json({"case": document["case"], "state": "closed", "outcome": document["outcome"]})

    def _view(self, stored: StoredVerification) -> dict[str, Any]:
        return verification_view(stored, request_salt(self._parts.vault, stored))

    def _signed(self) -> Signed:
        return Signed(request, self._public_url, read_body(request), (Role.APPROVAL,))

    def _own(self, number: str) -> StoredVerification:
        with reading(self._parts, self._signed()) as (work, caller):
            return _found(work, caller, number)

    def _bundle(self, number: str) -> Bundle:
        with reading(self._parts, self._signed()) as (work, caller):
            stored = _found(work, caller, number)
            return proved(self._parts, work, stored.id, stored.state, _decided(stored))

    def _waited(self, stored: StoredVerification) -> tuple[StoredVerification, Mapping[str, str]]:
        """The verification after the time the caller prefers to wait, and the header that says so."""
        seconds = preferred_wait(request.headers.get("Prefer", ""))
        if seconds is None:
            return stored, {}
        if stored.state == "admitted":
            stored = self._room.wait(stored.id, seconds) or stored
        return stored, {"Preference-Applied": f"wait={seconds}"}


def preferred_wait(prefer: str) -> int | None:
    """The seconds of ``Prefer: wait=N`` (RFC 7240), at most ``LONGEST_WAIT_S``; None where it says nothing of that."""
    match = _WAIT.search(prefer)
    return None if match is None else min(int(match[1]), LONGEST_WAIT_S)


def _found(work: Work, caller: Caller, number: str) -> StoredVerification:
    """Another system's verification is as unknown as none."""
    stored = work.verification(number)
    if stored is None or stored.client != caller.client.id:
        raise CallerProblem("verification.unknown")
    return stored


def _promise(promise: Promise) -> dict[str, Any]:
    checked = None if promise.checked_at is None else moment(promise.checked_at)
    return {"material": promise.material, "text": promise.text, "state": promise.state, "checked_at": checked}


def _decided(stored: StoredVerification) -> str:
    if stored.receipt is None:
        raise CallerProblem("verification.undecided", retry_after=1)
    return stored.receipt


def _json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _answer(orjson.dumps(document), JSON, status, headers)


def _answer(body: bytes, media_type: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    response = Response(body, status, headers, content_type=media_type)
    response.headers["Cache-Control"] = "no-store"
    return response
