"""The subject's view for the citizens' portal, and the embargoes that hide an investigation from it; all signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request

from broker.core.errors import CallerProblem
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow.parts import Parts
from broker.flow.subject import Wish, accesses, approve_embargo, lift_embargo, request_embargo
from broker.ports.proof import Embargo
from broker.web.audit import answered, grammar, holder_from, moment_from
from broker.web.guard import Signed, read_body, reading, recorded, verified_document

MAX_LISTED = 1000  # embargoes in one answer; each ends within a year


class SubjectView:
    """The routes; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of what is asked of the audit log."""
        self._parts = parts
        self._public_url = public_url
        self._grammars = {name: grammar(schema, name) for name in ("accesses", "embargo", "approval", "lifting")}

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view, method in (
            ("/v1/subject/accesses", self.accesses, "POST"),
            ("/v1/embargoes", self.embargo, "POST"),
            ("/v1/embargoes", self.embargoes, "GET"),
            ("/v1/embargoes/<number>/approval", self.approve_embargo, "POST"),
            ("/v1/embargoes/<number>/lifting", self.lift_embargo, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def accesses(self) -> Response:
        """Who asked about the person whom the portal has identified."""
        signed = self._signed(Role.PORTAL)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["accesses"])
            holder, since, until = holder_from(said["subject"], "/subject"), *_period(said)
            return answered(accesses(self._parts, holder, signed.identify, since, until))

    def embargo(self) -> Response:
        """Ask for an embargo; it hides nothing until another person approves it."""
        signed = self._signed(Role.CENTRE)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["embargo"])
            until = moment_from(said, "until")
            if until is None:
                raise CallerProblem("request.schema", pointer="/until")
            holder = holder_from(said["subject"], "/subject") if "subject" in said else None
            wish = Wish(said["by"], said["reason"], until, holder, said.get("client"), said.get("case"))
            return _embargo(request_embargo(self._parts, wish, signed.identify))

    def approve_embargo(self, number: str) -> Response:
        """Approve an embargo that another person asked for."""
        signed = self._signed(Role.CENTRE)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["approval"])
            return _embargo(approve_embargo(self._parts, number, said["by"], signed.identify))

    def lift_embargo(self, number: str) -> Response:
        """End an embargo before its time."""
        signed = self._signed(Role.CENTRE)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["lifting"])
            return _embargo(lift_embargo(self._parts, number, said["by"], said["reason"], signed.identify))

    def embargoes(self) -> Response:
        """The embargoes that are not over, approved or not."""
        with reading(self._parts, self._signed(Role.CENTRE)) as (work, _):
            return answered({"embargoes": [_shown(one) for one in work.embargoes(work.pulse().now, MAX_LISTED)]})

    def _signed(self, role: Role) -> Signed:
        return Signed(request, self._public_url, read_body(request), (role,))


def _period(said: Mapping[str, Any]) -> tuple[Any, Any]:
    return moment_from(said, "since"), moment_from(said, "until")


def _embargo(one: Embargo) -> Response:
    return answered({"id": one.id, "until": moment(one.until), "requested_by": one.requested_by,
                     "approved_by": one.approved_by})  # fmt: skip


def _shown(one: Embargo) -> dict[str, Any]:
    """An embargo in the list; on whom it is, not even a pseudonym says."""
    return {"id": one.id, "reason": one.reason, "until": moment(one.until), "client": one.client, "case": one.case,
            "requested_by": one.requested_by, "requested_from": one.requested_from, "approved_by": one.approved_by,
            "requested_at": moment(one.requested_at)}  # fmt: skip
