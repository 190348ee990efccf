"""Consents that a source asks for itself are kept like the portal's, and who would not is not asked again in a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from broker.core.answer import Answer, Awaited, Question, Reason, Reply, Waiting
from broker.core.case import Party
from broker.core.consent import ConsentDecision
from broker.core.errors import CallerProblem
from broker.flow import consents, register
from broker.flow.cases import find, one_case
from broker.flow.consents import Decided, Statement
from broker.ports import Client
from broker.ports.consents import Consent
from tests.flow import kit
from tests.flow.catalogue import KITCHEN, LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
COMPANY = Party("", "001", kit.company(1), "")
SAID = Statement("holder-consent/1", "auth-20261122-0002")
CONSENT = {"kind": "holder_consent"}
REFUSED, EXPIRED = Answer(Reason.CONSENT_REFUSED, source_code="3"), Answer(Reason.CONSENT_EXPIRED, source_code="1")


@pytest.fixture
def asking(broker: Broker) -> Broker:
    """Both platforms that could replace the licence ask the holder themselves, once a code is shown."""
    register.register_client(broker.parts, Client("portal", "门户", kit.UNIT, None, "active", ("portal",)))
    own = {"certshare-platform", "exchange-platform"}
    broker.parts.connections = {
        name: replace(one, options={**one.options, "consent": True}) if name in own else one
        for name, one in broker.parts.connections.items()
    }
    return broker


def shown(number: int = 1, **changes: object) -> dict[str, object]:
    """A request for which the company has shown its code."""
    document = kit.request(number, item=KITCHEN, **changes)
    document["applicant"] = {**document["applicant"], "token": "QR-8172"}
    return document


def until(reply: Answer | Callable[[Question], Reply], polls: int = 0) -> Callable[[Question], Reply]:
    """A source that asks the holder, is asked so often in vain, and then replies so."""
    left = iter(range(polls))

    def script(question: Question) -> Reply:
        if question.memo and next(left, None) is None:
            return reply if isinstance(reply, Answer) else reply(question)
        now = datetime.now(UTC)
        return Waiting(Awaited.CONSENT, now + timedelta(seconds=5), now + timedelta(minutes=10), "trx-1")

    return script


def run(broker: Broker, rounds: int = 4) -> None:
    """Work, and let the pauses between polls pass."""
    for _ in range(rounds):
        broker.work_off()
        broker.expire_leases()
    broker.finish()


def kept(broker: Broker) -> list[Consent]:
    """What the company was asked for, the oldest first."""
    return consents.show_consents(broker.parts, COMPANY, kit.as_client("portal"))[::-1]


def steps(broker: Broker, number: str) -> list[str]:
    """How the chain of the licence went."""
    [licence] = [one for one in broker.receipt(number)["materials"] if one["material"] == "licence"]
    return [one["reason"] for one in licence["steps"]]


def test_a_sources_own_transaction_is_a_consent_from_its_beginning_to_its_end(asking: Broker) -> None:
    asking.sources.script[LICENCES] = until(kit.valid, polls=2)
    number = asking.submit(shown()).verification.id
    asking.work_off()
    [begun] = kept(asking)
    assert (begun.state, begun.sources, begun.case) == ("requested", (LICENCES,), "case-1")
    asking.expire_leases()
    asking.work_off()
    assert kept(asking) == [replace(begun, state="waiting")]
    run(asking)
    [ended] = kept(asking)
    assert ended.state == "granted"
    assert ended.decided_at is not None
    told = asking.entries("consent_requested", "consent_shown", "consent_granted")
    assert [(one["kind"], one["asked_by"], one["sources"]) for one in told] == [
        (f"consent_{kind}", "source", [LICENCES]) for kind in ("requested", "shown", "granted")
    ]
    assert asking.decisions(number)["licence"] == ("exempt", "held.valid")


@pytest.mark.parametrize(("reply", "state"), [(REFUSED, "refused"), (EXPIRED, "expired")], ids=["refused", "expired"])
def test_who_would_not_is_not_asked_by_the_chains_next_source(asking: Broker, reply: Answer, state: str) -> None:
    asking.sources.script[LICENCES] = until(reply)
    number = asking.submit(shown()).verification.id
    run(asking)
    assert [one.state for one in kept(asking)] == [state]
    assert asking.sources.of(REGISTER) == []
    assert steps(asking, number) == [f"unknown.consent-{state}"] * 2 + ["submit.last-step"]
    assert [one["rule"] for one in asking.entries("stopped")] == [f"consent.{state}"]


@ON_SQLITE
def test_an_outage_says_nothing_of_the_holder_and_the_next_source_asks(asking: Broker) -> None:
    asking.sources.script[LICENCES] = until(Answer(Reason.SOURCE_DOWN))
    number = asking.submit(shown()).verification.id
    run(asking)
    assert [one.state for one in kept(asking)] == ["requested"]
    assert len(asking.sources.of(REGISTER)) == 1
    assert asking.decisions(number)["licence"] == ("exempt", "held.valid")
    asking.execute("UPDATE consent SET until_at = 1")
    assert consents.expire_consents(asking.parts) == 1


@ON_SQLITE
def test_a_code_shown_in_a_later_request_asks_anew(asking: Broker) -> None:
    asking.sources.script[LICENCES] = until(REFUSED)
    asking.submit(shown())
    run(asking)
    asking.sources.script[LICENCES] = until(kit.valid)
    again = asking.submit(shown(request_id="again")).verification.id
    run(asking)
    assert asking.decisions(again)["licence"] == ("exempt", "held.valid")
    assert [one.state for one in kept(asking)] == ["refused", "granted"]


@ON_SQLITE
def test_nobody_decides_at_the_portal_what_the_source_asks(asking: Broker) -> None:
    asking.sources.script[LICENCES] = until(kit.valid)
    asking.submit(shown())
    asking.work_off()
    [begun] = kept(asking)
    decided = Decided(COMPANY, ConsentDecision.GRANT, SAID)
    before = asking.contents()
    with pytest.raises(CallerProblem) as caught:
        consents.decide_consent(asking.parts, begun.id, decided, kit.as_client("portal"))
    assert caught.value.code == "consent.at-source"
    assert asking.contents() == before


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_crash_at_the_beginning_of_a_transaction_leaves_one_consent(asking: Broker, fault: str) -> None:
    asking.sources.script[LICENCES] = until(kit.valid)
    number = asking.submit(shown()).verification.id

    def crash(source: str, questions: list[Question]) -> None:
        if source == LICENCES:
            asking.store.fault = fault

    asking.sources.meanwhile = crash
    with pytest.raises(kit.Crash):
        asking.work_off()
    asking.sources.meanwhile = lambda source, questions: None
    asking.check()
    asking.expire_leases()
    run(asking)
    assert [one.state for one in kept(asking)] == ["granted"]
    assert asking.decisions(number)["licence"] == ("exempt", "held.valid")


# ---- the portal's


def decide(broker: Broker, decision: ConsentDecision) -> None:
    number = kept(broker)[-1].id
    consents.decide_consent(broker.parts, number, Decided(COMPANY, decision, SAID), kit.as_client("portal"))


@pytest.fixture
def resting(asking: Broker) -> tuple[Broker, str]:
    """A verification that rests on the holder's consent, asked for by the portal."""
    return asking, asking.submit(kit.request(1, item=KITCHEN, basis=CONSENT)).verification.id


