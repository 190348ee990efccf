"""The subject's view: a person sees who asked about them, never anybody else, and an embargo hides until its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from broker.core.envelope import Algorithm
from broker.core.roles import Role
from broker.flow.sequence import sequence
from broker.signing import keys
from tests.unit.web_ground import COMPANY, OTHER_PERSON, PERSON, Ground, document_of, enrol, later, lay_ground

PORTAL, CENTRE, SECOND = (keys.generate(Algorithm.ED25519, name) for name in ("portal", "centre", "second"))
ME = {"id_type": "111", "number": PERSON}


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A broker that was asked about a company and its legal representative."""
    ground = lay_ground(tmp_path)
    enrol(ground, "portal", PORTAL, roles=[Role.PORTAL])
    enrol(ground, "centre", CENTRE, roles=[Role.CENTRE])
    enrol(ground, "second", SECOND, roles=[Role.CENTRE])
    ground.sequenced()
    yield ground
    ground.database.dispose()


def view(ground: Ground, subject: dict[str, str] = ME, **said: Any) -> dict[str, Any]:
    return document_of(ground.send("POST", "/v1/subject/accesses", {"subject": subject, **said}, signer=PORTAL))


def embargo(ground: Ground, until: datetime, **said: Any) -> dict[str, Any]:
    body = {"by": "李某", "reason": "案件调查", "until": until.isoformat(), **said}
    return document_of(ground.send("POST", "/v1/embargoes", body, signer=CENTRE))


def approve(ground: Ground, number: str, by: str = "王某", signer: keys.PrivateKey = SECOND) -> dict[str, Any]:
    return document_of(ground.send("POST", f"/v1/embargoes/{number}/approval", {"by": by}, signer=signer))


def test_a_person_sees_who_asked_what_about_them_and_why(ground: Ground) -> None:
    (one,) = view(ground)["accesses"]
    assert one.pop("at").endswith("Z")
    assert one == {
        "kind": "asked", "system": "审批系统", "unit": "113704000042880080", "case": "case-0", "item": one["item"],
        "source": "people", "form": "query", "fields": ["status"], "basis": "statutory_duty", "reference": "测试",
    }  # fmt: skip


def test_nothing_of_anybody_else_is_shown(ground: Ground) -> None:
    told = json.dumps(view(ground), ensure_ascii=False)
    for other in (COMPANY, "op-7", "张某", "某某食品", ground.parts.vault.pseudonym(f"001:{COMPANY}")):
        assert other not in told
    assert ground.parts.vault.pseudonym(f"111:{PERSON}") not in told
    assert view(ground, {"id_type": "111", "number": OTHER_PERSON}) == {"accesses": [], "more": False}


def test_every_view_is_an_entry_without_the_number(ground: Ground) -> None:
    view(ground)
    told = ground.entries()[-1]
    assert (told["kind"], told["client"], told["count"]) == ("accesses_shown", "portal", 1)
    assert told["subject"] == ground.parts.vault.pseudonym(f"111:{PERSON}")
    assert PERSON not in json.dumps(ground.entries())


def test_a_period_narrows_the_view(ground: Ground) -> None:
    assert view(ground, since=later(hours=1).isoformat())["accesses"] == []
    assert len(view(ground, until=later(hours=1).isoformat())["accesses"]) == 1
    assert view(ground, {"id_type": "111", "number": PERSON[:-1] + "1"})["code"] == "request.identifier"


@pytest.mark.parametrize("what", [{"subject": ME}, {"client": "approval", "case": "case-0"}])
def test_an_embargo_hides_once_another_person_approves_it_and_until_its_end(
    ground: Ground, what: dict[str, Any]
) -> None:
    made = embargo(ground, later(days=30), **what)
    assert len(view(ground)["accesses"]) == 1, "nobody has approved it"
    assert approve(ground, made["id"], "李 某")["code"] == "embargo.self-approval"
    assert approve(ground, made["id"], signer=CENTRE)["code"] == "embargo.self-approval", "a name is easily another"
    assert len(view(ground)["accesses"]) == 1
    assert approve(ground, made["id"])["approved_by"] == "王某"
    assert view(ground)["accesses"] == []
    with ground.database.begin(write=True) as connection:
        connection.execute(text("UPDATE embargo SET until = 1"))
        connection.commit()
    assert len(view(ground)["accesses"]) == 1
    kinds = [one["kind"] for one in ground.entries()]
    assert {"embargo_requested", "embargo_approved"} <= set(kinds)


def test_an_embargo_is_listed_until_it_is_lifted_with_a_reason(ground: Ground) -> None:
    made = embargo(ground, later(days=30), subject=ME)
    approve(ground, made["id"])
    (listed,) = document_of(ground.send("GET", "/v1/embargoes", signer=CENTRE))["embargoes"]
    assert (listed["id"], listed["reason"], listed["approved_by"]) == (made["id"], "案件调查", "王某")
    path, lifting = f"/v1/embargoes/{made['id']}/lifting", {"by": "赵某", "reason": "调查结束"}
    assert document_of(ground.send("POST", path, {"by": "赵某"}, signer=CENTRE))["code"] == "request.schema"
    assert view(ground)["accesses"] == []
    assert document_of(ground.send("POST", path, lifting, signer=CENTRE))["id"] == made["id"]
    assert len(view(ground)["accesses"]) == 1
    told = [one for one in ground.entries() if one["kind"] == "embargo_lifted"]
    assert [(one["by"], one["why"]) for one in told] == [("赵某", "调查结束")]
    assert document_of(ground.send("GET", "/v1/embargoes", signer=CENTRE))["embargoes"] == []
    assert document_of(ground.send("POST", path, lifting, signer=CENTRE))["code"] == "embargo.over"
    unknown = ground.send("POST", f"/v1/embargoes/{'0' * 32}/lifting", lifting, signer=CENTRE)
    assert document_of(unknown)["code"] == "embargo.unknown"


def test_an_embargo_on_one_case_leaves_the_others_visible(ground: Ground) -> None:
    ground.sequenced()
    approve(ground, embargo(ground, later(days=30), client="approval", case="case-0")["id"])
    while sequence(ground.parts):
        pass
    assert [one["case"] for one in view(ground)["accesses"]] == ["case-1"]


def test_what_an_embargo_may_not_be(ground: Ground) -> None:
    assert embargo(ground, later(days=-1), subject=ME)["code"] == "embargo.until"
    assert embargo(ground, later(days=400), subject=ME)["code"] == "embargo.until"
    assert embargo(ground, later(days=1))["code"] == "request.schema"
    passport = {"id_type": "414", "number": "E1234567"}
    assert embargo(ground, later(days=1), subject=passport, reason="护照 e1234567")["code"] == "embargo.reason"
    assert approve(ground, "0" * 32)["code"] == "embargo.unknown"
    made = embargo(ground, later(days=1), subject=ME)
    approve(ground, made["id"])
    assert approve(ground, made["id"], "赵某")["code"] == "embargo.state"
