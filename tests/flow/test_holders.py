"""The cap of persons per operator and day, and who belongs to a case."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from broker.core.case import MAX_PARTIES
from broker.flow import register
from broker.flow.look_up import look_up
from broker.flow.parts import Limits
from tests.flow import kit
from tests.flow.catalogue import POPULATION
from tests.flow.kit import Broker

IDENTITY = "identity@legal_representative"


def _limit(broker: Broker, holders: int) -> None:
    register.set_grant_state(broker.parts, f"g-{POPULATION}", "revoked")
    register.register_grant(broker.parts, kit.grant(POPULATION, id="g-limited", distinct_holders=holders))


def _identity(number: int, whom: int, **changes: Any) -> dict[str, Any]:
    """The ``number``-th request, about the ``whom``-th person's identity."""
    document = kit.request(number, materials=[IDENTITY], **changes)
    document["parties"] = kit.request(whom)["parties"]
    return document


def _operator(name: str) -> dict[str, str]:
    return {**kit.request(0)["operator"], "id": name}


def test_an_operator_may_ask_about_so_many_persons_a_day_and_about_them_again(broker: Broker) -> None:
    _limit(broker, 2)
    numbers = [broker.submit(_identity(number, number)).verification.id for number in (1, 2, 3)]
    broker.finish()
    assert [one["rule"] for one in broker.entries("stopped")] == ["grant.holders-exhausted"]
    assert sorted(broker.decisions(number)[IDENTITY][0] for number in numbers) == ["exempt", "exempt", "submit"]
    known = {one["case"] for one in broker.entries("asked")}
    again = int(min(known).removeprefix("case-"))
    broker.submit(_identity(11, again))
    broker.finish()
    assert len(broker.sources.of(POPULATION)) == 3


def test_beyond_the_cap_admission_refuses_at_once_and_leaves_nothing_but_its_entry(broker: Broker) -> None:
    _limit(broker, 1)
    broker.submit(_identity(1, 1))
    broker.finish()
    before = broker.contents(without=("entry", "entry_queue", "nonce"))
    assert broker.refused(_identity(2, 2)).code == "grant.holders-exhausted"
    assert broker.contents(without=("entry", "entry_queue", "nonce")) == before


def test_the_cap_is_each_operators_own_and_each_grants(broker: Broker) -> None:
    _limit(broker, 1)
    broker.submit(_identity(1, 1))
    broker.submit(_identity(2, 2, operator=_operator("op2")))
    broker.admit(3)  # other sources, under grants without such a cap
    broker.finish()
    assert [one["rule"] for one in broker.entries("stopped")] == ["grant.holders-exhausted"]
    assert len(broker.sources.of(POPULATION)) == 2
    assert {row.grant_id for row in broker.rows("SELECT grant_id FROM holder_usage")} == {"g-limited"}


def test_without_such_a_cap_nobody_is_counted(broker: Broker) -> None:
    broker.admit(1)
    broker.finish()
    assert broker.rows("SELECT * FROM holder_usage") == broker.rows("SELECT * FROM grant_usage") == []


def test_a_call_that_the_cap_of_persons_stops_does_not_count_as_a_call(broker: Broker) -> None:
    register.set_grant_state(broker.parts, f"g-{POPULATION}", "revoked")
    given = kit.grant(POPULATION, id="g-limited", distinct_holders=1, daily_calls=10)
    register.register_grant(broker.parts, given)
    for number in (1, 2, 3):
        broker.submit(_identity(number, number))
    broker.finish()
    assert [row.calls for row in broker.rows("SELECT calls FROM grant_usage")] == [1]


def test_the_cap_of_persons_is_kept_by_two_workers_at_once(broker: Broker) -> None:
    _limit(broker, 5)
    for number in range(8):
        broker.submit(_identity(number, number))
    other = broker.another()
    broker.parts.limits = other.parts.limits = Limits(batch=4)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: look_up(one.parts, POPULATION), [broker, other]))
    assert len(broker.sources.of(POPULATION)) == 5
    broker.finish()
    other.office.close()


# --- the parties of a case --------------------------------------------------------------------------------------------


def _named(number: int, case: int, whom: int) -> dict[str, Any]:
    """The ``number``-th request, in an earlier case and its applicant's name, with another party."""
    document = kit.request(number) | {name: kit.request(case)[name] for name in ("case", "applicant")}
    return document | {"parties": kit.request(whom)["parties"]}


def test_the_first_verification_registers_the_parties_and_a_later_one_may_name_them_again(broker: Broker) -> None:
    broker.admit(1)
    broker.submit(_named(2, 1, 1))
    assert broker.entries("party_added") == []
    broker.finish()


def test_a_party_that_is_named_later_is_added_once_and_an_entry_says_so(broker: Broker) -> None:
    broker.admit(1)
    number = broker.submit(_named(2, 1, 2)).verification.id
    broker.submit(_named(3, 1, 2))
    (told,) = broker.entries("party_added")
    subject = broker.parts.vault.pseudonym(f"111:{kit.citizen(2)}")
    assert (told["verification"], told["case"], told["role"]) == (number, "case-1", "legal_representative")
    assert (told["subject"], told["operator"], told["unit"]) == (subject, "op1", kit.UNIT)
    with broker.parts.store.read() as work:
        case = work.find_case(kit.CLIENT, "case-1")
    assert case is not None
    assert [role for role, _ in case.parties] == ["legal_representative"] * 2
    broker.finish()


def test_two_that_add_parties_at_once_both_add_theirs(broker: Broker) -> None:
    broker.admit(1)
    other = broker.another()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: one[0].submit(_named(one[1], 1, one[1])), [(broker, 2), (other, 3)]))
    assert len(broker.entries("party_added")) == 2
    with broker.parts.store.read() as work:
        case = work.find_case(kit.CLIENT, "case-1")
    assert case is not None
    assert len(case.parties) == 3
    broker.finish()
    other.office.close()


def test_a_case_is_no_list_of_people(broker: Broker) -> None:
    broker.admit(1)
    many = [["legal_representative", f"{number:032x}"] for number in range(MAX_PARTIES)]
    broker.execute("UPDATE case_file SET parties = :many", many=str(many).replace("'", '"'))
    before = broker.contents(without=("entry", "entry_queue", "nonce"))
    assert broker.refused(_named(2, 1, 2)).code == "case.parties"
    assert broker.contents(without=("entry", "entry_queue", "nonce")) == before
