"""Grants by API: using departments apply, source departments decide and withdraw – all of it signed.

The steps are ``broker.flow.grants``'s, the same as the commands'. The signing system vouches for the person (``by``)
and the department (``unit``) named in the body; the step says for whom it may.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.case import Basis
from broker.core.catalog import Form
from broker.core.day import CHINA, day_of
from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.grant_application import Actor, Application, Scope, Trim, scope_values
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import grants as steps
from broker.flow.parts import Parts
from broker.web.guard import JSON, Signed, read_body, reading, recorded, verified_document

_READERS = (Role.APPROVAL, Role.SOURCE, Role.CENTRE, Role.AUDITOR)
_DECIDERS = (Role.SOURCE, Role.CENTRE)
_BODIES = ("new", "decision", "change")


class Grants:
    """The routes of applications and grants; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of applications."""
        self._parts = parts
        self._public_url = public_url
        definitions = schema["$defs"]
        self._grammars = {name: Grammar({**definitions[name], "$defs": definitions}) for name in _BODIES}

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        every = "/v1/grants/applications"
        for rule, view, method in (
            (every, self.applications, "GET"),
            (f"{every}/overdue", self.overdue_applications, "GET"),
            (every, self.apply, "POST"),
            (f"{every}/<number>", self.read_application, "GET"),
            (f"{every}/<number>/decision", self.decide, "POST"),
            ("/v1/grants/<number>/state", self.withdraw, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def applications(self) -> Response:
        """The applications that concern this system, the newest first."""
        found, today = self._visible()
        return _json({"applications": [_view(one, today) for one in found]})

    def overdue_applications(self) -> Response:
        """Those of them that should have been decided before today."""
        found, today = self._visible(open_only=True)
        return _json({"applications": [_view(one, today) for one in found if one.overdue(today)]})

    def read_application(self, number: str) -> Response:
        """One application; another department's is as unknown as none."""
        found, today = self._visible()
        one = next((one for one in found if one.id == number), None)
        if one is None:
            raise CallerProblem("application.unknown")
        return _json(_view(one, today))

    def apply(self) -> Response:
        """Apply to a source's department."""
        signed = self._signed(Role.APPROVAL)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["new"])
            client = "" if signed.caller is None else signed.caller.client.id
            wish = steps.Wish(client, said["source"], _scope(said), said.get("renews", ""))
            made = steps.apply(self._parts, wish, _actor(said), signed.identify)
        response = _json(_view(made, day_of(made.applied_at)), status=201)
        response.headers["Location"] = f"{self._public_url}/v1/grants/applications/{made.id}"
        return response

    def decide(self, number: str) -> Response:
        """Approve, trim or refuse what another department applied for."""
        signed = self._signed(*_DECIDERS)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["decision"])
            verdict = steps.Verdict(said["approve"], said["reason"], _trim(said))
            decided = steps.decide(self._parts, number, verdict, _actor(said), signed.identify)
        return _json(_view(decided, day_of(decided.decided_at or decided.applied_at)))

    def withdraw(self, number: str) -> Response:
        """Suspend, revoke or restore a grant."""
        signed = self._signed(*_DECIDERS)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["change"])
            steps.withdraw(self._parts, number, said["state"], said["reason"], _actor(said), signed.identify)
        return _json({"grant": number, "state": said["state"]})

    def _visible(self, *, open_only: bool = False) -> tuple[list[Application], date]:
        with reading(self._parts, self._signed(*_READERS)) as (work, caller):
            found = steps.visible(caller.client, work.applications(open_only=open_only))
            return found, day_of(work.pulse().now)

    def _signed(self, *roles: Role) -> Signed:
        return Signed(request, self._public_url, read_body(request), roles)


def _actor(said: Mapping[str, Any]) -> Actor:
    return Actor(said["by"], said["unit"])


def _scope(said: Mapping[str, Any]) -> Scope:
    return Scope(
        scenes=tuple(said.get("scenes", ())), items=tuple(said.get("items", ())),
        forms=tuple(map(Form, said["forms"])), fields=tuple(said["fields"]), bases=tuple(map(Basis, said["bases"])),
        legal_reference=said["legal_reference"], purpose=said["purpose"], daily_calls=said["daily_calls"],
        distinct_holders=said.get("distinct_holders"), valid_from=_start(said, "valid_from"),
        valid_to=_start(said, "valid_to") + timedelta(days=1),
    )  # fmt: skip


def _trim(said: Mapping[str, Any]) -> Trim:
    def chosen(name: str) -> tuple[str, ...] | None:
        return tuple(said[name]) if name in said else None

    forms = chosen("forms")
    return Trim(
        chosen("scenes"), chosen("items"), None if forms is None else tuple(map(Form, forms)), chosen("fields"),
        said.get("daily_calls"), said.get("distinct_holders"),
        _start(said, "valid_to") + timedelta(days=1) if "valid_to" in said else None,
    )  # fmt: skip


def _start(said: Mapping[str, Any], name: str) -> datetime:
    """The first moment of a day in China."""
    try:
        day = date.fromisoformat(said[name])
    except ValueError as error:  # the grammar knows digits, not calendars
        raise CallerProblem("request.schema", pointer=f"/{name}", expected="date") from error
    if not 2000 <= day.year <= 9000:
        raise CallerProblem("request.schema", pointer=f"/{name}", expected="date")
    return datetime.combine(day, time(), CHINA)


def _view(one: Application, today: date) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.state.value,
        "client": one.client,
        "source": one.source,
        "asked": scope_values(one.asked),
        "given": scope_values(one.given) if one.given else None,
        "applied": {"by": one.applied.by, "unit": one.applied.unit},
        "applied_at": moment(one.applied_at),
        "owner": one.owner,
        "due_on": one.due_on.isoformat(),
        "due_certain": one.due_certain,
        "overdue": one.overdue(today),
        "renews": one.renews,
        "decided": {"by": one.decided.by, "unit": one.decided.unit} if one.decided else None,
        "decided_at": moment(one.decided_at) if one.decided_at else None,
        "reason": one.reason,
    }


def _json(document: Mapping[str, Any], *, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, content_type=JSON, headers={"Cache-Control": "no-store"})
