"""Admitting several requests in one transaction: each comes out as it would have alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from broker.core.errors import CallerProblem, Problem
from broker.flow.admit import Admitted, Submission, admit_all
from broker.flow.caller import Identify
from tests.flow import kit
from tests.flow.kit import Broker, request


def _submission(document: Mapping[str, Any] | bytes, identify: Identify | None = None) -> Submission:
    body = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
    return Submission(body, identify or kit.as_client())


def _codes(outcomes: list[Admitted | Problem]) -> list[str]:
    return [one.code if isinstance(one, Problem) else "" for one in outcomes]


def _unknown(*_: object) -> Any:
    raise CallerProblem("signature.invalid")


def test_good_and_bad_requests_of_one_batch_do_not_touch_each_other(broker: Broker) -> None:
    broker.submit(request(9))
    wrong_digit = request(3) | {"applicant": {"id_type": "001", "number": "91999999MA00000001", "name": "公司"}}
    outcomes = admit_all(
        broker.parts,
        [
            _submission(request(1)),
            _submission(b"not json"),
            _submission(request(2), _unknown),
            _submission(wrong_digit),
            _submission(request(4, item="no-such-item")),
            _submission(request(9)),
            _submission(request(9, channel="web")),
            _submission(request(5)),
        ],
    )
    assert _codes(outcomes) == [
        "", "body.not-json", "signature.invalid", "request.identifier", "request.item", "", "request.conflict", "",
    ]  # fmt: skip
    created = [one.created for one in outcomes if isinstance(one, Admitted)]
    assert created == [True, False, True]
    assert len(broker.entries("admitted")) == 3
    refused = {one["code"] for one in broker.entries("refused")}
    assert refused == {"body.not-json", "request.identifier", "request.item", "request.conflict"}, "a stranger has none"
    broker.work_off()
    assert len(broker.entries("decided")) == 3


def test_the_same_id_twice_in_a_batch_is_one_verification_or_a_conflict(broker: Broker) -> None:
    first, again, other = admit_all(
        broker.parts, [_submission(request(1)), _submission(request(1)), _submission(request(1, channel="web"))]
    )
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert {first.verification.id} == {again.verification.id}
    assert [first.created, again.created].count(True) == 1
    assert _codes([other]) == ["request.conflict"]
    assert len(broker.rows("SELECT id FROM verification")) == 1


def test_the_same_nonce_twice_in_a_batch_is_a_replay(broker: Broker) -> None:
    identify = kit.as_client(nonce="nonce-of-both-0001")
    outcomes = admit_all(broker.parts, [_submission(request(1), identify), _submission(request(2), identify)])
    assert _codes(outcomes) == ["", "signature.replayed"]
    assert len(broker.rows("SELECT id FROM verification")) == 1


def test_two_requests_of_one_case_share_it_and_another_applicant_is_refused(broker: Broker) -> None:
    case = {"number": "case-shared"}
    one, two, stranger = admit_all(
        broker.parts,
        [
            _submission(request(1, case=case)),
            _submission(request(2, case=case, applicant=request(1)["applicant"])),
            _submission(request(3, case=case)),
        ],
    )
    assert _codes([one, two, stranger]) == ["", "", "case.applicant-differs"]
    assert len(broker.rows("SELECT id FROM case_file")) == 1
    broker.work_off()
    assert len(broker.entries("decided")) == 2
