"""Applications and grants by the signed API: the whole way round, what each party sees, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broker.core.envelope import Algorithm
from broker.core.identifiers import credit_check_digit
from broker.core.roles import Role
from broker.flow.register import register_client, register_key
from broker.ports import Client, ClientKey
from broker.signing import keys
from tests.unit.web_ground import CATALOG, START, Ground, document_of, lay_ground

UNIT = "113704000042880080"
OWNER = "11370400MB0000001" + credit_check_digit("11370400MB0000001")
EVERY = "/v1/grants/applications"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The list names the licences' department, which has a system; so has the centre."""
    sources = {**CATALOG["sources"], "licences": {**CATALOG["sources"]["licences"], "unit": OWNER}}
    folder: Path = tmp_path_factory.mktemp("grants")
    ground = lay_ground(folder, granted=False, document={**CATALOG, "sources": sources})
    yield ground
    ground.database.dispose()


def signer(ground: Ground, name: str, unit: str, *roles: Role) -> keys.PrivateKey:
    """A registered system's key."""
    key = keys.generate(Algorithm.ED25519, name)
    register_client(ground.parts, Client(name, name, unit, None, "active", roles))
    register_key(ground.parts, ClientKey(name, key.verifier(), START, None, None), keys.public_pem(key).decode())
    return key


def wish(**changes: Any) -> dict[str, Any]:
    """A good application."""
    said = {
        "by": "李某", "unit": UNIT, "source": "licences", "items": ["food-licence"], "scenes": ["enterprise-1.1"],
        "forms": ["query"], "fields": ["status"], "bases": ["statutory_duty"], "legal_reference": "食品安全法",
        "purpose": "核验营业执照", "daily_calls": 50, "valid_from": "2026-01-01", "valid_to": "2028-12-31",
    }  # fmt: skip
    return {name: value for name, value in (said | changes).items() if value is not None}


def test_from_the_application_to_the_revoked_grant(ground: Ground) -> None:
    police = signer(ground, "licences-department", OWNER, Role.SOURCE)
    assert document_of(ground.submit())["code"] == "grant.none"
    answer = ground.send("POST", EVERY, wish())
    made = document_of(answer)
    assert (answer.status_code, made["state"], made["owner"], made["overdue"]) == (201, "applied", OWNER, False)
    assert made["asked"]["valid_to"] == "2028-12-31T16:00:00.000Z", "the last day ends at midnight in China"
    one = f"{EVERY}/{made['id']}"
    assert document_of(ground.send("GET", one)) == made
    assert document_of(ground.send("GET", EVERY, signer=police))["applications"] == [made]
    assert document_of(ground.send("GET", f"{EVERY}/overdue", signer=police))["applications"] == []
    verdict = {"by": "王某", "unit": OWNER, "approve": True, "reason": "符合职责", "daily_calls": 10}
    decided = document_of(ground.send("POST", f"{one}/decision", verdict, signer=police))
    assert (decided["state"], decided["given"]["daily_calls"], decided["decided"]["by"]) == ("trimmed", 10, "王某")
    assert ground.submit(ground.request(materials=["business-licence"])).status_code == 202
    change = {"by": "王某", "unit": OWNER, "state": "revoked", "reason": "职责调整"}
    answer = ground.send("POST", f"/v1/grants/{made['id']}/state", change, signer=police)
    assert document_of(answer) == {"grant": made["id"], "state": "revoked"}
    assert document_of(ground.submit(ground.request(materials=["business-licence"])))["code"] == "grant.revoked"
    again = ground.send("POST", f"/v1/grants/{made['id']}/state", change, signer=police)
    assert document_of(again)["code"] == "application.grant-state"
    kinds = [one["kind"] for one in ground.entries() if one.get("application") == made["id"]]
    assert kinds == ["applied", "application_trimmed", "grant_registered"]


def test_an_application_is_unknown_to_systems_that_it_does_not_concern(ground: Ground) -> None:
    number = document_of(ground.send("POST", EVERY, wish()))["id"]
    other = signer(ground, "another", UNIT, Role.APPROVAL)
    auditor = signer(ground, "auditor", UNIT, Role.AUDITOR)
    assert document_of(ground.send("GET", f"{EVERY}/{number}", signer=other))["code"] == "application.unknown"
    assert document_of(ground.send("GET", f"{EVERY}/{number}", signer=auditor))["id"] == number


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("request.schema", {"purpose": None}),
        ("request.schema", {"valid_to": "2026-02-30"}),
        ("request.schema", {"valid_to": "9999-12-31"}),
        ("request.schema", {"items": None, "scenes": None}),
        ("request.schema", {"client": "another"}),
        ("request.identifier", {"unit": UNIT[:-1] + "1"}),
        ("application.scope", {"fields": ["colour"]}),
        ("application.renewal", {"renews": "nothing"}),
    ],
)
def test_a_wrong_application_is_refused_with_its_entry_and_leaves_nothing(
    ground: Ground, code: str, changes: dict[str, Any]
) -> None:
    before = ground.rows()
    assert document_of(ground.send("POST", EVERY, wish(**changes)))["code"] == code
    assert ground.entries()[-1]["code"] == code
    assert {name for name, count in ground.rows().items() if count != before[name]} <= {"entry", "entry_queue", "nonce"}
