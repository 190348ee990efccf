"""Reports of paper by the signed API: kept with how each stands, refused without a reason, and the refusal is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.web_ground import Ground, document_of, lay_ground

PATH = "/v1/cases/collected"


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    yield ground
    ground.database.dispose()


def body(*materials: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "request_id": "p-1", "case": {"number": "2026-1"}, "region": "370400", "item": "food-licence",
        "operator": {"id": "op-7", "unit": "113704000042880080"}, "materials": list(materials),
    } | changes  # fmt: skip


def test_a_report_says_how_each_paper_stands(ground: Ground) -> None:
    taken = body({"material": "business-licence", "reason": "clerk_habit"}, {"material": "form", "original": True})
    answer = ground.send("POST", PATH, taken)
    told = document_of(answer)
    assert answer.status_code == 200
    assert told["materials"] == [
        {"material": "business-licence", "original": False, "standing": "live", "reason": "clerk_habit",
         "source": "licences", "verification": None},
        {"material": "form", "original": True, "standing": "uncovered", "reason": None, "source": None,
         "verification": None},
    ]  # fmt: skip
    assert document_of(ground.send("POST", PATH, taken)) == told, "once"


def test_a_demand_without_its_reason_is_refused_and_the_refusal_is_in_the_log(ground: Ground) -> None:
    before = ground.rows()
    refused = ground.send("POST", PATH, body({"material": "business-licence", "original": True}))
    told = document_of(refused)
    assert (refused.status_code, told["code"]) == (422, "collected.reason")
    assert "clerk_habit" in told["expected"]
    assert ground.entries()[-1]["code"] == "collected.reason"
    changed = {table for table, count in ground.rows().items() if count != before[table]}
    assert changed == {"entry", "entry_queue", "nonce"}


@pytest.mark.parametrize(
    "broken",
    [
        body(),
        body({"material": "form", "reason": "no-such-reason"}),
        body({"material": "form", "reason": "other"}),
        body({"material": "form", "note": "x" * 201}),
        body({"material": "form"}, operator={"id": "op-7", "unit": "113704000042880080", "name": "李某"}),
    ],
)
def test_what_breaks_the_grammar_is_refused(ground: Ground, broken: dict[str, Any]) -> None:
    assert document_of(ground.send("POST", PATH, broken))["code"] == "request.schema"