def test_a_refusal_holds_for_every_source_of_the_chain_and_for_later_requests(resting: tuple[Broker, str]) -> None:
    broker, number = resting
    decide(broker, ConsentDecision.REFUSE)
    broker.execute("UPDATE consent SET until_at = 1 WHERE state <> 'refused'")
    run(broker)
    again = broker.submit(kit.request(1, item=KITCHEN, request_id="again", basis=CONSENT)).verification.id
    run(broker)
    for one in (number, again):
        assert steps(broker, one) == ["unknown.consent-refused"] * 2 + ["submit.last-step"]
    assert broker.sources.questions == []
    assert len(broker.entries("consent_requested")) == 2  # of the company, and of the person it is represented by


@ON_SQLITE
def test_an_approval_system_may_ask_anew(resting: tuple[Broker, str]) -> None:
    broker, _ = resting
    decide(broker, ConsentDecision.REFUSE)
    broker.execute("UPDATE consent SET until_at = 1 WHERE state <> 'refused'")
    run(broker)
    consents.request_consent(broker.parts, "case-1", COMPANY, [LICENCES, REGISTER, POPULATION], kit.as_client())
    decide(broker, ConsentDecision.GRANT)
    again = broker.submit(kit.request(1, item=KITCHEN, request_id="again", basis=CONSENT)).verification.id
    run(broker)
    assert broker.decisions(again)["licence"] == ("exempt", "held.valid")


@ON_SQLITE
def test_a_consent_that_was_granted_and_is_over_may_be_asked_for_again(resting: tuple[Broker, str]) -> None:
    broker, _ = resting
    decide(broker, ConsentDecision.GRANT)
    broker.work_off()
    broker.execute("UPDATE consent SET until_at = 1")
    run(broker)
    broker.submit(kit.request(1, item=KITCHEN, request_id="again", basis=CONSENT))
    assert [one.state for one in kept(broker)] == ["expired", "waiting"]


@ON_SQLITE
def test_a_case_shows_what_its_holders_were_asked_for(asking: Broker) -> None:
    asking.sources.script[LICENCES] = until(REFUSED)
    asking.submit(shown())
    run(asking)
    [found] = consents.consents_of_case(asking.parts, kit.CLIENT, "case-1")
    assert (found.state, found.sources) == ("refused", (LICENCES,))
    assert found.lookup is not None
    [case] = find(asking.parts, "case-1", lambda _: True)
    assert one_case(asking.parts, case.case.id, lambda _: True).consents == (found,)
