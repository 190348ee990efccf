"""What departments and holders do by API: answer work orders, and consent."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from broker.client import BrokerClient
from broker.core.answer import Awaited, Order, Question, Waiting
from broker.core.case import Basis
from broker.core.catalog import Source
from broker.core.envelope import Algorithm
from broker.core.roles import Role
from broker.flow.register import register_grant
from broker.ports import Connection, Conversation
from broker.signing import keys
from tests.unit.web_ground import COMPANY, PERSON, PUBLIC_URL, Ground, document_of, enrol, lay_ground

POLICE, PORTAL = (keys.generate(Algorithm.ED25519, name) for name in ("police", "portal"))
HOLDERS = ({"id_type": "001", "number": COMPANY}, {"id_type": "111", "number": PERSON})


class Desk:
    """A source whose people answer: each question becomes a work order for one unit."""

    def __init__(self, unit: str) -> None:
        self.unit = unit

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """A conversation of no request."""
        yield from ()
        until = datetime.now(UTC) + timedelta(days=1)
        return Waiting(Awaited.DEPARTMENT, until, until, "memo", Order(self.unit, until))


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    ground = lay_ground(tmp_path)
    enrol(ground, "police", POLICE, roles=[Role.SOURCE])
    enrol(ground, "portal", PORTAL, roles=[Role.PORTAL])
    yield ground
    ground.database.dispose()


@pytest.fixture
def unit(ground: Ground) -> str:
    """The body of the department's system, to which every question goes as a work order."""
    with ground.parts.store.read() as work:
        unit = work.policy(work.pulse().version).clients["police"].unit
    ground.parts.connectors = {"fake": Desk(unit)}
    return unit


def ordered(ground: Ground) -> tuple[str, list[dict[str, Any]]]:
    number = document_of(ground.submit())["id"]
    ground.settle_all()
    return number, document_of(ground.send("GET", "/v1/orders", signer=POLICE))["orders"]


def answer(ground: Ground, order: str, unit: str, **more: Any) -> TestResponse:
    said = {"by": {"id": "jw-1", "unit": unit}, "reply": "confirm"} | more
    return ground.send("POST", f"/v1/orders/{order}/answer", said, signer=POLICE)


def test_the_client_lists_reads_and_answers_orders(ground: Ground, unit: str) -> None:
    ordered(ground)
    desk = BrokerClient(PUBLIC_URL, POLICE, road=ground.road())
    first, *others = desk.orders()
    assert desk.order(first["id"])["question"]["holder"]["number"] in {COMPANY, PERSON}
    answered = desk.answer_order(first["id"], {"by": {"id": "jw-1", "unit": unit}, "reply": "cannot_say"})
    assert (answered["state"], answered["reply"]) == ("answered", "cannot_say")
    assert desk.orders() == others


def test_a_department_sees_its_orders_and_its_answers_decide(ground: Ground, unit: str) -> None:
    number, orders = ordered(ground)
    assert document_of(ground.send("GET", f"/v1/verifications/{number}"))["state"] == "pending"
    for one in orders:
        shown = document_of(ground.send("GET", f"/v1/orders/{one['id']}", signer=POLICE))
        assert shown["question"]["holder"]["number"] in {COMPANY, PERSON}
        page = {"media_type": "application/pdf", "content": base64.b64encode(b"%PDF-1.7").decode()}
        assert document_of(answer(ground, one["id"], unit, remark="属实", evidence=page))["state"] == "answered"
    assert document_of(ground.send("GET", f"/v1/verifications/{number}"))["state"] == "decided"
    assert document_of(ground.send("GET", "/v1/orders", signer=POLICE))["orders"] == []
    kinds = [one["kind"] for one in ground.entries()]
    assert (kinds.count("order_viewed"), kinds.count("order_answered")) == (2, 2)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"reply": "perhaps"}, "request.schema"),
        ({"by": {"id": "jw-1", "unit": "113704000042880080"}}, "order.unit"),
        ({"evidence": {"media_type": "image/png", "content": "not base64!"}}, "order.evidence"),
        ({"evidence": {"media_type": "image/png", "content": "A" * 1_399_000}}, "order.evidence"),
        ({"evidence": {"media_type": "image/png", "content": "PHNjcmlwdD4="}}, "order.evidence"),
    ],
)
def test_an_answer_that_is_none_changes_nothing(ground: Ground, unit: str, more: dict[str, Any], code: str) -> None:
    if code == "order.unit" and more["by"]["unit"] == unit:
        more = {"by": {"id": "jw-1", "unit": "11370400MB9999999L"}}
    _, orders = ordered(ground)
    before = ground.rows()["work_order"]
    assert document_of(answer(ground, orders[0]["id"], unit, **more))["code"] == code
    left = document_of(ground.send("GET", "/v1/orders", signer=POLICE))["orders"]
    assert (ground.rows()["work_order"], left) == (before, orders)


def consents(ground: Ground, subject: dict[str, str]) -> list[dict[str, Any]]:
    listed = ground.send("POST", "/v1/subject/consents", {"subject": subject}, signer=PORTAL)
    found: list[dict[str, Any]] = document_of(listed)["consents"]
    return found


def decide(ground: Ground, number: str, subject: dict[str, str], decision: str) -> TestResponse:
    statement = {"text": "holder-consent/1", "reference": "auth-1"}
    said = {"subject": subject, "decision": decision, "statement": statement}
    return ground.send("POST", f"/v1/consents/{number}/decision", said, signer=PORTAL)


def consenting(ground: Ground) -> None:
    for source in ("licences", "people"):
        from_now = ground.grant(f"consent-{source}", source, bases=(Basis.HOLDER_CONSENT,))
        register_grant(ground.parts, from_now)


def test_the_portal_shows_what_is_asked_and_hands_in_what_the_holder_decides(ground: Ground) -> None:
    consenting(ground)
    answered = ground.submit(ground.request(basis={"kind": "holder_consent"}))
    assert (answered.status_code, document_of(answered)["state"]) == (200, "pending")
    for subject in HOLDERS:
        [one] = consents(ground, subject)
        assert one["state"] == "waiting"
        assert document_of(decide(ground, one["id"], subject, "grant"))["state"] == "granted"
    ground.settle_all()
    number = document_of(answered)["id"]
    assert document_of(ground.send("GET", f"/v1/verifications/{number}"))["state"] == "decided"


def test_a_decision_that_cannot_be_made_is_refused(ground: Ground) -> None:
    consenting(ground)
    ground.submit(ground.request(basis={"kind": "holder_consent"}))
    company, person = HOLDERS
    [one] = consents(ground, company)
    assert document_of(decide(ground, one["id"], person, "grant"))["code"] == "consent.unknown"
    assert document_of(decide(ground, one["id"], company, "revoke"))["code"] == "consent.state"
    assert document_of(decide(ground, one["id"], company, "refuse"))["state"] == "refused"
    assert document_of(decide(ground, one["id"], company, "grant"))["code"] == "consent.refused"


def test_an_approval_system_asks_beforehand_in_its_own_open_case(ground: Ground) -> None:
    view = document_of(ground.submit())
    asking = {"case": view["case"], "subject": HOLDERS[0], "sources": ["licences"]}
    made = ground.send("POST", "/v1/consents", asking)
    assert (made.status_code, document_of(made)["state"]) == (201, "requested")
    elsewhere = ground.send("POST", "/v1/consents", asking | {"case": {"number": "no-case"}})
    assert document_of(elsewhere)["code"] == "case.unknown"
