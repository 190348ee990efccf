"""The audit log for those who may read its entries, all of it signed: entry bundles, searches and exports.

Whoever reads leaves an entry. Entries name operators by staff number and persons by pseudonym, so nothing of this is
kept by a cache that others use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Flask, Response, request

from broker.core import merkle
from broker.core.case import Party
from broker.core.checkpoint import pack_entries
from broker.core.cosignature import WitnessKey, line_key_hash, seen_by
from broker.core.entry import entry
from broker.core.envelope import Algorithm, Verifier, parse
from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.identifiers import is_identifier
from broker.core.log_export import Filter, as_csv, as_json_lines
from broker.core.roles import Role
from broker.flow.export import Wanted, export_log
from broker.flow.parts import Parts
from broker.flow.prove import checkpoint_size
from broker.flow.retain import Erasure, erase_case
from broker.web.guard import JSON, Signed, read_body, reading, recorded, verified_document

READERS = (Role.CENTRE, Role.AUDITOR, Role.WITNESS)
EXPORTERS = (Role.CENTRE, Role.AUDITOR)
MOST_EXPORTED = 10_000  # entries in one answer, which is signed as a whole; `broker log export` has no limit
_FOR_EVER, _SHORT = "private, max-age=31536000, immutable", "private, max-age=60"
_FACTS = (
    "kind", "client", "unit", "operator", "login", "case", "verification", "region", "item", "material", "source",
    "outcome",
)  # fmt: skip
_FORMATS = {"jsonl": (as_json_lines, "application/jsonl"), "csv": (as_csv, "text/csv; charset=utf-8")}


class Audit:
    """The routes of those who review; one object per process."""

    def __init__(self, parts: Parts, public_url: str, schema: Mapping[str, Any]) -> None:
        """``schema`` is that of what is asked of the audit log."""
        self._parts = parts
        self._public_url = public_url
        self._export = grammar(schema, "export")
        self._erasure = grammar(schema, "erasure")
        self._cosignature = grammar(schema, "cosignature")

    def add_to(self, app: Flask) -> None:
        """Register the routes."""
        for rule, view, method in (
            ("/log/tile/entries/<path:path>", self.entries, "GET"),
            ("/v1/log/exports", self.export, "POST"),
            ("/v1/cases/erasure", self.erase, "POST"),
            ("/v1/log/cosignatures", self.cosign, "POST"),
        ):
            app.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)

    def entries(self, path: str) -> Response:
        """An entry bundle; a partial one is cut from whatever is stored by now. Reading it is an entry."""
        signed = Signed(request, self._public_url, read_body(request), READERS)
        with reading(self._parts, signed) as (work, caller):
            wanted = merkle.parse_tile_path(f"tile/entries/{path}")
            start = wanted.index * merkle.TILE_WIDTH
            note = work.latest_checkpoint()
            if note is None or start + wanted.width > checkpoint_size(note):
                raise CallerProblem("log.not-yet")
            bundle = pack_entries(work.entries(start, start + wanted.width))
            work.record([entry("entries_read", work.pulse().now, client=caller.client.id, key=caller.key_id,
                               first=start, count=wanted.width)])  # fmt: skip
        response = Response(bundle, content_type="application/octet-stream")
        response.headers["Cache-Control"] = _FOR_EVER if wanted.width == merkle.TILE_WIDTH else _SHORT
        return response

    def export(self) -> Response:
        """Entries that a filter wants, with checkpoint and proofs."""
        signed = Signed(request, self._public_url, read_body(request), EXPORTERS)
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._export)
            holder = holder_from(said["subject"], "/subject") if "subject" in said else None
            asked = Wanted(_filter(said), said["by"], said["reason"], holder)
            head, lines = export_log(self._parts, asked, signed.identify, MOST_EXPORTED)
        written, media_type = _FORMATS[said.get("format", "jsonl")]
        response = Response(b"".join(written(head, lines)), content_type=media_type)
        response.headers["Cache-Control"] = "no-store"
        return response

    def erase(self) -> Response:
        """The right to deletion, for one case."""
        signed = Signed(request, self._public_url, read_body(request), (Role.CENTRE,))
        with recorded(self._parts, signed):
            said = verified_document(self._parts, signed, self._erasure)
            erasure = Erasure(said["client"], said["case"]["number"], said["by"], said["reason"])
            gone = erase_case(self._parts, erasure, signed.identify)
        return answered({"case": said["case"], "verifications": gone.verifications, "lookups": gone.lookups})

    def cosign(self) -> Response:
        """Keep a witness's line. It makes no entry: else each line would make the next checkpoint to be signed."""
        signed = Signed(request, self._public_url, read_body(request), (Role.WITNESS,))
        with reading(self._parts, signed) as (work, caller):
            said = parse(signed.body)
            self._cosignature.check(said)
            pulse = work.pulse()
            held = self._parts.policy(work, pulse).keys
            verifier = held[caller.key_id].verifier
            note = work.checkpoint_at(said["size"])
            if note is None:
                raise CallerProblem("cosignature.size", got=str(said["size"]))
            known = [(WitnessKey(said["name"], verifier.public), verifier)]
            seen = seen_by(note + said["line"], known) if verifier.algorithm is Algorithm.ED25519 else []
            if not seen:
                raise CallerProblem("cosignature.invalid", pointer="/line")
            theirs = [one.verifier for one in held.values() if one.client == caller.client.id]
            _require_name(said["name"], work.witness_line(said["name"]), theirs)
            work.add_cosignature(said["size"], said["name"], said["line"], pulse.now)
        return answered({"size": said["size"]})


def _require_name(name: str, earlier: str | None, theirs: Sequence[Verifier]) -> None:
    """A name belongs to the system that used it first, or another could keep its lines out by being quicker.

    Raises ``CallerProblem`` ``cosignature.name``.
    """
    if earlier is not None and line_key_hash(earlier) not in {WitnessKey(name, one.public).hash for one in theirs}:
        raise CallerProblem("cosignature.name", got=name, pointer="/name")


def answered(document: Mapping[str, Any]) -> Response:
    """A document that nobody keeps."""
    return Response(orjson.dumps(document), content_type=JSON, headers={"Cache-Control": "no-store"})


def grammar(schema: Mapping[str, Any], name: str) -> Grammar:
    """The grammar of one definition of a schema."""
    definitions = schema["$defs"]
    return Grammar({**definitions[name], "$defs": definitions})


def holder_from(said: Mapping[str, str], pointer: str) -> Party:
    """Whose data is meant. Raises ``CallerProblem`` ``request.identifier``."""
    if not is_identifier(said["id_type"], said["number"]):
        raise CallerProblem("request.identifier", got=said["id_type"], pointer=f"{pointer}/number")
    return Party("", said["id_type"], said["number"], "")


def moment_from(said: Mapping[str, Any], name: str) -> datetime | None:
    """A moment of a body. Raises ``CallerProblem`` ``request.schema`` for one that no calendar has."""
    try:
        return datetime.fromisoformat(said[name]).astimezone(UTC) if name in said else None
    except (ValueError, OverflowError) as error:  # the grammar knows digits, not calendars
        raise CallerProblem("request.schema", pointer=f"/{name}", expected="date-time") from error


def _filter(said: Mapping[str, Any]) -> Filter:
    texts = {name: said[name] for name in _FACTS if name in said}
    return Filter(moment_from(said, "since"), moment_from(said, "until"), **texts)
