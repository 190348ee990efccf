"""复用: earlier evidence counts again for the same person, under the same grant, while it is fresh."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.core.answer import Answer, Awaited, Reason, Waiting
from broker.core.objection import ObjectionAct
from broker.flow import register
from broker.flow.look_up import look_up
from broker.flow.objections import Doubt, act, raise_objection
from broker.flow.publish import publish
from broker.store.tables import moment_from
from tests.flow import catalogue, kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker, just

IDENTITY = "identity@legal_representative"
NEVER = datetime(2199, 1, 1, tzinfo=UTC)
REUSED = ("exempt", "held.valid")


def reusing() -> dict[str, Any]:
    """The small list, whose licence may be reused once neither of its sources knows."""
    document = catalogue.document()
    chain = document["materials"]["licence"]["chain"]
    chain.insert(2, {**chain[0], "mode": "reuse"})
    return document


@pytest.fixture
def city(broker: Broker) -> Broker:
    publish(broker.parts, reusing(), None, "editor")
    return broker


def away(city: Broker) -> None:
    """From here on, no source that knows the licence answers."""
    city.sources.script[LICENCES] = city.sources.script[REGISTER] = just(Reason.SOURCE_DOWN)


def other_case(number: int, **changes: Any) -> dict[str, Any]:
    """The same people as in the first request, in another case."""
    people = {name: kit.request(1)[name] for name in ("applicant", "parties")}
    return kit.request(number, **({"case": {"number": f"another-{number}"}} | people | changes))


def test_what_was_verified_before_counts_again(city: Broker) -> None:
    first = city.admit(1)
    city.finish()
    away(city)
    second = city.submit(other_case(2)).verification.id
    city.finish()
    assert city.decisions(second)["licence"] == REUSED
    [material] = [one for one in city.receipt(second)["materials"] if one["material"] == "licence"]
    earlier, last = (
        next(one for one in city.receipt(first)["materials"] if one["material"] == "licence"),
        material["steps"][-1],
    )
    assert (last["mode"], last["origin"], last["digest"]) == ("reuse", first, earlier["steps"][-1]["digest"])
    [told] = city.entries("reused")
    assert (told["verification"], told["origin"], told["material"]) == (second, first, "licence")


def test_nothing_is_reused_where_the_source_answers(city: Broker) -> None:
    city.admit(1)
    city.finish()
    second = city.submit(other_case(2)).verification.id
    city.finish()
    assert city.decisions(second)["licence"] == REUSED
    assert city.entries("reused") == []


@pytest.mark.parametrize("why", ["nobody", "revoked", "other person", "not held", "other grant"])
def test_what_may_not_be_reused(city: Broker, why: str) -> None:
    if why == "not held":
        city.sources.script[LICENCES] = just(Reason.REVOKED)
    if why != "nobody":
        city.admit(1)
        city.finish()
    away(city)
    if why == "other grant":
        register.set_grant_state(city.parts, f"g-{LICENCES}", "revoked")
        register.register_grant(city.parts, kit.grant(LICENCES, id="g-new"))
    applicant = (
        {"applicant": {"id_type": "001", "number": kit.UNIT, "name": "另一家公司"}} if why == "other person" else {}
    )
    second = city.submit(other_case(2, **applicant)).verification.id
    if why == "revoked":
        look_up(city.parts, LICENCES)
        register.set_grant_state(city.parts, f"g-{LICENCES}", "revoked")
    city.finish()
    assert city.decisions(second)["licence"][0] == "submit"
    assert city.entries("reused") == []


def test_what_was_verified_too_long_ago_is_no_evidence(city: Broker) -> None:
    city.admit(1)
    city.finish()
    [row] = city.rows("SELECT about, answered_at FROM lookup WHERE source = :source", source=LICENCES)
    answered = moment_from(row.answered_at)
    with city.parts.store.read() as work:
        assert len(work.evidence(row.about, LICENCES, f"g-{LICENCES}", answered)) == 1
        assert work.evidence(row.about, LICENCES, f"g-{LICENCES}", answered + timedelta(milliseconds=1)) == []


def test_a_material_once_exempt_in_a_case_is_not_asked_for_without_a_recorded_reason(broker: Broker) -> None:
    first = broker.admit(1)
    broker.finish()
    away(broker)
    second = broker.submit(other_case(2, case=kit.request(1)["case"])).verification.id
    broker.finish()
    [material] = [one for one in broker.receipt(second)["materials"] if one["material"] == "licence"]
    assert (material["decision"], material["exempt_before"]) == ("submit", first)
    lost = {one["material"]: (one["origin"], one["reason"]) for one in broker.entries("exemption_lost")}
    assert lost["licence"] == (first, "unknown.source-down")
    assert "exempt_before" not in str(broker.receipt(first))


def test_an_edition_that_asks_no_source_any_more_is_a_recorded_reason_too(broker: Broker) -> None:
    first = broker.admit(1)
    broker.finish()
    paper = catalogue.document()
    paper["materials"]["licence"]["chain"] = [{"mode": "submission"}]
    publish(broker.parts, paper, None, "editor")
    second = broker.submit(other_case(2, case=kit.request(1)["case"])).verification.id
    broker.finish()
    [material] = [one for one in broker.receipt(second)["materials"] if one["material"] == "licence"]
    assert (material["decision"], material["exempt_before"]) == ("submit", first)
    [lost] = broker.entries("exemption_lost")
    assert (lost["material"], lost["origin"], lost["reason"]) == ("licence", first, "submit.no-source")


def test_what_its_own_preliminary_receipt_found_exempt_is_not_lost_silently(broker: Broker) -> None:
    broker.sources.script[LICENCES] = lambda question: (
        kit.valid(question) if question.memo else Waiting(Awaited.CONSENT, NEVER, NEVER, "memo")
    )
    number = broker.admit(1)
    broker.work_off()
    assert broker.decisions(number)[IDENTITY] == ("exempt", "held.valid")
    broker.sources.script.pop(LICENCES)
    doubt = Doubt(number, IDENTITY, POPULATION, "户口已于上月迁出，姓名有误", "op1", kit.UNIT)
    raised = raise_objection(broker.parts, doubt)
    act(broker.parts, raised.id, ObjectionAct.ACCEPT, "sjj-1", "已核", lambda *_: True)
    broker.finish()
    [material] = [one for one in broker.receipt(number)["materials"] if one["material"] == IDENTITY]
    assert (material["decision"], material["exempt_before"]) == ("submit", number)
    [lost] = broker.entries("exemption_lost")
    assert (lost["material"], lost["origin"], lost["reason"]) == (IDENTITY, number, "unknown.objected")


def test_another_case_has_nothing_to_lose(broker: Broker) -> None:
    broker.admit(1)
    broker.finish()
    broker.sources.script[LICENCES] = broker.sources.script[REGISTER] = lambda _: Answer(Reason.LATE)
    second = broker.submit(other_case(2)).verification.id
    broker.finish()
    assert broker.decisions(second)["licence"][0] == "submit"
    assert broker.entries("exemption_lost") == []


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_nothing_is_reused_about_more_persons_than_the_operator_may_ask_about(city: Broker) -> None:
    """Whoever may not ask about a person any more is not shown what was said of them before either."""
    for source in (LICENCES, REGISTER):
        register.set_grant_state(city.parts, f"g-{source}", "revoked")
        register.register_grant(city.parts, kit.grant(source, id=f"g-limited-{source}", distinct_holders=1))
    for number in (1, 2):
        city.admit(number, operator={**kit.request(0)["operator"], "id": f"clerk-{number}"})
    city.work_off()
    away(city)
    found = []
    for number in (1, 2):
        people = {name: kit.request(number)[name] for name in ("applicant", "parties")}
        found.append(city.submit(other_case(10 + number, **people)).verification.id)
        city.work_off()
    city.sequence_all()
    assert [city.decisions(one)["licence"][0] for one in found] == ["exempt", "submit"]
