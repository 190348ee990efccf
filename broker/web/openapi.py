"""The OpenAPI 3.1 document: the schema files and one table of routes, which a test compares with Flask's.

The schemas that check requests are the schemas that describe them; their ``$defs`` become components.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from broker import __version__
from broker.core.problems import PROBLEMS
from broker.web.errors import MEDIA_TYPE

SCHEMAS = ("request", "verification", "receipt", "outcome", "problem")
_JSON = "application/json"
_SIGNATURE = tuple(code for code in PROBLEMS if code.startswith("signature."))
_ALWAYS = ("broker.fault", "request.unreadable", "route.method")
_READS = ("store.away",)
_SIGNED = (*_SIGNATURE, "caller.suspended", "body.too-large", *_READS)
_BODY = tuple(code for code in PROBLEMS if code.startswith("body.") and code != "body.too-large")
_LISTED = ("edition.none", "request.parameter", "request.region", *_READS)
_PROVEN = ("verification.unknown", "verification.undecided", "log.not-yet", "log.tile")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter beside the body."""

    name: str
    where: str  # path, query or header
    text: str
    pattern: str
    required: bool = True

    def document(self) -> dict[str, Any]:
        """Its OpenAPI form."""
        schema = {"type": "string", "pattern": f"^{self.pattern}$"}
        about = {"name": self.name, "in": self.where, "description": self.text, "required": self.required}
        return about | {"schema": schema}


@dataclass(frozen=True, slots=True)
class Route:
    """One operation: what it takes, what it gives, and every problem it can answer with."""

    method: str
    path: str
    name: str
    text: str
    answers: Mapping[int, tuple[str, str, str]]  # status → (words, media type, schema: a component, or a JSON type)
    problems: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    signed: bool = False


_NUMBER = Parameter("number", "path", "The verification's id, as its submission returned it.", "[0-9a-f]{32}")
_PREFER = Parameter(
    "Prefer", "header", "`wait=N`: answer as soon as it is decided, at the latest after N ≤ 30 seconds (RFC 7240).",
    "wait=[0-9]+", required=False,
)  # fmt: skip
_REGION = Parameter("region", "query", "The administrative code.", "[1-9][0-9]{5}")
_VIEW = ("The verification as it stands.", _JSON, "verification")

ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/v1/verifications", "submit",
        "Submit a verification of one item or one scene. The same request id and body again: the same verification.",
        {200: ("It is decided.", _JSON, "verification"), 202: ("The sources are being asked.", _JSON, "verification")},
        (
            *_SIGNED, *_BODY, "request.schema", "request.scope", "request.identifier", "request.role-twice",
            "request.region", "request.item", "request.scene", "request.role", "request.material",
            "request.item-not-in-force", "request.level", "request.conflict", "case.applicant-differs", "case.closed",
            *(code for code in PROBLEMS if code.startswith("grant.")), "edition.none", "broker.overloaded",
        ),
        (_PREFER,), "request", signed=True,
    ),
    Route(
        "GET", "/v1/verifications/{number}", "read", "Read a verification of this system, or wait for its decision.",
        {200: _VIEW}, (*_SIGNED, "verification.unknown"), (_NUMBER, _PREFER), signed=True,
    ),
    Route(
        "GET", "/v1/verifications/{number}/receipt", "receipt",
        "The receipt as stored, byte for byte: a compact JWS whose payload follows the schema `receipt`.",
        {200: ("The receipt.", "application/jose", "string")},
        (*_SIGNED, "verification.unknown", "verification.undecided"), (_NUMBER,), signed=True,
    ),
    Route(
        "GET", "/v1/verifications/{number}/proof", "proof",
        "The audit entry of the decision, and the proof that it is in the log (c2sp.org/tlog-proof@v1).",
        {200: ("Entry and proof.", _JSON, "proof")}, (*_SIGNED, *_PROVEN), (_NUMBER,), signed=True,
    ),
    Route(
        "GET", "/v1/verifications/{number}/bundle", "bundle",
        "Receipt, entry and proof in one document, to be filed in the case archive and verified offline.",
        {200: ("The bundle.", _JSON, "bundle")}, (*_SIGNED, *_PROVEN), (_NUMBER,), signed=True,
    ),
    Route(
        "POST", "/v1/cases/outcome", "close", "Report a case's outcome: nothing is asked for it any more.",
        {200: ("The case is closed.", _JSON, "closed")},
        (*_SIGNED, *_BODY, "request.schema", "case.unknown", "case.closed"), (), "outcome", signed=True,
    ),
    Route(
        "GET", "/v1/guide", "guide", "一次告知: what one item or one scene requires, and what need not be handed in.",
        {200: ("The guide.", _JSON, "object")},
        (*_LISTED, "request.scope", "request.item", "request.scene", "request.item-not-in-force"),
        (
            _REGION,
            Parameter("item", "query", "An item's key; either this or scene.", "[a-z][a-z0-9.-]{0,59}", required=False),
            Parameter("scene", "query", "A scene's key.", "[a-z][a-z0-9.-]{0,59}", required=False),
        ),
    ),
    Route(
        "GET", "/v1/items", "items", "The scenes and items of a region's list.",
        {200: ("The list.", _JSON, "object")}, _LISTED, (_REGION,),
    ),
    Route(
        "GET", "/log/checkpoint", "checkpoint", "The latest signed checkpoint of the audit log (C2SP tlog-checkpoint).",
        {200: ("A signed note.", "text/plain", "string")}, ("log.not-yet", *_READS),
    ),
    Route(
        "GET", "/log/tile/{path}", "tile",
        "A tile of hashes (C2SP tlog-tiles), partial ones included; entry bundles are not public.",
        {200: ("Up to 256 hashes of 32 bytes.", "application/octet-stream", "binary")},
        ("log.tile-path", "log.not-yet", *_READS),
        (Parameter("path", "path", "Level, index and width as tlog-tiles spells them.", "[0-9x/.p]+"),),
    ),
    Route(
        "GET", "/log/proof/consistency", "consistency", "The hashes that show one log size to begin with another.",
        {200: ("The proof (RFC 9162).", _JSON, "consistency")},
        ("request.parameter", "log.not-yet", "log.tile", *_READS),
        (
            Parameter("old", "query", "The smaller size.", "[0-9]{1,18}"),
            Parameter("new", "query", "The larger size.", "[0-9]{1,18}"),
        ),
    ),
    Route(
        "GET", "/.well-known/jwks.json", "jwks", "Every public key, historic ones included, with its roles.",
        {200: ("A JWK set (RFC 7517).", "application/jwk-set+json", "object")}, (),
    ),
    Route("GET", "/openapi.json", "openapi", "This document.", {200: ("OpenAPI 3.1.", _JSON, "object")}, ()),
    Route("GET", "/docs", "docs", "This document as a page.", {200: ("HTML.", "text/html", "string")}, ()),
    Route("GET", "/health", "health", "Whether the process answers.", {200: ("It does.", _JSON, "status")}, ()),
    Route(
        "GET", "/ready", "ready", "Whether it can work: its database answers.",
        {200: ("It can.", _JSON, "status")}, _READS,
    ),
)  # fmt: skip


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


