"""The OpenAPI document is the application: the same routes, the same schemas, every problem code; and it is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from broker.core.problems import PROBLEMS
from broker.web.openapi import SCHEMAS, codes_of, docs_page, openapi_document
from broker.web.routes import ROUTES
from tests.unit.web_ground import PUBLIC_URL, Ground, document_of, lay_ground
from tests.unit.web_ground import SCHEMAS as FOLDER

DOCUMENT = openapi_document(FOLDER, PUBLIC_URL)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def test_the_document_is_valid_openapi_3_1() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_route_is_documented_and_every_documented_route_exists(ground: Ground) -> None:
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in ground.app.url_map.iter_rules()
        if not rule.rule.startswith("/console")  # pages for people; tests/console holds every one of them
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert served == {(route.method, route.path) for route in ROUTES}


def test_every_status_is_documented_with_a_media_type_and_every_refusal_with_its_codes() -> None:
    for route in ROUTES:
        responses = DOCUMENT["paths"][route.path][route.method.lower()]["responses"]
        refusals = {str(PROBLEMS[code].status) for code in codes_of(route)}
        assert set(responses) == refusals | {str(status) for status in route.answers}
        assert not refusals & {str(status) for status in route.answers}
        listed = [code for status in refusals for code in responses[status]["x-problem-codes"]]
        assert sorted(listed) == sorted(codes_of(route))
        assert all(answer["content"] for answer in responses.values())


def test_every_reference_points_at_a_component() -> None:
    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                yield from references(value)
        elif isinstance(node, list):
            for child in node:
                yield from references(child)

    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


@pytest.mark.parametrize("name", [*SCHEMAS, "entry"])
def test_schemas_close_every_object_but_those_that_say_otherwise(name: str) -> None:
    """Unknown fields are refused everywhere; only the audit entry may learn new facts."""
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:exemption-broker:schema:{name}:1"

    def objects(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for child in node.values():
                yield from objects(child)
        elif isinstance(node, list):
            for child in node:
                yield from objects(child)

    if name != "entry":
        assert all("additionalProperties" in one for one in objects(schema))


def test_the_document_and_its_page_are_served_and_load_nothing_from_elsewhere(ground: Ground) -> None:
    assert document_of(ground.http.get("/openapi.json")) == DOCUMENT
    page = ground.http.get("/docs")
    assert page.text == docs_page(DOCUMENT)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", page.text)
    for route in ROUTES:
        assert f"{route.method} {route.path}" in page.text
