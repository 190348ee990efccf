"""One row that cannot be read holds up nobody else, and a decision on the spot is announced like any other."""

from __future__ import annotations

from sqlalchemy import text

from broker.flow import register
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.ports import Client
from tests.flow import kit
from tests.flow.kit import Broker, request

URL = "http://127.0.0.1:1/callbacks"


def _damage(broker: Broker, table: str, column: str, verification: str) -> None:
    """Overwrite one verification's encrypted bytes, as a failing disk or an intruder would."""
    key = "id" if table == "verification" else "verification_id"
    with broker.office.database.begin(write=True) as connection:
        connection.execute(
            text(f"UPDATE {table} SET {column} = :bytes WHERE {key} = :id"),  # noqa: S608 - names of this test
            {"bytes": b"damaged", "id": verification},
        )
        connection.commit()


def test_a_question_that_cannot_be_read_does_not_hold_up_its_source(broker: Broker) -> None:
    damaged, whole = broker.admit(1), broker.admit(2)
    _damage(broker, "lookup", "question", damaged)
    for source in ("population", "register", "licences"):
        while look_up(broker.parts, source):
            pass
    assert broker.verification(whole).state == "decided"
    assert broker.verification(damaged).state == "admitted"
    assert {one["verification"] for one in broker.entries("asked")} == {whole}, "what cannot be read is not asked"


def test_a_request_that_cannot_be_read_does_not_take_the_others_answers_with_it(broker: Broker) -> None:
    damaged, whole = broker.admit(1), broker.admit(2)
    _damage(broker, "verification", "request", damaged)
    for source in ("population", "register", "licences"):
        while look_up(broker.parts, source):
            pass
    assert broker.verification(whole).state == "decided"
    assert broker.verification(damaged).state == "admitted"


def test_a_decision_on_the_spot_is_announced_by_callback_too(broker: Broker) -> None:
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "另一系统", kit.UNIT, URL, "active"))
    register.register_grant(broker.parts, kit.grant("population", id="g-other", client=kit.OTHER_CLIENT))
    heard: list[bytes] = []

    def post(_: str, body: bytes) -> int:
        heard.append(body)
        return 204

    broker.parts.post = post
    document = request(1, materials=["form"])
    admitted = broker.submit(document, kit.as_client(kit.OTHER_CLIENT))
    assert admitted.verification.state == "decided"
    assert deliver(broker.parts) == 1
    assert len(heard) == 1
