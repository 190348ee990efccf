"""Admitting: once, bound to its case, and a refusal changes nothing but its entry and its nonce."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from broker.core.errors import OperatorProblem, Problem
from broker.flow import register
from broker.flow.admit import admit
from broker.ports import Client
from broker.store.migrate import migrate
from tests.flow import kit
from tests.flow.kit import Broker, request


def test_an_admitted_request_is_stored_with_its_lookups_and_its_entry_and_its_sources_are_woken(broker: Broker) -> None:
    admitted = broker.submit(request(1))
    assert admitted.created
    assert broker.verification(admitted.verification.id) == admitted.verification
    assert admitted.verification.state == "admitted"
    (entry,) = broker.entries("admitted")
    assert len(entry["lookups"]) == len(broker.rows("SELECT id FROM lookup")) == 3
    assert sorted(broker.bells.rung) == ["licences", "population", "register"]


def test_the_same_request_again_is_the_same_verification(broker: Broker) -> None:
    first = broker.submit(request(1))
    before = broker.contents(without=["nonce"])
    again = broker.submit(request(1))
    assert not again.created
    assert again.verification == first.verification
    assert broker.contents(without=["nonce"]) == before


def test_the_same_request_after_the_decision_carries_the_same_receipt(broker: Broker) -> None:
    broker.submit(request(1))
    broker.work_off()
    first = broker.submit(request(1)).verification.receipt
    assert first
    assert broker.submit(request(1)).verification.receipt == first


def test_the_same_id_with_another_body_conflicts(broker: Broker) -> None:
    broker.submit(request(1))
    before = broker.contents(without=["nonce", "entry", "entry_queue"])
    assert broker.refused(request(1, channel="web")).code == "request.conflict"
    assert broker.contents(without=["nonce", "entry", "entry_queue"]) == before


def test_the_same_id_of_another_client_is_another_request(broker: Broker) -> None:
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "另一系统", kit.UNIT, None, "active"))
    register.register_grant(broker.parts, kit.grant("population", id="g-other", client=kit.OTHER_CLIENT))
    first = broker.submit(request(1))
    other = broker.submit(request(1), kit.as_client(kit.OTHER_CLIENT))
    assert other.created
    assert other.verification.id != first.verification.id


def test_the_same_id_on_two_connections_at_once_is_one_verification(broker: Broker) -> None:
    """Each of two processes admits the same ten requests, at the same time; then all hold the same ten ids."""
    brokers, start = [broker, broker.another()], threading.Barrier(2, timeout=10)

    def submit_all(one: Broker) -> list[Any]:
        found = []
        for number in range(10):
            start.wait()
            found.append(one.submit(request(number)))
        return found

    with ThreadPoolExecutor(2) as pool:
        mine, theirs = pool.map(submit_all, brokers)
    assert [one.verification.id for one in mine] == [one.verification.id for one in theirs]
    assert all(one.created != other.created for one, other in zip(mine, theirs, strict=True))
    assert len(broker.rows("SELECT id FROM verification")) == 10
    brokers[1].office.close()


def test_two_bodies_under_one_id_at_once_are_one_verification_and_one_conflict(broker: Broker) -> None:
    brokers, start = [broker, broker.another()], threading.Barrier(2, timeout=10)

    def submit(one: Broker, channel: str) -> str:
        start.wait()
        try:
            return one.submit(request(1, channel=channel)).verification.id
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(submit, brokers, ["web", "window"]))
    assert sum(one == "request.conflict" for one in outcomes) == 1
    assert len(broker.rows("SELECT id FROM verification")) == 1
    brokers[1].office.close()


def test_a_replayed_nonce_is_refused_even_for_the_same_body(broker: Broker) -> None:
    identify = kit.as_client(nonce="seen-before-0001")
    broker.submit(request(1), identify)
    before = broker.contents(without=["entry", "entry_queue"])
    assert broker.refused(request(1), identify).code == "signature.replayed"
    assert broker.contents(without=["entry", "entry_queue"]) == before


def test_one_nonce_on_two_connections_at_once_is_accepted_once(broker: Broker) -> None:
    brokers, start = [broker, broker.another()], threading.Barrier(2, timeout=10)

    def submit(one: Broker, number: int) -> str:
        start.wait()
        try:
            return one.submit(request(number), kit.as_client(nonce="twice-0000000001")).verification.state
        except Problem as problem:
            return problem.code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(submit, brokers, [1, 2])) == ["admitted", "signature.replayed"]
    brokers[1].office.close()


def _wrong_applicant() -> dict[str, Any]:
    return {"id_type": "001", "number": kit.company(77), "name": "公司乙"}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("request.schema", {"operator": None}),
    ("request.schema", {"unknown": 1}),
    ("request.scope", {"scene": "enterprise-1.1"}),
    ("request.scope", {"item": None}),
    ("request.item", {"item": "no-such-item"}),
    ("request.scene", {"item": None, "scene": "enterprise-9.9"}),
    ("request.region", {"region": "370100"}),
    ("request.identifier", {"applicant": {"id_type": "001", "number": "91999999MA00000010", "name": "甲"}}),
    ("request.role", {"parties": [{"role": "uncle", "id_type": "111", "number": kit.citizen(5), "name": "张某"}]}),
    ("request.material", {"materials": ["passport"]}),
    ("case.applicant-differs", {"request_id": "r2", "case": {"number": "case-1"}, "applicant": _wrong_applicant()}),
]


def test_a_refusal_leaves_its_nonce_and_its_entry_and_changes_nothing_else(broker: Broker) -> None:
    broker.submit(request(1))
    before = broker.contents(without=["nonce", "entry", "entry_queue"])
    for round_, (code, changes) in enumerate(REFUSED):
        assert broker.refused(request(2, **changes)).code == code
        assert broker.contents(without=["nonce", "entry", "entry_queue"]) == before
        assert len(broker.rows("SELECT nonce FROM nonce")) == 2 + round_
        entry = broker.entries()[-1]
        assert (entry["kind"], entry["client"], entry["code"]) == ("refused", kit.CLIENT, code)


NO_REQUESTS = [
    ("body.not-json", b"{"),
    ("body.not-json", b'"\xff"'),
    ("body.not-json", b'{"a": "\\ud800"}'),
    ("body.duplicate-key", b'{"request_id": "r1", "request_id": "r2"}'),
    ("body.not-finite", b'{"a": NaN}'),
    ("request.schema", b"[]"),
    ("request.schema", b"null"),
]


def test_a_body_that_is_no_request_is_refused_with_its_entry(broker: Broker) -> None:
    for code, body in NO_REQUESTS:
        with pytest.raises(Problem, match=code):
            admit(broker.parts, body, kit.as_client())
    assert [one["code"] for one in broker.entries("refused")] == [code for code, _ in NO_REQUESTS]


def test_half_a_character_in_a_name_is_refused_and_not_a_fault_of_ours(broker: Broker) -> None:
    document = request(1)
    document["applicant"]["name"] = "\ud800"
    with pytest.raises(Problem, match="body.not-json"):
        admit(broker.parts, json.dumps(document).encode(), kit.as_client())


def test_a_caller_who_is_not_known_leaves_nothing_at_all(broker: Broker) -> None:
    def unknown(policy: Any, now: Any) -> Any:
        raise Problem("signature.unknown-key")

    before = broker.contents()
    assert broker.refused(request(1), unknown).code == "signature.unknown-key"
    assert broker.contents() == before


def test_without_an_edition_nothing_is_admitted(empty_url: str, open_broker: Any) -> None:
    empty = open_broker(empty_url)
    migrate(empty.database)
    register.register_client(empty.parts, Client(kit.CLIENT, "审批系统", kit.UNIT, None, "active"))
    problem = empty.refused(request(1))
    assert isinstance(problem, OperatorProblem)
    assert problem.code == "edition.none"


# --- the case ---------------------------------------------------------------------------------------------------------


def test_a_case_takes_further_requests_of_the_same_applicant(broker: Broker) -> None:
    broker.admit(1)
    broker.admit(1, request_id="r1-again")
    assert len(broker.rows("SELECT id FROM case_file")) == 1
    broker.finish()


def test_the_same_case_number_of_another_client_is_another_case(broker: Broker) -> None:
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "另一系统", kit.UNIT, None, "active"))
    register.register_grant(broker.parts, kit.grant("population", id="g-other", client=kit.OTHER_CLIENT))
    broker.admit(1)
    broker.submit(request(1, applicant=_wrong_applicant()), kit.as_client(kit.OTHER_CLIENT))
    assert len(broker.rows("SELECT id FROM case_file")) == 2


def test_a_closed_case_admits_nothing_more(broker: Broker) -> None:
    broker.admit(1)
    broker.work_off()
    register.close_case(broker.parts, kit.closing("case-1", "granted"), kit.as_client())
    assert broker.refused(request(1, request_id="later")).code == "case.closed"


def test_a_case_is_closed_once_and_only_by_its_client(broker: Broker) -> None:
    broker.admit(1)
    with pytest.raises(Problem, match="case.unknown"):
        register.close_case(broker.parts, kit.closing("case-2", "granted"), kit.as_client())
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "另一系统", kit.UNIT, None, "active"))
    with pytest.raises(Problem, match="case.unknown"):
        register.close_case(broker.parts, kit.closing("case-1", "granted"), kit.as_client(kit.OTHER_CLIENT))
    register.close_case(broker.parts, kit.closing("case-1", "granted"), kit.as_client())
    with pytest.raises(Problem, match="case.closed"):
        register.close_case(broker.parts, kit.closing("case-1", "granted"), kit.as_client())
    assert len(broker.entries("closed")) == 1


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_where_nothing_is_to_be_asked_the_decision_comes_on_the_spot(broker: Broker) -> None:
    admitted = broker.submit(request(1, materials=["form"]))
    assert admitted.verification.state == "decided"
    assert admitted.verification == broker.verification(admitted.verification.id)
    assert broker.decisions(admitted.verification.id) == {"form": ("submit", "submit.no-source")}
    assert broker.bells.rung == []
    broker.finish()


def test_a_scene_asks_each_source_once_for_all_its_items(broker: Broker) -> None:
    number = broker.admit(1, item=None, scene="enterprise-1.1")
    broker.finish()
    assert {source: len(broker.sources.of(source)) for source in ("licences", "register", "population")} == {
        "licences": 1,
        "register": 1,
        "population": 1,
    }
    licence = next(one for one in broker.receipt(number)["materials"] if one["material"] == "licence")
    assert licence["items"] == ["open-shop", "open-kitchen"]
    assert licence["decision"] == "exempt"


def test_a_subset_of_materials_asks_only_for_those(broker: Broker) -> None:
    number = broker.admit(1, materials=["identity@legal_representative"])
    broker.finish()
    assert broker.decisions(number) == {"identity@legal_representative": ("exempt", "held.valid")}
    assert len(broker.sources.questions) == 1


# --- grants -----------------------------------------------------------------------------------------------------------


def test_without_any_grant_the_request_is_refused(broker: Broker) -> None:
    for source in ("licences", "register", "population"):
        register.set_grant_state(broker.parts, f"g-{source}", "revoked")
    assert broker.refused(request(1)).code == "grant.revoked"
    broker.execute("DELETE FROM grant_usage")
    assert broker.rows("SELECT id FROM case_file") == []


def test_with_some_grants_the_rest_goes_to_its_fallback_with_the_rule_as_reason(broker: Broker) -> None:
    register.set_grant_state(broker.parts, "g-register", "suspended")
    number = broker.admit(1)
    broker.finish()
    assert broker.decisions(number)["premises"] == ("fallback", "fallback.commitment")
    steps = next(one for one in broker.receipt(number)["materials"] if one["material"] == "premises")["steps"]
    assert steps[0] == {"mode": "data_query", "reason": "grant.suspended", "source": "register", "form": "query"}
    assert broker.sources.of("register") == []


def test_a_grant_restored_lets_later_requests_through(broker: Broker) -> None:
    register.set_grant_state(broker.parts, "g-population", "suspended")
    first = broker.admit(1)
    register.set_grant_state(broker.parts, "g-population", "in_force")
    second = broker.admit(2)
    broker.finish()
    assert broker.decisions(first)["identity@legal_representative"] == ("submit", "submit.last-step")
    assert broker.decisions(second)["identity@legal_representative"] == ("exempt", "held.valid")
