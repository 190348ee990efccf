"""Who is shown what: everybody an entry is about, the second person of a question and those of a refused one too."""

from __future__ import annotations

import copy
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core.case import Party
from broker.core.errors import CallerProblem
from broker.core.roles import Role
from broker.flow import objections, orders, register, subject
from broker.flow.caller import Caller
from broker.flow.publish import publish
from broker.flow.subject import Wish, accesses, approve_embargo, lift_embargo, request_embargo
from broker.ports import Client, Policy
from tests.flow import catalogue, kit, test_orders
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
IDENTITY = "identity@legal_representative"
SPOUSE = {"role": "spouse", "id_type": "111", "number": kit.citizen(700), "name": "王某"}


@pytest.fixture
def town(broker: Broker) -> Broker:
    """A broker whose list asks the population register about two persons at once."""
    listed = copy.deepcopy(catalogue.document())
    listed["materials"]["identity"]["chain"][0]["related"] = "spouse"
    publish(broker.parts, listed, None, "editor")
    register.register_client(broker.parts, Client("portal", "门户", kit.UNIT, None, "active", (Role.PORTAL,)))
    return broker


def married(number: int, **changes: Any) -> dict[str, Any]:
    document = kit.request(number, materials=[IDENTITY], **changes)
    spouse = SPOUSE | {"number": kit.citizen(700 + number)}
    return document | {"parties": [*document["parties"], spouse]}


def seen(broker: Broker, number: str) -> list[dict[str, Any]]:
    """What the person of this number is shown."""
    broker.sequence_all()
    found = accesses(broker.parts, Party("holder", "111", number, ""), kit.as_client("portal"))
    assert found["more"] is False
    shown: list[dict[str, Any]] = found["accesses"]
    return shown


def test_the_second_person_of_a_question_sees_it_as_the_first_does(town: Broker) -> None:
    town.submit(married(1))
    town.work_off()
    (of_one,), (of_other,) = seen(town, kit.citizen(1)), seen(town, kit.citizen(701))
    assert of_one == of_other
    assert (of_one["kind"], of_one["case"], of_one["source"]) == ("asked", "case-1", catalogue.POPULATION)
    for hidden in (town.parts.vault.pseudonym(f"111:{kit.citizen(1)}"), kit.citizen(1), "op1"):
        assert hidden not in repr(of_other)
    assert seen(town, kit.citizen(702)) == []
    town.finish()


@ON_SQLITE
def test_the_cap_of_persons_counts_both(town: Broker) -> None:
    register.set_grant_state(town.parts, f"g-{catalogue.POPULATION}", "revoked")
    given = kit.grant(catalogue.POPULATION, id="g-limited", distinct_holders=3)
    register.register_grant(town.parts, given)
    for number in (1, 2):
        town.submit(married(number))
    town.finish()
    assert [one["rule"] for one in town.entries("stopped")] == ["grant.holders-exhausted"]
    assert len(town.rows("SELECT * FROM holder_usage")) == 2
    assert town.refused(married(3)).code == "grant.holders-exhausted", "two more would be four"


@ON_SQLITE
def test_whoever_opens_a_work_order_is_shown_to_the_person_it_is_about(broker: Broker) -> None:
    club = test_orders.with_club(broker)
    register.register_client(club.parts, Client("portal", "门户", kit.UNIT, None, "active", (Role.PORTAL,)))
    _, order = test_orders.asked(club)
    before = len(seen(club, kit.citizen(1)))
    orders.show_order(club.parts, order.id, kit.DEPARTMENT, test_orders.OFFICER.id)
    one = seen(club, kit.citizen(1))[-1]
    assert len(seen(club, kit.citizen(1))) == before + 1
    assert (one["kind"], one["unit"], one["case"]) == ("order_viewed", kit.DEPARTMENT, "case-1")
    assert one["fields"] == ["confirmed"]
    club.check()


@ON_SQLITE
def test_whoever_opens_an_objections_answer_is_shown_to_both_it_is_about(town: Broker) -> None:
    number = town.submit(married(1)).verification.id
    town.work_off()
    doubt = objections.Doubt(number, IDENTITY, catalogue.POPULATION, "有误", "op1", kit.UNIT)
    raised = objections.raise_objection(town.parts, doubt)
    town.execute("UPDATE objection SET owner = :unit", unit=kit.DEPARTMENT)
    keeper = Client("keeper", "公安系统", kit.DEPARTMENT, None, "active", (Role.SOURCE,))
    register.register_client(town.parts, keeper)
    objections.dossier_signed(town.parts, raised.id, kit.as_client("keeper"))
    of_one, of_other = seen(town, kit.citizen(1))[-1], seen(town, kit.citizen(701))[-1]
    assert of_one == of_other
    assert (of_one["kind"], of_one["system"], of_one["unit"], of_one["case"], of_one["source"]) == (
        "objection_viewed", "公安系统", kit.DEPARTMENT, "case-1", catalogue.POPULATION,
    )  # fmt: skip
    town.check()


@ON_SQLITE
def test_what_an_embargo_hides_leaves_room_for_the_rest(town: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_SHOWN", 2)
    for number in (1, 2, 3, 4):
        town.submit(married(number) | {"parties": married(1)["parties"]})
        town.work_off()
    town.sequence_all()
    for case in ("case-1", "case-2", "case-3"):
        wish = Wish("甲", "调查", datetime.now(UTC) + timedelta(days=1), client=kit.CLIENT, case=case)
        approve_embargo(
            town.parts, request_embargo(town.parts, wish, kit.as_client()).id, "乙", kit.as_client("portal")
        )
    assert [one["case"] for one in seen(town, kit.citizen(1))] == ["case-4"]


@ON_SQLITE
def test_an_attempt_that_was_refused_is_shown_to_everybody_it_named(town: Broker) -> None:
    stranger = {**kit.request(0)["operator"], "unit": kit.DEPARTMENT}
    town.refused(married(1, operator=stranger))
    for number in (kit.citizen(1), kit.citizen(701)):
        (one,) = seen(town, number)
        assert (one["kind"], one["code"], one["case"], one["unit"]) == (
            "refused", "request.unit", "case-1", kit.DEPARTMENT,
        )  # fmt: skip


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_nobody_approves_what_is_being_lifted(town: Broker) -> None:
    """Its end is held against the clock as it is by then, else the log has an approval behind the lifting."""
    wish = Wish("甲", "调查", datetime.now(UTC) + timedelta(days=1), client=kit.CLIENT, case="case-1")
    number, other = request_embargo(town.parts, wish, kit.as_client()).id, town.another()

    def meanwhile(policy: Policy, now: datetime) -> Caller:
        time.sleep(0.002)  # the clock counts milliseconds
        lift_embargo(other.parts, number, "丙", "调查结束")
        return kit.as_client("portal")(policy, now)

    with pytest.raises(CallerProblem, match=r"embargo\.state"):
        approve_embargo(town.parts, number, "乙", meanwhile)
    assert town.entries("embargo_approved") == []
