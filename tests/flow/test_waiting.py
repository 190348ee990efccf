"""Answers that come later: a preliminary receipt meanwhile, the final one supersedes it, and both stay verifiable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.answer import Answer, Awaited, Question, Reason, Reply, Waiting
from broker.core.receipt import receipt_digest
from broker.flow import register
from broker.flow.deliver import deliver
from broker.flow.look_up import look_up
from broker.ports import Client
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION
from tests.flow.kit import Broker

IDENTITY = "identity@legal_representative"
MEMO = "trx-81723"


def later(question: Question) -> Reply:
    """A source that wants to be asked again in an hour, and says what it needs to be reminded of."""
    now = datetime.now(UTC)
    return Waiting(Awaited.CONSENT, now + timedelta(hours=1), now + timedelta(days=1), MEMO)


def until(reply: Reply) -> Callable[[Question], Reply]:
    """A source that waits once, and then replies so."""
    return lambda question: reply if question.memo else later(question)


def test_a_waiting_lookup_leaves_a_preliminary_receipt(broker: Broker) -> None:
    broker.sources.script[LICENCES] = later
    number = broker.admit(1)
    broker.work_off()
    assert broker.verification(number).state == "pending"
    receipt = broker.receipt(number)
    assert receipt["status"] == "preliminary"
    assert "supersedes" not in receipt
    assert broker.decisions(number) == {
        IDENTITY: ("exempt", "held.valid"),
        "licence": ("pending", "pending.consent"),
        "premises": ("exempt", "held.valid"),
        "form": ("submit", "submit.no-source"),
    }
    assert [one["awaited"] for one in broker.entries("waiting")] == ["pending.consent"]
    broker.checker.check()


def test_the_final_receipt_supersedes_the_preliminary_one(broker: Broker) -> None:
    broker.sources.script[LICENCES] = until(Answer(Reason.REVOKED, source_code="21"))
    number = broker.admit(1)
    broker.work_off()
    first = broker.verification(number).receipt
    assert first is not None
    broker.expire_leases()
    broker.finish()
    assert broker.verification(number).state == "decided"
    receipt = broker.receipt(number)
    assert (receipt["status"], receipt["supersedes"]) == ("final", receipt_digest(first))
    assert broker.decisions(number)["licence"] == ("not_met", "not_held.revoked")
    assert [one["receipt"] for one in broker.entries("pending")] == [receipt_digest(first)]


def test_what_the_connector_left_is_handed_back_and_kept_from_everyone_else(broker: Broker) -> None:
    broker.sources.script[LICENCES] = later
    broker.admit(1)
    broker.work_off()
    broker.expire_leases()
    broker.work_off()
    assert [one.memo for one in broker.sources.of(LICENCES)] == ["", MEMO]
    [row] = broker.rows("SELECT memo FROM lookup WHERE memo IS NOT NULL")
    assert MEMO.encode() not in bytes(row.memo)
    assert len(broker.entries("waiting")) == 2
    broker.checker.check()


def test_asking_again_changes_nothing_of_the_preliminary_receipt(broker: Broker) -> None:
    broker.sources.script[LICENCES] = later
    number = broker.admit(1)
    broker.work_off()
    before = broker.verification(number).receipt
    for _ in range(3):
        broker.expire_leases()
        broker.work_off()
    assert broker.verification(number).receipt == before
    assert len(broker.entries("pending")) == 1
    broker.checker.check()


def test_a_source_that_never_comes_back_moves_the_chain_on(broker: Broker) -> None:
    broker.sources.script[LICENCES] = until(Answer(Reason.LATE))
    number = broker.admit(1)
    broker.work_off()
    broker.expire_leases()
    broker.finish()
    assert broker.decisions(number)["licence"][0] != "pending"
    assert broker.verification(number).state == "decided"


def test_a_grant_withdrawn_meanwhile_stops_the_waiting_lookup(broker: Broker) -> None:
    broker.sources.script[LICENCES] = later
    number = broker.admit(1)
    broker.work_off()
    register.set_grant_state(broker.parts, f"g-{LICENCES}", "revoked")
    broker.expire_leases()
    broker.finish()
    assert len(broker.sources.of(LICENCES)) == 1
    assert [one["rule"] for one in broker.entries("stopped")] == ["grant.revoked"]
    assert broker.verification(number).state == "decided"


def test_both_receipts_are_called_back(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bytes] = []
    register.register_client(broker.parts, Client("told", "有回调的系统", kit.UNIT, "https://told.example/", "active"))
    for source in (LICENCES, POPULATION, "register"):
        register.register_grant(broker.parts, kit.grant(source, id=f"told-{source}", client="told"))

    def post(_: str, body: bytes) -> int:
        told.append(body)
        return 204

    monkeypatch.setattr(broker.parts, "post", post)
    broker.sources.script[LICENCES] = until(Answer(Reason.REVOKED, source_code="21"))
    broker.submit(kit.request(1), kit.as_client("told"))
    broker.work_off()
    assert deliver(broker.parts) == 1
    broker.expire_leases()
    broker.work_off()
    assert deliver(broker.parts) == 1
    assert [b'"state":"pending"' in body for body in told] == [True, False]
    assert [b'"state":"decided"' in body for body in told] == [False, True]
    broker.checker.check()


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_crash_at_the_recording_of_a_wait_loses_nothing(broker: Broker, fault: str) -> None:
    broker.sources.script[LICENCES] = until(Answer(Reason.REVOKED, source_code="21"))
    number = broker.admit(1)

    def crash(source: str, questions: list[Question]) -> None:
        if source == LICENCES and not questions[0].memo:
            broker.store.fault = fault

    broker.sources.meanwhile = crash
    with pytest.raises(kit.Crash):
        look_up(broker.parts, LICENCES)
    broker.sources.meanwhile = lambda source, questions: None
    broker.checker.check()
    for _ in range(2):
        broker.expire_leases()
        broker.work_off()
    broker.finish()
    assert broker.decisions(number)["licence"] == ("not_met", "not_held.revoked")
