"""Collected on paper, by API: approval systems report what they still took, and why (应用未用, Z26 = R13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.grammar import Grammar
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow.collect import collect
from broker.flow.parts import Parts
from broker.ports.figures import Paper, Report
from broker.web.guard import JSON, Signed, read_body, recorded, verified_document


class Collected:
    """The route; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of reports."""
        self._parts = parts
        self._public_url = public_url
        self._new = Grammar({**schema["$defs"]["new"], "$defs": schema["$defs"]})

    def add_to(self, app: Flask) -> None:
        """Register the route."""
        app.add_url_rule(
            "/v1/cases/collected", self.collected.__name__, self.collected, methods=["POST"],
            provide_automatic_options=False,
        )  # fmt: skip

    def collected(self) -> Response:
        """Keep a report; a refused one – data covers it, and nobody says why – is in the log as refused."""
        signed = Signed(request, self._public_url, read_body(request), (Role.APPROVAL,))
        with recorded(self._parts, signed):
            document = verified_document(self._parts, signed, self._new)
            report = collect(self._parts, document, signed.body, signed.identify)
        return Response(orjson.dumps(_view(report)), content_type=JSON, headers={"Cache-Control": "no-store"})


def _view(report: Report) -> dict[str, Any]:
    return {
        "id": report.id,
        "request_id": report.request_id,
        "case": {"number": report.case},
        "region": report.region,
        "item": report.item,
        "at": moment(report.at),
        "materials": [_paper(one) for one in report.papers],
    }


def _paper(one: Paper) -> dict[str, Any]:
    return {
        "material": one.material,
        "original": one.original,
        "standing": one.standing,
        "reason": one.reason or None,
        "source": one.source or None,
        "verification": one.verification or None,
    }
