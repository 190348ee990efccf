"""The holder's consent: nobody is asked about a person before they agree, and what they decide takes effect at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.core.answer import Question
from broker.core.case import Party
from broker.core.consent import ConsentDecision, ConsentState, after
from broker.core.errors import CallerProblem
from broker.core.receipt import receipt_digest
from broker.flow import consents, register
from broker.flow.cases import path_of
from broker.flow.consents import Decided, Statement
from broker.flow.look_up import look_up
from broker.ports import Client
from broker.ports.consents import Consent
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker

ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference
BASIS = {"kind": "holder_consent"}
COMPANY = Party("", "001", kit.company(1), "")
PERSON = Party("", "111", kit.citizen(1), "")
SAID = Statement("holder-consent/1", "auth-20261122-0001")
GRANT, REFUSE, REVOKE = ConsentDecision.GRANT, ConsentDecision.REFUSE, ConsentDecision.REVOKE


@pytest.fixture
def waiting(broker: Broker) -> tuple[Broker, str]:
    """A verification that rests on consent, and whose holders have not decided."""
    register.register_client(broker.parts, Client("portal", "门户", kit.UNIT, None, "active", ("portal",)))
    return broker, broker.admit(1, basis=BASIS)


def asked(broker: Broker, subject: Party) -> Consent:
    [found] = consents.show_consents(broker.parts, subject, kit.as_client("portal"))
    return found


def decide(broker: Broker, subject: Party, decision: ConsentDecision) -> Consent:
    number = asked(broker, subject).id
    return consents.decide_consent(broker.parts, number, Decided(subject, decision, SAID), kit.as_client("portal"))


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(CallerProblem) as caught:
        act()
    assert caught.value.code == code


def test_nobody_is_asked_before_the_holder_agrees_and_what_is_known_is_said_at_once(
    waiting: tuple[Broker, str],
) -> None:
    broker, number = waiting
    assert broker.verification(number).state == "pending"
    assert broker.receipt(number)["status"] == "preliminary"
    assert {kind for kind, _ in broker.decisions(number).values()} == {"pending", "submit"}
    broker.work_off()
    assert broker.sources.questions == []
    assert sorted(one["sources"] for one in broker.entries("consent_requested")) == [
        sorted([LICENCES, REGISTER]), [POPULATION],
    ]  # fmt: skip


def test_what_is_granted_is_asked_at_once_and_the_rest_waits_on(waiting: tuple[Broker, str]) -> None:
    broker, number = waiting
    first = broker.verification(number).receipt
    assert first is not None
    broker.bells.rung.clear()
    decide(broker, COMPANY, GRANT)
    assert sorted(broker.bells.rung) == [LICENCES, REGISTER]
    broker.work_off()
    assert {one.source for one in broker.sources.questions} == {LICENCES, REGISTER}
    assert broker.verification(number).state == "pending"
    decide(broker, PERSON, GRANT)
    broker.finish()
    assert broker.receipt(number)["supersedes"] == receipt_digest(first)
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid")


@ON_SQLITE
def test_what_holders_said_is_a_step_of_the_path_and_counts_from_when_they_were_asked(
    waiting: tuple[Broker, str],
) -> None:
    broker, number = waiting
    decide(broker, COMPANY, GRANT)
    decide(broker, PERSON, REFUSE)
    broker.finish()
    path = path_of(broker.parts, number, lambda _: True)
    begins = {one.kind: one.began_at for one in path.steps}
    asked_at = {one["at"] for one in broker.entries("consent_requested")}
    assert set(begins) >= {"admitted", "pending", "consent_requested", "consent_granted", "consent_refused", "decided"}
    assert {begins["consent_granted"], begins["consent_refused"]} == asked_at
    assert begins["decided"] == begins["pending"] == broker.entries("admitted")[0]["at"]


@ON_SQLITE
def test_what_is_refused_moves_the_chains_on(waiting: tuple[Broker, str]) -> None:
    broker, number = waiting
    decide(broker, COMPANY, REFUSE)
    decide(broker, PERSON, REFUSE)
    broker.finish()
    assert broker.sources.questions == []
    licence = next(one for one in broker.receipt(number)["materials"] if one["material"] == "licence")
    assert licence["steps"][0]["reason"] == "unknown.consent-refused"
    assert licence["decision"] == "submit"
    assert {one["rule"] for one in broker.entries("stopped")} == {"consent.refused"}


def test_who_does_not_decide_in_time_has_not_agreed(waiting: tuple[Broker, str]) -> None:
    broker, number = waiting
    broker.execute("UPDATE consent SET until_at = 1")
    refused("consent.expired", lambda: decide(broker, COMPANY, GRANT))
    assert consents.expire_consents(broker.parts) == 2
    assert consents.expire_consents(broker.parts) == 0
    broker.finish()
    steps = [one["steps"][0]["reason"] for one in broker.receipt(number)["materials"] if one["material"] != "form"]
    assert set(steps) == {"unknown.consent-expired"}


def test_a_revoked_consent_stops_what_is_queued(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    decide(broker, COMPANY, GRANT)
    decide(broker, COMPANY, REVOKE)
    decide(broker, PERSON, GRANT)
    broker.finish()
    assert {one.source for one in broker.sources.questions} == {POPULATION}
    assert {one["rule"] for one in broker.entries("stopped")} == {"consent.revoked"}


@ON_SQLITE
def test_a_consent_in_force_lets_the_next_verification_of_the_case_go_at_once(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    decide(broker, COMPANY, GRANT)
    decide(broker, PERSON, GRANT)
    broker.work_off()
    again = broker.submit(kit.request(1, request_id="again", basis=BASIS)).verification
    assert again.state == "admitted"
    broker.finish()
    assert broker.verification(again.id).state == "decided"
    assert len(broker.entries("consent_requested")) == 2


@ON_SQLITE
def test_another_case_asks_anew(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    decide(broker, COMPANY, GRANT)
    decide(broker, PERSON, GRANT)
    other = broker.submit(kit.request(1, request_id="other", case={"number": "case-77"}, basis=BASIS)).verification
    assert other.state == "pending"
    assert len(consents.show_consents(broker.parts, COMPANY, kit.as_client("portal"))) == 2


@ON_SQLITE
def test_other_bases_need_no_consent(broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    assert broker.verification(number).state == "decided"
    assert broker.rows("SELECT id FROM consent") == []


@ON_SQLITE
def test_an_approval_system_may_ask_beforehand(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    stranger = Party("", "111", kit.citizen(2), "")
    made = consents.request_consent(broker.parts, "case-1", stranger, [LICENCES], kit.as_client())
    assert asked(broker, stranger) == replace(made, state="waiting")
    again = kit.as_client()
    refused("case.unknown", lambda: consents.request_consent(broker.parts, "no-case", stranger, [LICENCES], again))


@ON_SQLITE
def test_nobody_decides_for_another_person(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    number = asked(broker, COMPANY).id
    before = broker.contents()
    other = Decided(PERSON, GRANT, SAID)
    refused("consent.unknown", lambda: consents.decide_consent(broker.parts, number, other, kit.as_client("portal")))
    assert broker.contents() == before


@ON_SQLITE
def test_a_decision_is_told_with_the_portals_key_and_the_statements_digest(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    made = decide(broker, COMPANY, GRANT)
    [one] = broker.entries("consent_granted")
    assert (one["portal"], one["key"], one["statement"]) == ("portal", "key-of-portal", made.statement)
    assert SAID.reference not in str(broker.entries()) + str(broker.contents())


@pytest.mark.parametrize("state", ConsentState)
@pytest.mark.parametrize("decision", ConsentDecision)
def test_only_these_decisions_can_be_made(state: ConsentState, decision: ConsentDecision) -> None:
    allowed = {
        ("requested", "grant"): "granted", ("requested", "refuse"): "refused",
        ("waiting", "grant"): "granted", ("waiting", "refuse"): "refused",
        ("granted", "revoke"): "revoked",
    }  # fmt: skip
    assert after(state, decision) == allowed.get((state, decision))


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_crash_at_a_decision_leaves_all_or_nothing(waiting: tuple[Broker, str], fault: str) -> None:
    broker, number = waiting
    one = asked(broker, COMPANY)
    broker.store.fault = fault
    with pytest.raises(kit.Crash):
        consents.decide_consent(broker.parts, one.id, Decided(COMPANY, GRANT, SAID), kit.as_client("portal"))
    broker.check()
    assert (asked(broker, COMPANY).state == "granted") == (fault == "after")
    if fault == "before":
        decide(broker, COMPANY, GRANT)
    decide(broker, PERSON, GRANT)
    broker.finish()
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid")


def test_a_claim_while_the_holder_thinks_is_taken_back(waiting: tuple[Broker, str]) -> None:
    broker, _ = waiting
    broker.expire_leases()
    for source in (LICENCES, REGISTER, POPULATION):
        look_up(broker.parts, source)
    assert broker.sources.questions == []
    assert broker.entries("asked", "stopped") == []
    [fences] = broker.rows("SELECT max(fence) AS most, min(ready_at) AS next FROM lookup")
    assert (fences.most, fences.next > 0) == (0, True)


def test_revoked_while_it_is_being_asked_changes_nothing_of_what_was_asked(waiting: tuple[Broker, str]) -> None:
    broker, number = waiting
    decide(broker, COMPANY, GRANT)
    decide(broker, PERSON, GRANT)

    def revoke(source: str, questions: list[Question]) -> None:
        if source == LICENCES:
            decide(broker, COMPANY, REVOKE)

    broker.sources.meanwhile = revoke
    look_up(broker.parts, LICENCES)
    broker.sources.meanwhile = lambda source, questions: None
    broker.finish()
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid")
    assert broker.decisions(number)["premises"][0] != "exempt"
