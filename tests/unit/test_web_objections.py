"""Objections by API: an approval system raises and follows one, the source's department handles it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from broker.client import BrokerClient
from broker.core.envelope import Algorithm
from broker.core.grammar import Grammar
from broker.core.objection import ObjectionAct
from broker.core.roles import Role
from broker.flow import objections as steps
from broker.signing import keys
from broker.web.openapi import read_schema
from tests.unit.web_ground import COMPANY, PERSON, PUBLIC_URL, SCHEMAS, Ground, document_of, enrol, lay_ground

UNIT = "113704000042880080"
OTHER, KEEPER, NEIGHBOUR = (keys.generate(Algorithm.ED25519, name) for name in ("other", "keeper", "neighbour"))


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    enrol(ground, "other", OTHER, roles=[Role.APPROVAL])
    enrol(ground, "keeper", KEEPER, roles=[Role.SOURCE])
    enrol(ground, "neighbour", NEIGHBOUR, roles=[Role.SOURCE])
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


# --- the source's department


@pytest.fixture
def unit(ground: Ground) -> str:
    """The body of the department's system."""
    with ground.parts.store.read() as work:
        return work.policy(work.pulse().version).clients["keeper"].unit


def owned(ground: Ground, unit: str) -> str:
    """The number of an objection to what this department says."""
    made = document_of(raised(ground, doubt(ground)))
    with ground.database.begin(write=True) as connection:
        connection.execute(text("UPDATE objection SET owner = :unit"), {"unit": unit})
        connection.commit()
    return str(made["id"])


def act(ground: Ground, number: str, unit: str, what: str, who: str = "sjj-1", **more: Any) -> TestResponse:
    said = {"by": {"id": who, "unit": unit}, "act": what} | more
    return ground.send("POST", f"/v1/objections/{number}/acts", said, signer=KEEPER)


def test_a_department_handles_an_objection_from_its_own_system(ground: Ground, unit: str) -> None:
    number, desk = owned(ground, unit), BrokerClient(PUBLIC_URL, KEEPER, road=ground.road())
    assert [one["id"] for one in desk.objections()] == [number]
    way = (
        ("accept", "sjj-1", ("accepted", True)), ("find_wrong", "sjj-1", ("found_wrong", True)),
        ("correct", "sjj-2", ("corrected", False)), ("close", "sjj-1", ("closed", False)),
    )  # fmt: skip
    for what, who, expected in way:
        assert what in desk.objection_dossier(number)["possible"]
        moved = desk.act_on_objection(number, {"by": {"id": who, "unit": unit}, "act": what, "words": "已核"})
        assert (moved["state"], moved["marked"]) == expected
    kinds = [one["kind"] for one in ground.entries() if one.get("objection") == number]
    assert [kind for kind in kinds if kind != "objection_viewed"] == [
        "objection_raised", "record_marked", "objection_verified", "record_corrected", "decision_reopened",
        "objection_closed",
    ]  # fmt: skip
    marked = next(one for one in ground.entries() if one["kind"] == "record_marked")
    assert (marked["by"], marked["unit"], marked["key"]) == ("sjj-1", unit, "keeper")


def test_a_dossier_tells_persons_and_answer_and_its_reading_is_an_entry(ground: Ground, unit: str) -> None:
    number = owned(ground, unit)
    file = document_of(ground.send("GET", f"/v1/objections/{number}/dossier", signer=KEEPER))
    schema = read_schema(SCHEMAS, "objection")
    Grammar({key: value for key, value in schema.items() if key != "$defs"}).check(file["objection"])
    told = {key: value for key, value in file.items() if key != "objection"}
    grammar = schema["$defs"]["dossier"] | {"$defs": schema["$defs"]}
    grammar["required"] = sorted(told)
    Grammar(grammar).check(told)
    assert file["doubted"]["holder"]["number"] in {COMPANY, PERSON}
    assert file["doubted"]["holder"]["name"]
    assert file["doubted"]["answer"]["outcome"] == "held"
    assert [one["words"] for one in file["words"]] == ["已换发新照"]
    viewed = ground.entries()[-1]
    assert (viewed["kind"], viewed["client"], viewed["asked_for"], viewed["opened"], viewed["unit"]) == (
        "objection_viewed", "keeper", "approval", "answer", unit,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("what", "more", "code"),
    [
        ("burn", {}, "request.schema"),
        ("accept", {"words": "太长" * 1001}, "request.schema"),
        ("refuse", {}, "objection.words"),
        ("close", {}, "objection.state"),
        ("accept", {"by": {"id": "op1", "unit": ""}}, "objection.same-person"),
        ("accept", {"by": {"id": "OP1", "unit": ""}}, "objection.same-person"),
        ("accept", {"by": {"id": "sjj-1", "unit": "11370400MB9999999L"}}, "objection.unit"),
    ],
)
def test_an_act_that_may_not_be_changes_nothing(
    ground: Ground, unit: str, what: str, more: dict[str, Any], code: str
) -> None:
    number = owned(ground, unit)
    if "by" in more:
        more = {"by": {"id": more["by"]["id"], "unit": more["by"]["unit"] or unit}}
    before = document_of(ground.send("GET", f"/v1/objections/{number}"))
    assert document_of(act(ground, number, unit, what, **more))["code"] == code
    assert document_of(ground.send("GET", f"/v1/objections/{number}")) == before


def test_another_departments_objection_is_as_unknown_as_none(ground: Ground, unit: str) -> None:
    number = owned(ground, unit)
    with ground.database.begin(write=True) as connection:
        connection.execute(text("UPDATE objection SET owner = 'another'"))
        connection.commit()
    assert document_of(ground.send("GET", "/v1/objections", signer=NEIGHBOUR)) == {"objections": []}
    for one in (number, "0" * 32):
        read = ground.send("GET", f"/v1/objections/{one}/dossier", signer=KEEPER)
        assert document_of(read)["code"] == "objection.unknown"
        assert document_of(act(ground, one, unit, "accept"))["code"] == "objection.unknown"
    assert [one["kind"] for one in ground.entries()].count("objection_viewed") == 0
