"""Answer schemas: every source that a connector can ask has one, and nothing passes without one."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest

from broker.transport.answers import described, load_answer_schemas
from tests.asking import SCHEMAS, SIMULATED


def test_every_source_has_a_question_and_an_answer_schema() -> None:
    assert described(SCHEMAS) == set(SIMULATED)
    assert {path.name.partition(".")[0] for path in SCHEMAS.glob("*.question.schema.json")} == set(SIMULATED)


@pytest.mark.parametrize("path", sorted(SCHEMAS.iterdir()), ids=lambda path: path.name)
def test_every_schema_is_one(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(orjson.loads(path.read_bytes()))


def test_a_source_without_a_schema_passes_nothing() -> None:
    answer_ok = load_answer_schemas(SCHEMAS)
    assert not answer_ok("nobody", {})
    assert not answer_ok("nr-title", {})
    assert answer_ok("mca-marriage", {"status": "success", "result": []})
