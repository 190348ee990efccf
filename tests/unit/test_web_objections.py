"""Objections by API: an approval system raises one about its own verification, and follows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.core.envelope import Algorithm
from broker.core.objection import ObjectionAct
from broker.core.roles import Role
from broker.flow import objections as steps
from broker.signing import keys
from tests.unit.web_ground import Ground, document_of, enrol, lay_ground

UNIT = "113704000042880080"
OTHER = keys.generate(Algorithm.ED25519, "other")


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    enrol(ground, "other", OTHER, roles=[Role.APPROVAL])
    yield ground
    ground.database.dispose()


def doubt(ground: Ground) -> dict[str, Any]:
    """An objection to the first answer that a decided verification rests on."""
    decided = ground.decided()
    for material in decided["materials"]:
        for step in material["steps"]:
            if "digest" in step:
                return {"verification": decided["id"], "material": material["material"], "source": step["source"],
                        "words": "已换发新照", "by": {"id": "op1", "unit": UNIT}}  # fmt: skip
    raise AssertionError("no source has answered")


def raised(ground: Ground, document: dict[str, Any], **how: Any) -> TestResponse:
    return ground.send("POST", "/v1/objections", document, **how)


def test_an_objection_is_raised_and_followed(ground: Ground) -> None:
    document = doubt(ground)
    answer = raised(ground, document)
    made = document_of(answer)
    assert (answer.status_code, made["state"], made["marked"]) == (201, "raised", False)
    steps.act(ground.parts, made["id"], ObjectionAct.ACCEPT, "sjj-1", "", lambda _o, _a: True)
    followed = document_of(ground.send("GET", f"/v1/objections/{made['id']}"))
    assert (followed["state"], followed["marked"], followed["overdue"]) == ("accepted", True, False)
    assert "words" not in followed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"words": ""}, "request.schema"),
        ({"verification": "0" * 32}, "verification.unknown"),
        ({"material": "another"}, "objection.nothing"),
        ({"words": "  "}, "objection.words"),
    ],
)
def test_what_cannot_be_objected_to_is_refused_and_changes_nothing(
    ground: Ground, change: dict[str, Any], code: str
) -> None:
    document = doubt(ground) | change
    assert document_of(raised(ground, document))["code"] == code
    assert ground.rows()["objection"] == 0


def test_another_systems_objection_is_as_unknown_as_none(ground: Ground) -> None:
    document = doubt(ground)
    assert document_of(raised(ground, document, signer=OTHER))["code"] == "verification.unknown"
    number = document_of(raised(ground, document))["id"]
    assert document_of(raised(ground, document))["code"] == "objection.open"
    answer = ground.send("GET", f"/v1/objections/{number}", signer=OTHER)
    assert document_of(answer)["code"] == "objection.unknown"
