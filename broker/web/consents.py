"""Consents for the citizens' portal and for approval systems, all of it signed: list, decide, ask beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.consent import ConsentDecision
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import consents as steps
from broker.flow.consents import Decided, Statement
from broker.flow.parts import Parts
from broker.ports.consents import Consent
from broker.web.audit import grammar, holder_from
from broker.web.guard import JSON, Signed, read_body, recorded, verified_document


class Consents:
    """The routes of holders' consents; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of consents."""
        self._parts = parts
        self._public_url = public_url
        self._grammars = {name: grammar(schema, name) for name in ("listing", "asking", "decision")}

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view in (
            ("/v1/subject/consents", self.consents),
            ("/v1/consents", self.request_consent),
            ("/v1/consents/<number>/decision", self.decide_consent),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=["POST"], provide_automatic_options=False)

    def consents(self) -> Response:
        """What the person at the portal was asked for."""
        signed = self._signed(Role.PORTAL)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["listing"])
            subject = holder_from(said["subject"], "/subject")
            found = steps.show_consents(self._parts, subject, signed.identify)
        return _json({"consents": [consent_view(one) for one in found]})

    def request_consent(self) -> Response:
        """Ask a person beforehand, in an open case of the calling system."""
        signed = self._signed(Role.APPROVAL)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["asking"])
            subject = holder_from(said["subject"], "/subject")
            made = steps.request_consent(self._parts, said["case"]["number"], subject, said["sources"], signed.identify)
        return _json(consent_view(made), 201)

    def decide_consent(self, number: str) -> Response:
        """Grant, refuse or revoke, as the holder declared."""
        signed = self._signed(Role.PORTAL)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["decision"])
            statement = Statement(said["statement"]["text"], said["statement"]["reference"])
            subject = holder_from(said["subject"], "/subject")
            decided = Decided(subject, ConsentDecision(said["decision"]), statement, said.get("days", 30))
            changed = steps.decide_consent(self._parts, number, decided, signed.identify)
        return _json(consent_view(changed))

    def _signed(self, role: Role) -> Signed:
        return Signed(request, self._public_url, read_body(request), (role,))


def consent_view(consent: Consent) -> dict[str, Any]:
    """A consent without the pseudonym of whose it is."""
    return {
        "id": consent.id,
        "client": consent.client,
        "case": consent.case,
        "sources": list(consent.sources),
        "text": consent.text,
        "asked_by": "portal" if consent.lookup is None else "source",
        "state": consent.state,
        "requested_at": moment(consent.requested_at),
        "until": moment(consent.until),
        "decided_at": None if consent.decided_at is None else moment(consent.decided_at),
    }


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type=JSON, headers={"Cache-Control": "no-store"})
