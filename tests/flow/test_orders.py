"""Work orders: a person of the source department answers within working days, or overdue is the outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.connectors import WorkOrders
from broker.core.answer import Question, Reply
from broker.core.catalog import Source
from broker.core.errors import CallerProblem
from broker.core.receipt import receipt_digest
from broker.core.work_order import OrderReply
from broker.core.working_days import Calendar
from broker.flow import orders, register
from broker.flow.look_up import look_up
from broker.flow.orders import Evidence, Person, Said
from broker.flow.publish import publish
from broker.ports import Client, Connection, Conversation
from broker.ports.orders import WorkOrder
from tests.flow import catalogue, kit
from tests.flow.kit import Broker

POLICE, CLUB = "police-check", "open-club"
ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
OFFICER = Person("jw-0471", kit.DEPARTMENT)
REMARK = "经查，张某1 无违法记录"


def _source() -> dict[str, Any]:
    source: dict[str, Any] = catalogue.document()["sources"][catalogue.POPULATION]
    return source | {"connector": "work_order", "platform": "work_order-platform", "service": "record-check",
                     "fields": ["confirmed"], "options": {"sla_working_days": 3, "remind_working_days": 1}}  # fmt: skip


@pytest.fixture
def club(broker: Broker) -> Broker:
    """A broker with the club's item in its list."""
    return with_club(broker)


def with_club(broker: Broker) -> Broker:
    """A broker whose list has an item for which the law names the checking department."""
    listed = catalogue.document()
    listed["sources"][POLICE] = _source()
    check = {"mode": "department_check", "source": POLICE, "form": "verify", "fields": ["confirmed"],
             "unit": "公安机关", "basis": "条例 第九条"}  # fmt: skip
    record = {"name": {"zh": "无违法记录声明", "en": "Statement of no record"}, "kind": "proof", "basis": "条例",
              "chain": [check, {"mode": "commitment", "text": "record/1", "basis": "法"}]}  # fmt: skip
    listed["materials"]["record"] = record
    shop = listed["items"][catalogue.SHOP]
    wanted = [{"material": "record", "holder": "legal_representative"}, {"material": "licence"}]
    listed["items"][CLUB] = shop | {"materials": wanted, "regions": {
        catalogue.REGION: {"seq": "9", "scene": "enterprise-2.1", "level": "county", "lead": ["文旅局"]}}}  # fmt: skip
    publish(broker.parts, listed, None, "editor")
    for source in (POLICE, catalogue.LICENCES, catalogue.REGISTER):
        fields = ("confirmed", "number", "name", "status", "valid_to")
        granted = kit.grant(source, id=f"club-{source}", items=(CLUB,), fields=fields)
        register.register_grant(broker.parts, granted)
    return broker


def asked(broker: Broker, number: int = 1) -> tuple[str, WorkOrder]:
    """A verification whose only open question is with a person, and that person's order."""
    verification = broker.admit(number, item=CLUB)
    broker.work_off()
    found = [one for one in orders.list_orders(broker.parts, kit.DEPARTMENT) if one.verification == verification]
    return verification, found[0]


class Hurried:
    """The connector, as if it had been asked so long ago that the time is just over."""

    def __init__(self) -> None:
        self._orders = WorkOrders(Calendar())

    def ask(self, question: Question, source: Source, connection: Connection, now: datetime) -> Conversation:
        """The same conversation, at another time while there is no memo."""
        then = now if question.memo else now - timedelta(days=30)
        return (yield from self._orders.ask(question, source, connection, then))


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(CallerProblem) as caught:
        act()
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("reply", "decision"),
    [
        (OrderReply.CONFIRM, ("exempt", "held.valid")),
        (OrderReply.DENY, ("not_met", "not_held.denied")),
        (OrderReply.CANNOT_SAY, ("fallback", "fallback.commitment")),
    ],
)
def test_a_persons_answer_ends_the_waiting_and_the_final_receipt_supersedes(
    club: Broker, reply: OrderReply, decision: tuple[str, str]
) -> None:
    number, order = asked(club)
    first = club.verification(number).receipt
    assert first is not None
    assert club.receipt(number)["status"] == "preliminary"
    assert club.decisions(number)["record@legal_representative"] == ("pending", "pending.department_check")
    answered = orders.answer_order(club.parts, order.id, Said(OFFICER, reply, REMARK))
    assert (answered.state, answered.reply, answered.answered_by) == ("answered", reply.value, OFFICER.id)
    assert club.decisions(number)["record@legal_representative"] == decision
    assert club.receipt(number)["supersedes"] == receipt_digest(first)
    told = club.entries("order_answered")[0]
    assert (told["operator"], told["unit"], told["reply"]) == (OFFICER.id, kit.DEPARTMENT, reply.value)
    club.finish()


