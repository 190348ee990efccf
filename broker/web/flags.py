"""Flags by API: auditors and the centre read what was flagged in operators' conduct, and clear it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.misuse import describe
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import watch
from broker.flow.parts import Parts
from broker.ports.grants import Flag
from broker.web.guard import JSON, Signed, read_body, reading, recorded, verified_document


class Flags:
    """The routes of flags; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of flags."""
        self._parts = parts
        self._public_url = public_url
        self._clearance = Grammar({**schema["$defs"]["clearance"], "$defs": schema["$defs"]})

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view, method in (
            ("/v1/flags", self.flags, "GET"),
            ("/v1/flags/<number>", self.read_flag, "GET"),
            ("/v1/flags/<number>/clear", self.clear_flag, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def flags(self) -> Response:
        """Every flag, the newest first."""
        with reading(self._parts, self._signed()) as (work, _):
            found = work.flags()
        return _json({"flags": [_view(one) for one in found]})

    def read_flag(self, number: str) -> Response:
        """One flag."""
        with reading(self._parts, self._signed()) as (work, _):
            found = work.flag(number)
        if found is None:
            raise CallerProblem("misuse.unknown")
        return _json(_view(found))

    def clear_flag(self, number: str) -> Response:
        """Say what came of a flag; an operator whom it stopped may ask again."""
        signed = self._signed()
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._clearance)
            cleared = watch.clear(self._parts, number, said["by"], said["comment"], signed.identify)
        return _json(_view(cleared))

    def _signed(self) -> Signed:
        return Signed(request, self._public_url, read_body(request), (Role.AUDITOR, Role.CENTRE))


def _view(one: Flag) -> dict[str, Any]:
    return {
        "id": one.id,
        "rule": one.rule.value,
        "action": one.action.value,
        "state": one.state,
        "client": one.client,
        "operator": one.operator,
        "text": describe(one.rule, one.evidence),
        "count": one.evidence.count,
        "case": one.evidence.case,
        "grants": list(one.evidence.grants),
        "verifications": list(one.evidence.verifications),
        "raised_at": moment(one.raised_at),
        "cleared_by": one.cleared_by,
        "cleared_at": moment(one.cleared_at) if one.cleared_at else None,
        "comment": one.comment,
    }


def _json(document: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(document), content_type=JSON, headers={"Cache-Control": "no-store"})
