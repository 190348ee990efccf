"""Work orders for the source departments' systems, all of it signed: list, look, answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.errors import CallerProblem
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.core.work_order import OrderReply
from broker.flow import orders as steps
from broker.flow.orders import MAX_EVIDENCE, Evidence, Person, Said
from broker.flow.parts import Parts
from broker.ports.orders import WorkOrder
from broker.web.audit import grammar
from broker.web.guard import JSON, MAX_BODY, Signed, read_body, reading, recorded, verified_document

MAX_ANSWER = 2 * MAX_EVIDENCE  # Base64 makes four characters of three bytes, and the rest is short


class Orders:
    """The routes of those who answer; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of work orders."""
        self._parts = parts
        self._public_url = public_url
        self._answer = grammar(schema, "answer")

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        one = "/v1/orders/<number>"
        for rule, view, method in (
            ("/v1/orders", self.orders, "GET"),
            (one, self.order, "GET"),
            (f"{one}/answer", self.answer_order, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def orders(self) -> Response:
        """The open orders of this system's unit, those due first come first."""
        with reading(self._parts, self._signed()) as (work, caller):
            found = steps.orders_of(work, caller.client.unit, everything=False)
        return _json({"orders": [order_view(one) for one in found]})

    def order(self, number: str) -> Response:
        """One order of this system's unit with what is asked; that it was read is an entry."""
        signed = self._signed()
        with recorded(self._parts, signed):
            shown = steps.show_order(self._parts, number, None, "", signed.identify)
        return _json(order_view(shown.order) | {"question": shown.question, "remark": shown.remark})

    def answer_order(self, number: str) -> Response:
        """A person's answer, once, in time."""
        signed = self._signed(MAX_ANSWER)
        with recorded(self._parts, signed):
            said = _said(verified_document(self._parts, signed, self._answer))
            answered = steps.answer_order(self._parts, number, said, signed.identify)
        return _json(order_view(answered))

    def _signed(self, limit: int = MAX_BODY) -> Signed:
        return Signed(request, self._public_url, read_body(request, limit), (Role.SOURCE,))


def order_view(order: WorkOrder) -> dict[str, Any]:
    """An order without what is asked."""
    return {
        "id": order.id,
        "source": order.source,
        "unit": order.unit,
        "state": order.state,
        "asked_at": moment(order.asked_at),
        "remind_at": moment(order.remind_at),
        "due_at": moment(order.due_at),
        "reminded_at": None if order.reminded_at is None else moment(order.reminded_at),
        "ended_at": None if order.ended_at is None else moment(order.ended_at),
        "reply": order.reply,
        "answered_by": order.answered_by,
    }


def _said(document: Mapping[str, Any]) -> Said:
    by, attached = document["by"], document.get("evidence")
    evidence = None if attached is None else Evidence(attached["media_type"], _content(attached["content"]))
    return Said(Person(by["id"], by["unit"]), OrderReply(document["reply"]), document.get("remark", ""), evidence)


def _content(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CallerProblem("order.evidence", pointer="/evidence/content") from error
    if len(content) > MAX_EVIDENCE:
        raise CallerProblem("order.evidence", pointer="/evidence/content", got=str(len(content)))
    return content


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), content_type=JSON, headers={"Cache-Control": "no-store"})