_TEXT = {"type": "string"}
_SMALL = {
    "proof": _object(entry=_TEXT, proof=_TEXT),
    "bundle": _object(receipt=_TEXT, entry=_TEXT, proof=_TEXT),
    "closed": _object(case=_object(number=_TEXT), state={"const": "closed"}, outcome=_TEXT),
    "consistency": _object(old={"type": "integer"}, new={"type": "integer"}, hashes={"type": "array", "items": _TEXT}),
    "status": _object(status=_TEXT),
    "callback": _object(delivery=_TEXT, verification=_TEXT, state={"const": "decided"}, receipt=_TEXT),
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
        "security": [{"signature": []}] if route.signed else [],
        "responses": answers | _refusals(route),
    }
    if route.parameters:
        operation["parameters"] = [parameter.document() for parameter in route.parameters]
    if route.body:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": _schema(route.body)}}}
    return operation


def _answer(words: str, media_type: str, schema: str) -> dict[str, Any]:
    return {"description": words, "content": {media_type: {"schema": _schema(schema)}}}


def _refusals(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes_of(route):
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        str(status): {
            "description": "; ".join(f"`{code}` {PROBLEMS[code].en}" for code in codes),
            "content": {MEDIA_TYPE: {"schema": _schema("problem")}},
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
    return {
        key: value.replace("#/$defs/", f"#/components/schemas/{name}.") if key == "$ref" else _moved(value, name)
        for key, value in node.items()
    }


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
            yield f"<p>{_e(operation['summary'])}{' <b>Signed.</b>' if operation['security'] else ''}</p><table>"
            for one in operation.get("parameters", ()):
                yield f"<tr><th>{_e(one['name'])}</th><td>{_e(one['in'])}: {_e(one['description'])}</td></tr>"
            for status, answer in operation["responses"].items():
                yield f"<tr><th>{_e(status)}</th><td>{_e(answer['description'])}</td></tr>"
            yield "</table>"


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in document["components"]["schemas"].items():
        text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode("utf-8")
        yield f'<h3 id="{_e(name)}">{_e(name)}</h3><pre>{_e(text)}</pre>'


def _e(text: str) -> str:
    return html.escape(text)
