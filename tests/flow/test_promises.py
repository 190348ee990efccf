"""告知承诺: a signed commitment stands for what no source told, and is checked once the source is back."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.answer import Answer, Reason
from broker.core.envelope import unb64
from broker.core.errors import OperatorProblem
from broker.core.own_key import KeyRole, KeyState
from broker.flow import own_keys, register
from broker.flow.deliver import deliver
from broker.flow.promises import ATTEMPTS, promises_kept_back
from broker.ports import Client
from broker.ports.waiting import Promise
from broker.signing.key_folder import Folder
from tests.flow import kit
from tests.flow.catalogue import POPULATION, REGISTER
from tests.flow.kit import Broker, Script, just

TEXT = "premises/2"


def signed(number: int, text: str = TEXT) -> dict[str, Any]:
    return kit.request(number, commitments=[{"material": "premises", "text": text}])


def promises(broker: Broker, number: str) -> list[Promise]:
    with broker.parts.store.read() as work:
        return work.promises(number)


def listed(broker: Broker, **changes: Any) -> None:
    """Let the list say something else of the register, in every edition."""
    with broker.parts.store.read() as work:
        source = broker.parts.edition(work, 1).catalog.sources[REGISTER]
    for name, value in changes.items():
        object.__setattr__(source, name, value)


def promised(broker: Broker, back: Script = kit.valid) -> str:
    """A decided verification that rests on a promise; the source is back afterwards, and answers so."""
    broker.sources.script[REGISTER] = just(Reason.SOURCE_DOWN)
    number = broker.submit(signed(1)).verification.id
    broker.work_off()
    assert broker.verification(number).state == "decided"
    broker.sources.script[REGISTER] = back
    return number


def test_a_signed_commitment_stands_for_the_material(broker: Broker) -> None:
    number = promised(broker)
    assert broker.decisions(number)["premises"] == ("fallback", "commitment.accepted")
    [promise] = promises(broker, number)
    assert (promise.material, promise.text, promise.state) == ("premises", TEXT, "open")
    broker.checker.check()


def test_the_commitment_is_only_offered_where_nobody_signed(broker: Broker) -> None:
    broker.sources.script[REGISTER] = just(Reason.SOURCE_DOWN)
    number = broker.admit(1)
    broker.finish()
    assert broker.decisions(number)["premises"] == ("fallback", "fallback.commitment")
    assert promises(broker, number) == []


def test_another_text_is_no_commitment(broker: Broker) -> None:
    broker.sources.script[REGISTER] = just(Reason.SOURCE_DOWN)
    number = broker.submit(signed(1, "premises/1")).verification.id
    broker.finish()
    [material] = [one for one in broker.receipt(number)["materials"] if one["material"] == "premises"]
    assert material["reason"] == "fallback.commitment"
    assert [one["reason"] for one in material["steps"]][-2:] == ["commitment.other-text", "fallback.commitment"]
    assert promises(broker, number) == []


def test_a_source_that_knows_needs_no_commitment(broker: Broker) -> None:
    number = broker.submit(signed(1)).verification.id
    broker.finish()
    assert broker.decisions(number)["premises"] == ("exempt", "held.valid")
    assert promises(broker, number) == []


def test_a_kept_promise_is_recorded_and_nobody_is_bothered(broker: Broker) -> None:
    number = promised(broker)
    receipt = broker.verification(number).receipt
    broker.expire_leases()
    broker.finish()
    assert [one.state for one in promises(broker, number)] == ["kept"]
    [told] = broker.entries("promise_checked")
    assert (told["material"], told["outcome"], told["reason"]) == ("premises", "kept", "held.valid")
    assert [one.get("purpose") for one in broker.entries("asked")].count("promise") == 1
    assert broker.verification(number).receipt == receipt


def test_a_closed_case_is_still_checked(broker: Broker) -> None:
    number = promised(broker)
    register.close_case(broker.parts, kit.closing(kit.request(1)["case"]["number"], "approved"), kit.as_client())
    broker.expire_leases()
    broker.finish()
    assert [one.state for one in promises(broker, number)] == ["kept"]


def test_a_withdrawn_grant_ends_the_check_and_leaves_it_to_a_person(broker: Broker) -> None:
    number = promised(broker)
    register.set_grant_state(broker.parts, f"g-{REGISTER}", "revoked")
    broker.expire_leases()
    broker.finish()
    assert [one.state for one in promises(broker, number)] == ["by_hand"]


def test_a_source_still_away_is_asked_again_later_and_at_last_a_person_must_check(broker: Broker) -> None:
    number = promised(broker, just(Reason.LATE))
    for _ in range(3):
        broker.expire_leases()
        broker.work_off()
    assert [one.state for one in promises(broker, number)] == ["open"]
    assert {one["awaited"] for one in broker.entries("waiting")} == {"pending.source"}
    broker.checker.check()
    broker.execute(f"UPDATE lookup SET fence = {ATTEMPTS - 1} WHERE key LIKE 'promise:%'")  # noqa: S608 - a number of ours
    broker.expire_leases()
    broker.work_off()
    assert [one.state for one in promises(broker, number)] == ["by_hand"]


@pytest.mark.parametrize("bar", ["breaker", "daily calls", "grant"])
def test_a_check_that_may_not_ask_yet_waits_and_is_made_later(broker: Broker, bar: str) -> None:
    if bar == "grant":
        register.set_grant_state(broker.parts, f"g-{REGISTER}", "revoked")
        register.register_grant(broker.parts, kit.grant(REGISTER, id="g-once", daily_calls=1))
    number = promised(broker)
    asked = len(broker.entries("asked"))
    if bar == "breaker":
        forever = 4_000_000_000_000
        broker.execute("UPDATE source_gate SET breaker = 'open', until_at = :until", until=forever)
    elif bar == "daily calls":
        listed(broker, calls_per_day=0)
    for _ in range(3):
        broker.expire_leases()
        broker.work_off()
    assert [one.state for one in promises(broker, number)] == ["open"]
    assert len(broker.entries("asked")) == asked
    assert broker.entries("promise_checked") == []
    broker.checker.check()
    broker.execute("UPDATE source_gate SET until_at = 0 WHERE breaker = 'open'")
    listed(broker, calls_per_day=None)
    if bar == "grant":  # nobody lets the day pass here
        register.set_grant_state(broker.parts, "g-once", "revoked")
    broker.finish()
    assert [one.state for one in promises(broker, number)] == ["by_hand" if bar == "grant" else "kept"]


def test_where_no_source_could_answer_a_person_checks_from_the_start(broker: Broker) -> None:
    broker.sources.script[REGISTER] = just(Reason.NOT_FOUND)
    number = broker.submit(signed(1)).verification.id
    broker.finish()
    assert [(one.state, one.lookup) for one in promises(broker, number)] == [("by_hand", None)]
    [left] = broker.entries("promise_left")
    assert (left["verification"], left["material"], left["reason"]) == (number, "premises", "unknown.not-found")
    [listed_] = promises_kept_back(broker.parts, ["by_hand"])
    assert (listed_.client, listed_.case, listed_.promise.verification) == (kit.CLIENT, "case-1", number)
    assert promises_kept_back(broker.parts, ["open", "kept"]) == []


@pytest.mark.parametrize("fault", ["", "before", "after"])
def test_a_false_promise_is_told_by_a_signed_notice(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    told: list[dict[str, Any]] = []

    def post(_: str, body: bytes) -> int:
        told.append(json.loads(body))
        return 204

    register.register_client(broker.parts, Client("told", "有回调的系统", kit.UNIT, "https://told.example/", "active"))
    for source in ("licences", REGISTER, POPULATION):
        register.register_grant(broker.parts, kit.grant(source, id=f"told-{source}", client="told"))
    monkeypatch.setattr(broker.parts, "post", post)
    broker.sources.script[REGISTER] = just(Reason.SOURCE_DOWN)
    number = broker.submit(signed(1), kit.as_client("told")).verification.id
    broker.work_off()
    deliver(broker.parts)
    broker.sources.script[REGISTER] = lambda question: Answer(
        Reason.CANCELLED, {}, question.subject.number, source_code="9"
    )
    broker.expire_leases()
    if fault:
        broker.sources.meanwhile = lambda source, questions: setattr(broker.store, "fault", fault)
        with pytest.raises(kit.Crash):
            broker.work_off()
        broker.sources.meanwhile = lambda source, questions: None
        broker.expire_leases()
    broker.finish()
    while deliver(broker.parts):
        pass
    [notice] = [one for one in told if one["state"] == "promise"]
    says = json.loads(unb64(notice["notice"].split(".")[1]))
    assert (notice["material"], says["promise"], says["reason"]) == ("premises", "broken", "not_held.cancelled")
    assert says["verification"] == number
    assert [one.state for one in promises(broker, number)] == ["broken"]
    assert len(broker.entries("promise_checked")) == 1


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_no_notice_is_signed_by_a_key_that_is_over(broker: Broker, keys_folder: Path) -> None:
    """Whoever is told would refuse it; the check waits until the process has its new key."""
    number = promised(broker, just(Reason.CANCELLED))
    broker.execute("UPDATE client SET callback_url = 'https://approvals.example/news'")
    own_keys.adopt_keys(broker.parts, Folder(keys_folder))
    own_keys.limit_key(broker.parts, broker.parts.signer.key_id, datetime.now(UTC) + timedelta(milliseconds=20))
    broker.expire_leases()
    while not key_is_over(broker):
        time.sleep(0.005)
    with pytest.raises(OperatorProblem, match=r"key\.expired"):
        broker.work_off()
    assert [one.state for one in promises(broker, number)] == ["open"]
    assert broker.entries("promise_checked") == []


def key_is_over(broker: Broker) -> bool:
    return {state for own, state in own_keys.all_keys(broker.parts) if own.role is KeyRole.RECEIPT} == {
        KeyState.RETIRED
    }