@ON_SQLITE
def test_the_order_holds_what_the_person_must_know_and_every_view_is_an_entry(club: Broker) -> None:
    _, order = asked(club)
    shown = orders.show_order(club.parts, order.id, kit.DEPARTMENT, OFFICER.id)
    assert shown.question["holder"]["number"] == kit.citizen(1)
    assert shown.question["confirm"] == "无违法记录声明"
    assert (shown.question["case"], shown.question["legal_basis"]) == ("case-1", "条例 第九条")
    assert [one["operator"] for one in club.entries("order_viewed")] == [OFFICER.id]
    assert kit.citizen(1) not in repr(order) + repr(shown)


@ON_SQLITE
def test_what_the_person_writes_is_sealed_and_the_evidence_proven_by_its_digest(club: Broker) -> None:
    _, order = asked(club)
    page = Evidence("application/pdf", b"%PDF-1.7 " + REMARK.encode())
    orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM, REMARK, page))
    [row] = club.rows("SELECT remark, evidence, evidence_digest FROM work_order")
    assert REMARK.encode() not in bytes(row.remark) + bytes(row.evidence)
    assert [one["evidence"] for one in club.entries("order_answered")] == [row.evidence_digest]
    assert orders.show_order(club.parts, order.id, kit.DEPARTMENT).remark == REMARK


@ON_SQLITE
def test_another_units_person_sees_and_answers_nothing(club: Broker) -> None:
    _, order = asked(club)
    before = club.contents()
    stranger = Person("jw-0471", kit.UNIT)
    refused("order.unknown", lambda: orders.show_order(club.parts, order.id, kit.UNIT))
    refused("order.unknown", lambda: orders.answer_order(club.parts, order.id, Said(stranger, OrderReply.CONFIRM)))
    assert club.contents() == before
    assert orders.list_orders(club.parts, kit.UNIT) == []


@ON_SQLITE
def test_a_system_answers_for_its_own_unit_only(club: Broker) -> None:
    _, order = asked(club)
    register.register_client(club.parts, Client("police", "公安", kit.DEPARTMENT, None, "active", ("source",)))
    said = Said(OFFICER, OrderReply.CONFIRM)
    refused("order.unit", lambda: orders.answer_order(club.parts, order.id, said, kit.as_client(kit.CLIENT)))
    identify = kit.as_client("police", "one-nonce-for-both")
    orders.answer_order(club.parts, order.id, said, identify)
    refused("signature.replayed", lambda: orders.answer_order(club.parts, order.id, said, identify))
    assert [one["client"] for one in club.entries("order_answered")] == ["police"]


def test_an_answer_is_given_once(club: Broker) -> None:
    number, order = asked(club)
    orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM))
    before = club.contents()
    refused("order.answered", lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.DENY)))
    assert club.contents() == before
    assert club.decisions(number)["record@legal_representative"][0] == "exempt"


def test_overdue_is_an_outcome_and_the_chain_goes_on(club: Broker) -> None:
    club.parts.connectors = {**club.parts.connectors, "work_order": Hurried()}
    number, order = asked_in_vain(club)
    assert club.decisions(number)["record@legal_representative"] == ("fallback", "fallback.commitment")
    [step, _] = club.receipt(number)["materials"][0]["steps"]
    assert step["reason"] == "unknown.overdue"
    assert [one.id for one in orders.overdue_orders(club.parts)] == [order.id]
    refused("order.overdue", lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM)))
    club.finish()


def asked_in_vain(broker: Broker) -> tuple[str, WorkOrder]:
    number = broker.admit(1, item=CLUB)
    broker.work_off()
    [order] = orders.list_orders(broker.parts, kit.DEPARTMENT, everything=True)
    return number, order


@ON_SQLITE
def test_an_order_that_has_run_out_is_not_answered_even_before_the_sweep(club: Broker) -> None:
    club.parts.connectors = {**club.parts.connectors, "work_order": Hurried()}
    number = club.admit(1, item=CLUB)
    look_up(club.parts, POLICE)
    [order] = orders.list_orders(club.parts, kit.DEPARTMENT)
    refused("order.overdue", lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM)))
    club.work_off()
    assert club.verification(number).state == "decided"


