"""Objections to data (数据异议) for approval systems, all of it signed: raise one, and follow it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.objection import Objection
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import objections as steps
from broker.flow.objections import Doubt
from broker.flow.parts import Parts
from broker.web.audit import grammar
from broker.web.guard import JSON, Signed, read_body, reading, recorded, verified_document


class Objections:
    """The routes; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of objections."""
        self._parts = parts
        self._public_url = public_url
        self._new = grammar(schema, "new")

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view, method in (
            ("/v1/objections", self.raise_objection, "POST"),
            ("/v1/objections/<number>", self.objection, "GET"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def raise_objection(self) -> Response:
        """Raise one about a verification of this system."""
        signed = self._signed()
        with recorded(self._parts, signed):
            asked = verified_document(self._parts, signed, self._new)
            by = asked["by"]
            doubt = Doubt(
                asked["verification"], asked["material"], asked["source"], asked["words"], by["id"], by["unit"]
            )
            raised = steps.raise_objection(self._parts, doubt, identify=signed.identify)
        return _json(objection_view(raised, raised.raised_at), 201)

    def objection(self, number: str) -> Response:
        """One as it stands, for the system whose verification it is about."""
        with reading(self._parts, self._signed()) as (work, caller):
            found = steps.objection_to(work, number, caller.client)
            now = work.pulse().now
        return _json(objection_view(found, now))

    def _signed(self) -> Signed:
        return Signed(request, self._public_url, read_body(request), (Role.APPROVAL,))


def objection_view(one: Objection, now: datetime) -> dict[str, Any]:
    """An objection without the department's people and anybody's words."""
    return {
        "id": one.id,
        "verification": one.verification,
        "case": one.case,
        "material": one.material,
        "source": one.source,
        "state": one.state.value,
        "marked": one.marked,
        "raised_at": moment(one.raised_at),
        "due_at": moment(one.due_at),
        "overdue": one.overdue(now),
        "accepted_at": _moment(one.accepted_at),
        "verified_at": _moment(one.verified_at),
        "lifted_at": _moment(one.lifted_at),
        "corrected_at": _moment(one.corrected_at),
        "ended_at": _moment(one.ended_at),
    }


def _moment(when: datetime | None) -> str | None:
    return None if when is None else moment(when)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type=JSON, headers={"Cache-Control": "no-store"})
