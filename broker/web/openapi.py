"""The OpenAPI 3.1 document: the schema files and one table of routes, which a test compares with Flask's.

The schemas that check requests are the schemas that describe them; their ``$defs`` become components.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from broker import __version__
from broker.core.probe import Probing
from broker.core.problems import PROBLEMS
from broker.web.errors import MEDIA_TYPE
from broker.web.routes import ROUTES, Route

SCHEMAS = (
    "application",
    "collected",
    "explanation",
    "flag",
    "request",
    "verification",
    "receipt",
    "outcome",
    "problem",
    "guide",
    "plan",
    "items",
    "catalog",
    "draft",
    "audit",
    "order",
    "objection",
    "consent",
)
_JSON, _HTML = "application/json", "text/html"
_ALWAYS = ("broker.fault", "request.unreadable", "route.method")
_OTHER_SCHEMA = re.compile(r"^urn:exemption-broker:schema:([a-z]+):1#/[$]defs/")


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


_TEXT = {"type": "string"}
_INTEGER = {"type": "integer"}
_MOMENT = {"type": "string", "format": "date-time"}
_EDITION = _object(number=_INTEGER, digest=_TEXT, effective_at=_MOMENT, seal=_TEXT)
_PROMISE = _object(
    material=_TEXT,
    text=_TEXT,
    state={"enum": ["open", "kept", "broken", "by_hand"]},
    checked_at={"type": ["string", "null"], "format": "date-time"},
)
_MAYBE_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_FIGURE = {"type": ["number", "null"]}
_STATE = {"enum": ["ok", "failing", "away", "stopped", "unasked"]}
_SOURCE = _object(
    source=_TEXT,
    name=_object(zh=_TEXT, en=_TEXT),
    state=_STATE,
    stopped={"oneOf": [{"type": "null"}, _object(since=_MOMENT, reason=_TEXT)]},
    breaker=_object(state={"enum": ["closed", "open", "half_open"]}, until=_MAYBE_MOMENT),
    last_ok_at=_MAYBE_MOMENT,
    last_fail_at=_MAYBE_MOMENT,
    last_failure={"type": ["string", "null"]},
    reaction={"oneOf": [{"type": "null"}, _object(zh=_TEXT, en=_TEXT)]},
    data_as_of=_MAYBE_MOMENT,
    today=_object(
        day=_TEXT, calls=_INTEGER, held=_INTEGER, not_held=_INTEGER, unknown=_INTEGER, failed=_INTEGER, barred=_INTEGER
    ),
    probe=_object(
        agreed={"enum": [one.value for one in Probing]}, at=_MAYBE_MOMENT, failed={"type": ["string", "null"]}
    ),
    duration_ms=_object(min=_FIGURE, avg=_FIGURE, max=_FIGURE, p95=_FIGURE),
)
_SMALL = {
    "proof": _object(entry=_TEXT, proof=_TEXT),
    "bundle": _object(receipt=_TEXT, entry=_TEXT, proof=_TEXT),
    "refusals": _object(
        refusals={
            "type": "array",
            "items": _object(
                position=_INTEGER,
                at=_MOMENT,
                client=_TEXT,
                case={"type": ["string", "null"]},
                code=_TEXT,
                got={"type": ["string", "null"]},
                text=_object(zh=_TEXT, en=_TEXT),
                edition={"type": ["integer", "null"]},
                lookups={
                    "type": "array",
                    "items": _object(
                        key=_TEXT,
                        source=_TEXT,
                        form=_TEXT,
                        grant={"type": ["object", "null"]},
                        rule={"type": ["string", "null"]},
                        text=_object(zh=_TEXT, en=_TEXT),
                    ),
                },
            ),
        }
    ),
    "closed": _object(case=_object(number=_TEXT), state={"const": "closed"}, outcome=_TEXT),
    "cosigned": _object(size=_INTEGER),
    "accesses": _object(
        accesses={"type": "array", "items": {"$ref": "#/components/schemas/audit.access"}}, more={"type": "boolean"}
    ),
    "embargo": _object(id=_TEXT, until=_MOMENT, requested_by=_TEXT, approved_by={"type": ["string", "null"]}),
    "embargoes": _object(
        embargoes={
            "type": "array",
            "items": _object(
                id=_TEXT,
                reason=_TEXT,
                until=_MOMENT,
                client={"type": ["string", "null"]},
                case={"type": ["string", "null"]},
                requested_by=_TEXT,
                requested_from=_TEXT,
                approved_by={"type": ["string", "null"]},
                requested_at=_MOMENT,
            ),
        }
    ),
    "erased": _object(case=_object(number=_TEXT), verifications=_INTEGER, lookups=_INTEGER),
    "consistency": _object(old=_INTEGER, new=_INTEGER, hashes={"type": "array", "items": _TEXT}),
    "edition": _EDITION,
    "editions": _object(in_force={"type": ["integer", "null"]}, editions={"type": "array", "items": _EDITION}),
    "drafts": _object(drafts={"type": "array", "items": {"$ref": "#/components/schemas/draft"}}),
    "rebased": _object(
        done={"type": "boolean"},
        draft={"$ref": "#/components/schemas/draft"},
        conflicts={"type": "array", "items": {"$ref": "#/components/schemas/draft.conflict"}},
    ),
    "applications": _object(applications={"type": "array", "items": {"$ref": "#/components/schemas/application"}}),
    "flags": _object(flags={"type": "array", "items": {"$ref": "#/components/schemas/flag"}}),
    "grant_state": _object(grant=_TEXT, state={"enum": ["in_force", "suspended", "revoked"]}),
    "consents": _object(consents={"type": "array", "items": {"$ref": "#/components/schemas/consent"}}),
    "orders": _object(orders={"type": "array", "items": {"$ref": "#/components/schemas/order"}}),
    "objections": _object(objections={"type": "array", "items": {"$ref": "#/components/schemas/objection"}}),
    "status": _object(status=_TEXT),
    "sources": _object(sources={"type": "array", "items": _SOURCE}),
    "fitness": _object(
        status={"enum": ["ok", "degraded"]},
        checks={"type": "object", "additionalProperties": _object(well={"type": "boolean"}, took_ms=_INTEGER)},
        sources={"type": "object", "additionalProperties": _STATE},
        broken={"type": "array", "items": {"enum": ["sign", "write", "queue", "source"]}},
        broken_sources={"type": "object", "additionalProperties": _TEXT},
        keys_ending=_object(own=_INTEGER, client=_INTEGER, source=_INTEGER),
    ),
    "promises": _object(promises={"type": "array", "items": _PROMISE}),
    "callback": {
        "oneOf": [
            _object(delivery=_TEXT, verification=_TEXT, state={"enum": ["pending", "decided"]}, receipt=_TEXT),
            _object(delivery=_TEXT, verification=_TEXT, state={"const": "promise"}, material=_TEXT, notice=_TEXT),
            _object(delivery=_TEXT, verification=_TEXT, state={"const": "objection"}, objection=_TEXT, notice=_TEXT),
        ]
    },
}


_CALLBACK = {
    "operationId": "decided",
    "summary": "Sent to a system's registered callback URL, signed by the broker; may come twice with one delivery id.",
    "requestBody": {"required": True, "content": {_JSON: {"schema": {"$ref": "#/components/schemas/callback"}}}},
    "responses": {"2XX": {"description": "Received. Anything else is repeated with growing pauses, twelve times."}},
}


def read_schema(folder: Path, name: str) -> dict[str, Any]:
    """A schema file as a document."""
    schema: dict[str, Any] = orjson.loads((folder / f"{name}.schema.json").read_bytes())
    return schema


def openapi_document(schemas_folder: Path, public_url: str) -> dict[str, Any]:
    """The whole document, as served."""
    components: dict[str, Any] = dict(_SMALL)
    for name in SCHEMAS:
        components |= _components(name, read_schema(schemas_folder, name))
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Exemption broker",
            "version": __version__,
            "description": "Which of the required materials can be had from authoritative data. Requests and answers"
            " are signed by HTTP Message Signatures (RFC 9421); docs/api.md has the profile with an example.",
        },
        "servers": [{"url": public_url}],
        "paths": paths,
        "webhooks": {"decided": {"post": _CALLBACK}},
        "components": {
            "schemas": components,
            "securitySchemes": {
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Signature",
                    "description": "RFC 9421, labelled sig1, tag broker-request-v1, with Signature-Input beside it.",
                }
            },
        },
    }


def codes_of(route: Route) -> list[str]:
    """Every problem code the operation may answer with, in the order of the table."""
    possible = {*route.problems, *_ALWAYS}
    return [code for code in PROBLEMS if code in possible]


def _operation(route: Route) -> dict[str, Any]:
    answers = {str(status): _answer(*answer) for status, answer in route.answers.items()}
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.text,
        "security": [{"signature": [role.value]} for role in route.roles],
        "responses": answers | _refusals(route),
    }
    if route.parameters:
        operation["parameters"] = [parameter.document() for parameter in route.parameters]
    if route.body:
        operation["requestBody"] = {"required": True, "content": {route.media: {"schema": _schema(route.body)}}}
    return operation


def _answer(words: str, media_type: str, schema: str) -> dict[str, Any]:
    return {"description": words, "content": {one: {"schema": _schema(schema)} for one in media_type.split(", ")}}


def _refusals(route: Route) -> dict[str, Any]:
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": _schema("problem")}}
    if any(media_type == _HTML for _, media_type, _ in route.answers.values()):
        content |= {_HTML: {"schema": _schema("string")}}  # for who asks as a browser does
    by_status: dict[int, list[str]] = {}
    for code in codes_of(route):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}` {PROBLEMS[code].en}" for code in codes),
            "content": content,
            "x-problem-codes": codes,
        }
        for status, codes in sorted(by_status.items())
    }


def _schema(name: str) -> dict[str, Any]:
    if name == "binary":
        return {}
    return {"type": name} if name in {"object", "string"} else {"$ref": f"#/components/schemas/{name}"}


def _components(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema and its definitions, each a component: ``request`` and ``request.person``."""
    body = {key: value for key, value in schema.items() if key not in {"$schema", "$id", "$defs"}}
    definitions = schema.get("$defs", {})
    return {name: _moved(body, name)} | {f"{name}.{key}": _moved(value, name) for key, value in definitions.items()}