@ON_SQLITE
@pytest.mark.parametrize("stop", ["close", "revoke"])
def test_nobody_answers_for_a_closed_case_or_without_a_grant(club: Broker, stop: str) -> None:
    number, order = asked(club)
    if stop == "close":
        register.close_case(club.parts, kit.closing("case-1", "approved"), kit.as_client())
        refused("order.stopped", lambda: orders.show_order(club.parts, order.id, kit.DEPARTMENT))
    else:
        register.set_grant_state(club.parts, f"club-{POLICE}", "revoked")
    refused("order.stopped", lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM)))
    club.finish()
    assert [one.state for one in orders.list_orders(club.parts, None, everything=True)] == ["stopped"]
    assert club.decisions(number)["record@legal_representative"] == ("fallback", "fallback.commitment")


def test_the_department_is_reminded_once_and_not_of_what_it_has_answered(club: Broker) -> None:
    _, order = asked(club)
    assert orders.remind_orders(club.parts) == 0
    club.execute("UPDATE work_order SET remind_at = 0")
    assert orders.remind_orders(club.parts) == 1
    assert orders.remind_orders(club.parts) == 0
    assert [one["order"] for one in club.entries("order_reminded")] == [order.id]
    _, other = asked(club, 2)
    orders.answer_order(club.parts, other.id, Said(OFFICER, OrderReply.CONFIRM))
    club.execute("UPDATE work_order SET remind_at = 0")
    assert orders.remind_orders(club.parts) == 0


@ON_SQLITE
def test_a_region_without_a_department_is_not_configured(club: Broker) -> None:
    nowhere = Connection("work_order-platform", "", {})
    club.parts.connections = {**club.parts.connections, nowhere.platform: nowhere}
    number = club.admit(1, item=CLUB)
    club.finish()
    [step, _] = club.receipt(number)["materials"][0]["steps"]
    assert step["reason"] == "unknown.not-configured"
    assert orders.list_orders(club.parts, None, everything=True) == []


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_crash_while_an_answer_is_recorded_leaves_all_or_nothing(club: Broker, fault: str) -> None:
    number, order = asked(club)
    club.store.fault = fault
    with pytest.raises(kit.Crash):
        orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM))
    club.check()
    if fault == "before":
        assert club.verification(number).state == "pending"
        orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM))
    else:
        refused("order.answered", lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM)))
    club.finish()
    assert club.decisions(number)["record@legal_representative"] == ("exempt", "held.valid")


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_crash_while_an_order_is_placed_leaves_one_order(club: Broker, fault: str) -> None:
    club.admit(1, item=CLUB)
    transport = club.sources.converse

    def converse(source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        if source.key == POLICE:
            club.store.fault = fault
        return transport(source, conversations)

    club.sources.converse = converse  # type: ignore[method-assign]
    with pytest.raises(kit.Crash):
        look_up(club.parts, POLICE)
    del club.sources.converse
    club.check()
    club.expire_leases()
    club.work_off()
    assert len(orders.list_orders(club.parts, kit.DEPARTMENT)) == 1


@ON_SQLITE
@pytest.mark.parametrize("kind", ["ordered", "order_answered", "order_viewed", "order_reminded"])
def test_where_an_orders_entry_cannot_be_written_nothing_happens(club: Broker, kind: str) -> None:
    _, order = asked(club)
    club.execute("UPDATE work_order SET remind_at = 0")
    before = club.contents()
    club.store.refuse = lambda one: one == kind
    acts: dict[str, Callable[[], object]] = {
        "ordered": lambda: (club.admit(2, item=CLUB), look_up(club.parts, POLICE)),
        "order_answered": lambda: orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM)),
        "order_viewed": lambda: orders.show_order(club.parts, order.id, kit.DEPARTMENT),
        "order_reminded": lambda: orders.remind_orders(club.parts),
    }
    with pytest.raises(kit.Crash):
        acts[kind]()
    club.store.refuse = lambda one: False
    if kind == "ordered":
        assert len(orders.list_orders(club.parts, kit.DEPARTMENT)) == 1
    else:
        assert club.contents() == before


def test_a_worker_that_claims_while_the_person_answers_keeps_nothing(club: Broker) -> None:
    number, order = asked(club)
    club.expire_leases()
    transport = club.sources.converse

    def converse(source: Source, conversations: Sequence[Conversation]) -> list[Reply]:
        orders.answer_order(club.parts, order.id, Said(OFFICER, OrderReply.CONFIRM))
        return transport(source, conversations)

    club.sources.converse = converse  # type: ignore[method-assign]
    look_up(club.parts, POLICE)
    del club.sources.converse
    assert club.decisions(number)["record@legal_representative"] == ("exempt", "held.valid")
    club.finish()


@ON_SQLITE
def test_the_time_runs_to_the_end_of_the_last_working_day_in_china(club: Broker) -> None:
    _, order = asked(club)
    assert order.due_at.astimezone(UTC).hour == 16
    assert order.due_at > order.remind_at > order.asked_at
