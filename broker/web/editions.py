"""The list by API: anyone reads editions; those who keep the list draft, hand in, review and publish, all of it signed.

The steps are ``broker.flow.publish``'s, the same as the commands'. Who does it is named in the body, ``by``: the system
that signs vouches for that person, as an approval system does for its operators.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core.day import day_of
from broker.core.diff import as_values, diff
from broker.core.errors import CallerProblem
from broker.core.findings import as_json, has_errors
from broker.core.grammar import Grammar
from broker.core.receipt import moment
from broker.core.roles import Role
from broker.flow import publish as steps
from broker.flow.parts import Parts
from broker.flow.publish import Check
from broker.ports import Draft, NewEdition, Published
from broker.ports.editions import Remark
from broker.web.guard import JSON, MAX_BODY, Signed, read_body, reading, recorded, verified_document

MAX_LIST = 4 * 1024 * 1024  # as a catalogue file's: the two cities' lists whole are below one
_FOR_EVER = "public, max-age=31536000, immutable"
_MINUTE = "public, max-age=60"
_READERS = (Role.LIST_EDITOR, Role.LIST_APPROVER)
_BODIES = ("new", "submission", "review", "publication")


class Editions:
    """The routes of editions and drafts; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any], check: Check) -> None:
        """``schema`` is that of drafts; ``check`` holds a list against its grammar and rules."""
        self._parts = parts
        self._public_url = public_url
        self._check = check
        definitions = schema["$defs"]
        self._grammars = {name: Grammar({**definitions[name], "$defs": definitions}) for name in _BODIES}
        self._examined = lru_cache(maxsize=4)(self._examine)  # a check takes seconds, and a draft never changes

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        one = "/v1/drafts/<number>"
        for rule, view, method in (
            ("/v1/editions", self.editions, "GET"),
            ("/v1/editions/<number>", self.edition, "GET"),
            ("/v1/drafts", self.drafts, "GET"),
            ("/v1/drafts", self.draft, "POST"),
            (one, self.read_draft, "GET"),
            (f"{one}/submit", self.submit_draft, "POST"),
            (f"{one}/review", self.review_draft, "POST"),
            (f"{one}/publish", self.publish_draft, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    # --- open

    def editions(self) -> Response:
        """Every edition that stands, and which one is in force."""
        with self._parts.store.read() as work:
            pulse = work.pulse()
            in_force = self._parts.policy(work, pulse).edition_at(pulse.now)
            published = [one for one in work.published() if one.withdrawn_at is None]
        return as_json_answer(
            {"in_force": in_force, "editions": [edition_view(one) for one in published]}, caching=_MINUTE
        )

    def edition(self, number: str) -> Response:
        """The list as published, byte for byte, so that its seal can be verified."""
        with self._parts.store.read() as work:
            found = {str(one.number): one for one in work.published()}.get(number)
            if found is None:
                raise CallerProblem("edition.unknown")
            _, body = work.edition(found.number)
        response = Response(body, content_type=JSON, headers={"Cache-Control": _FOR_EVER, "Edition-Seal": found.seal})
        response.set_etag(found.digest)
        return response

    # --- signed

    def drafts(self) -> Response:
        """Every draft, the newest first."""
        with reading(self._parts, self._signed(*_READERS)) as (work, _):
            found = work.drafts()
        return as_json_answer({"drafts": [draft_view(one) for one in found]})

    def read_draft(self, number: str) -> Response:
        """One draft, with the check's findings and what it changes against the edition it stands on."""
        with reading(self._parts, self._signed(*_READERS)) as (work, _):
            found = work.read_draft(number)
            if found is None:
                raise CallerProblem("edition.unknown")
            draft, body = found
            base = work.edition(draft.base)[1] if draft.base else b""
            today, remarks = day_of(work.pulse().now), [_remark(one) for one in work.remarks(number)]
        return as_json_answer(draft_view(draft) | self._examined(body, base, today) | {"remarks": remarks})

    def draft(self) -> Response:
        """Keep a list as a draft on the newest edition."""
        signed = self._signed(Role.LIST_EDITOR, limit=MAX_LIST)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["new"])
            made = steps.draft(self._parts, said["document"], said["by"], said.get("comment", ""), signed.identify)
        return as_new_draft(made, self._public_url)

    def submit_draft(self, number: str) -> Response:
        """Hand a draft in for review; one with errors is refused."""
        signed = self._signed(Role.LIST_EDITOR)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["submission"])
            changed = steps.submit(
                self._parts, number, said["by"], self._check, signed.identify, said.get("comment", "")
            )
        return as_json_answer(draft_view(changed))

    def review_draft(self, number: str) -> Response:
        """Approve or reject what another person drafted and handed in."""
        signed = self._signed(Role.LIST_APPROVER)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["review"])
            changed = steps.review(
                self._parts, number, said["by"],
                approve=said["approve"], comment=said.get("comment", ""), identify=signed.identify,
            )  # fmt: skip
        return as_json_answer(draft_view(changed))

    def publish_draft(self, number: str) -> Response:
        """Make an approved draft the next edition."""
        signed = self._signed(Role.LIST_APPROVER)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._grammars["publication"])
            effective_at = moment_from(said["effective_at"]) if "effective_at" in said else None
            edition = steps.publish_draft(self._parts, number, said["by"], effective_at, signed.identify)
        return as_json_answer(edition_view(edition))

    def _signed(self, *roles: Role, limit: int = MAX_BODY) -> Signed:
        return Signed(request, self._public_url, read_body(request, limit), roles)

    def _examine(self, body: bytes, base: bytes, today: date) -> dict[str, Any]:
        """What the check finds in a list, and its difference to another where both are sound."""
        document = json.loads(body)
        findings = self._check(document)
        sound = base and not has_errors(findings)
        changes = as_values(diff(json.loads(base), document, today))["changes"] if sound else None
        return {"findings": as_json(findings, {}), "changes": changes}


def draft_view(draft: Draft) -> dict[str, Any]:
    """A draft as the API shows it."""
    return asdict(draft) | {"drafted_at": moment(draft.drafted_at)}


def as_new_draft(made: Draft, public_url: str) -> Response:
    """The answer that a draft was made, and where it is read."""
    response = as_json_answer(draft_view(made), status=201)
    response.headers["Location"] = f"{public_url}/v1/drafts/{made.id}"
    return response


def _remark(remark: Remark) -> dict[str, Any]:
    about = {"section": remark.section, "key": remark.key} if remark.key else {}
    return {"kind": remark.kind, **about, "by": remark.by, "text": remark.text, "at": moment(remark.made_at)}


def edition_view(edition: Published | NewEdition) -> dict[str, Any]:
    """An edition as the API shows it: nobody's name."""
    return {
        "number": edition.number,
        "digest": edition.digest,
        "effective_at": moment(edition.effective_at),
        "seal": edition.seal,
    }


def moment_from(text: str) -> datetime:
    """A time as a body has it. Raises ``CallerProblem`` ``request.schema``."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the grammar knows digits, not calendars
        raise CallerProblem("request.schema", pointer="/effective_at", expected="date-time") from error


def as_json_answer(document: Mapping[str, Any], *, status: int = 200, caching: str = "no-store") -> Response:
    """An answer of the API."""
    return Response(orjson.dumps(document), status, content_type=JSON, headers={"Cache-Control": caching})