def _moved(node: Any, name: str) -> Any:
    """The same with its references pointing at the components."""
    if isinstance(node, list):
        return [_moved(child, name) for child in node]
    if not isinstance(node, dict):
        return node
    return {key: _component(value, name) if key == "$ref" else _moved(value, name) for key, value in node.items()}


def _component(reference: str, name: str) -> str:
    """Where a definition of this schema, or of another one by its URN, stands among the components."""
    if reference == "#":
        return f"#/components/schemas/{name}"
    moved = _OTHER_SCHEMA.sub(r"#/components/schemas/\1.", reference)
    return moved.replace("#/$defs/", f"#/components/schemas/{name}.")


# --- the page --------------------------------------------------------------------------------------------------------

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f3f3}td,th{text-align:left;vertical-align:top;"
    "padding:.2rem .6rem;border-top:1px solid #ccc}h2{margin-top:2.5rem}pre{padding:.6rem;overflow:auto}"
)


def docs_page(document: Mapping[str, Any]) -> str:
    """One static page from the document: routes, parameters, answers, problems and schemas."""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{_e(document["info"]["title"])}</title>',
            f"<style>{_STYLE}</style></head><body><main>",
            f"<h1>{_e(document['info']['title'])} {_e(document['info']['version'])}</h1>",
            f"<p>{_e(document['info']['description'])}</p>",
            '<p><a href="openapi.json">openapi.json</a> · <a href=".well-known/jwks.json">jwks.json</a></p>',
            *_operations(document),
            "<h2>Schemas</h2>",
            *_schemas(document),
            "</main></body></html>",
        ]
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<h2><code>{method.upper()} {_e(path)}</code></h2>"
            yield f"<p>{_e(operation['summary'])}{_signed(operation)}</p><table>"
            for one in operation.get("parameters", ()):
                yield f"<tr><th>{_e(one['name'])}</th><td>{_e(one['in'])}: {_e(one['description'])}</td></tr>"
            for status, answer in operation["responses"].items():
                yield f"<tr><th>{_e(status)}</th><td>{_e(answer['description'])}</td></tr>"
            yield "</table>"


def _signed(operation: Mapping[str, Any]) -> str:
    roles = " or ".join(f"<code>{_e(role)}</code>" for one in operation["security"] for role in one["signature"])
    return f" <b>Signed</b>, role {roles}." if roles else ""


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode("utf-8")
        yield f'<h3 id="{_e(name)}">{_e(name)}</h3><pre>{_e(text)}</pre>'


def _e(text: str) -> str:
    return html.escape(text)
