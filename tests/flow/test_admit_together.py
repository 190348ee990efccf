"""Requests admitted in one transaction come out as they would have one by one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.core.errors import Problem
from broker.flow import register
from broker.flow.admit import Admitted, Submission, admit_all
from tests.flow import catalogue, kit
from tests.flow.kit import Broker, request


def together(broker: Broker, *documents: dict[str, Any] | bytes, nonces: list[str] | None = None) -> list[str]:
    """The outcomes as words: the state, `known`, or a code."""
    submissions = [
        Submission(
            document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode(),
            kit.as_client(nonce=nonces[place] if nonces else None),
        )
        for place, document in enumerate(documents)
    ]
    return [word(outcome) for outcome in admit_all(broker.parts, submissions)]


def one_by_one(broker: Broker, *documents: dict[str, Any] | bytes, nonces: list[str] | None = None) -> list[str]:
    """The same, each in a transaction of its own."""
    return [
        together(broker, document, nonces=[nonces[place]] if nonces else None)[0]
        for place, document in enumerate(documents)
    ]


def word(outcome: Admitted | Problem) -> str:
    if isinstance(outcome, Problem):
        return outcome.code
    return outcome.verification.state if outcome.created else "known"


def test_a_batch_of_good_requests_is_admitted_with_an_entry_and_lookups_each(broker: Broker) -> None:
    assert together(broker, *(request(number) for number in range(5))) == ["admitted"] * 5
    assert len(broker.entries("admitted")) == 5
    assert len(broker.rows("SELECT id FROM lookup")) == 15
    broker.finish()


def test_one_bad_request_does_not_touch_its_neighbours(broker: Broker) -> None:
    outcomes = together(
        broker, request(1), b"{", request(2, item="no-such"), request(3, materials=["form"]), request(4, operator=None)
    )
    assert outcomes == ["admitted", "body.not-json", "request.item", "decided", "request.schema"]
    assert Counter(one["kind"] for one in broker.entries("admitted", "refused", "decided")) == {
        "admitted": 2,
        "refused": 3,
        "decided": 1,
    }
    broker.finish()


def test_the_same_request_twice_in_one_batch_is_one_verification(broker: Broker) -> None:
    assert together(broker, request(1), request(1)) == ["admitted", "known"]
    assert together(broker, request(1), request(1, channel="web")) == ["known", "request.conflict"]
    assert len(broker.rows("SELECT id FROM verification")) == 1
    broker.finish()


def test_two_bodies_under_one_id_in_one_batch_are_one_verification_and_a_conflict(broker: Broker) -> None:
    assert together(broker, request(1), request(1, channel="web")) == ["admitted", "request.conflict"]
    broker.finish()


def test_one_nonce_twice_in_one_batch_is_a_replay(broker: Broker) -> None:
    outcomes = together(broker, request(1), request(2), nonces=["nonce-of-both-0001"] * 2)
    assert outcomes == ["admitted", "signature.replayed"]
    assert len(broker.rows("SELECT nonce FROM nonce")) == 1
    broker.finish()


def test_two_applicants_of_one_case_in_one_batch_are_one_case_and_a_refusal(broker: Broker) -> None:
    other = request(2, case={"number": "case-1"})
    assert together(broker, request(1), other) == ["admitted", "case.applicant-differs"]
    assert len(broker.rows("SELECT id FROM case_file")) == 1
    broker.finish()


def test_a_conflict_opens_no_case(broker: Broker) -> None:
    """The second request has the first one's id and another case: refused, it leaves no case behind."""
    other = request(2, request_id="r1")
    assert together(broker, request(1), other) == ["admitted", "request.conflict"]
    assert [row.number for row in broker.rows("SELECT number FROM case_file")] == ["case-1"]


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_commit_lost_loses_all_or_nothing(broker: Broker, fault: str) -> None:
    broker.store.fault = fault
    with pytest.raises(kit.Crash):
        together(broker, request(1), request(2))
    broker.check()
    assert together(broker, request(1), request(2)) == (["known"] * 2 if fault == "after" else ["admitted"] * 2)
    broker.finish()


def test_cases_opened_together_have_a_key_each(broker: Broker) -> None:
    together(broker, *(request(number) for number in range(4)))
    keys = {row.wrapped_key for row in broker.rows("SELECT wrapped_key FROM case_file")}
    assert len(keys) == 4


documents = st.builds(
    lambda number, name, case, changes: request(number, request_id=name, case={"number": case}, **changes),
    st.integers(0, 2),
    st.sampled_from(["r1", "r2", "r3"]),
    st.sampled_from(["case-1", "case-2"]),
    st.sampled_from(
        [
            {},
            {},
            {"materials": ["form"]},
            {"item": "no-such"},
            {"channel": "web"},
            {"item": catalogue.KITCHEN},
            {"x": 1},
        ]
    ),
)


def in_turns(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of several with one id the later ones last: the order in which a batch is worth its members one by one."""
    seen: Counter[str] = Counter()
    turns = []
    for document in batch:
        turns.append(seen[document["request_id"]])
        seen[document["request_id"]] += 1
    return [batch[place] for place in sorted(range(len(batch)), key=lambda place: turns[place])]


@given(st.lists(documents, min_size=1, max_size=6).map(in_turns), st.booleans(), st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_together_or_one_by_one_is_the_same(
    quick_brokers: Callable[[], Broker], batch: list[dict[str, Any]], closed: bool, data: st.DataObject
) -> None:
    nonces = [
        data.draw(st.sampled_from(["nonce-1-of-two", "nonce-2-of-two", f"own-{place}"])) for place in range(len(batch))
    ]
    pair = quick_brokers(), quick_brokers()
    for one in pair:
        one.submit(request(2, request_id="r3", case={"number": "case-2"}), kit.as_client(nonce="before"))
        if closed:
            register.close_case(one.parts, kit.closing("case-2", "granted"), kit.as_client(nonce="closing"))
    assert together(pair[0], *batch, nonces=nonces) == one_by_one(pair[1], *batch, nonces=nonces)
    for table, columns in (
        ("verification", "client_id, request_id, state"),  # the digest is salted
        ("case_file", "client_id, number, applicant, state"),
        ("lookup", "key, source, grant_id, state"),
        ("nonce", "key_id, nonce"),
        ("entry", "kind"),
    ):
        mine, theirs = (sorted(map(tuple, one.rows(f"SELECT {columns} FROM {table}"))) for one in pair)  # noqa: S608
        assert mine == theirs, table
    for one in pair:
        one.check()
        one.database.dispose()
