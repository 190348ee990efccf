"""Objections to data (数据异议), all of it signed: approval systems raise and follow them, departments handle them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.case import Party
from broker.core.objection import Objection, ObjectionAct, possible
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import objections as steps
from broker.flow.objections import Dossier, Doubt, Doubted
from broker.flow.orders import Person
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
        self._act = grammar(schema, "act")

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        one = "/v1/objections/<number>"
        for rule, view, method in (
            ("/v1/objections", self.raise_objection, "POST"),
            ("/v1/objections", self.objections, "GET"),
            (one, self.objection, "GET"),
            (f"{one}/dossier", self.objection_dossier, "GET"),
            (f"{one}/acts", self.act_on_objection, "POST"),
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

    def objections(self) -> Response:
        """Those that the department of this system handles, due first."""
        with reading(self._parts, self._signed(Role.SOURCE)) as (work, caller):
            found, now = steps.objections_of(work, caller.client.unit), work.pulse().now
        return _json({"objections": [objection_view(one, now) for one in found]})

    def objection_dossier(self, number: str) -> Response:
        """One with the persons, the answer and what was said, for its department; that it was read is an entry."""
        signed = self._signed(Role.SOURCE)
        with recorded(self._parts, signed):
            file, now = steps.dossier_signed(self._parts, number, signed.identify)
        return _json(_dossier_view(file, now))

    def act_on_objection(self, number: str) -> Response:
        """The department's next act, by a person of its own."""
        signed = self._signed(Role.SOURCE)
        with recorded(self._parts, signed):
            asked = verified_document(self._parts, signed, self._act)
            who, what = Person(asked["by"]["id"], asked["by"]["unit"]), ObjectionAct(asked["act"])
            moved = steps.act_signed(self._parts, number, what, who, asked.get("words", ""), signed.identify)
        with self._parts.store.read() as work:
            now = work.pulse().now
        return _json(objection_view(moved, now))

    def _signed(self, role: Role = Role.APPROVAL) -> Signed:
        return Signed(request, self._public_url, read_body(request), (role,))


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


def _dossier_view(file: Dossier, now: datetime) -> dict[str, Any]:
    """Everything its department may know; ``doubted`` is null once the case's data was destroyed."""
    one = file.objection
    return {
        "objection": objection_view(one, now),
        "raised_by": {"id": one.raised_by, "unit": one.raised_unit},
        "accepted_by": one.accepted_by or None,
        "verified_by": one.verified_by or None,
        "lifted_by": one.lifted_by or None,
        "ended_by": one.ended_by or None,
        "doubted": None if file.doubted is None else _doubted_view(file.doubted),
        "words": [{"act": said.act, "by": said.by, "words": said.words, "at": moment(said.at)} for said in file.words],
        "reopened": [{"verification": each.verification, "case": each.case} for each in file.reopened],
        "possible": [act.value for act in possible(one)],
    }


def _doubted_view(doubted: Doubted) -> dict[str, Any]:
    answer = doubted.answer
    return {
        "holder": _party(doubted.holder),
        "related": None if doubted.related is None else _party(doubted.related),
        "asked_at": _moment(doubted.asked_at),
        "answered_at": _moment(doubted.answered_at),
        "answer": None if answer is None else {
            "outcome": answer.outcome.value, "reason": answer.reason.value, "fields": dict(answer.fields),
            "as_of": _moment(answer.as_of),
        },
    }  # fmt: skip


def _party(one: Party) -> dict[str, str]:
    return {"role": one.role, "id_type": one.id_type, "number": one.number, "name": one.name}


def _moment(when: datetime | None) -> str | None:
    return None if when is None else moment(when)


def _json(document: Mapping[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type=JSON, headers={"Cache-Control": "no-store"})
