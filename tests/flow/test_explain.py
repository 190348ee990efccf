"""Explanations: held against the log and the receipt, for every way in which a lookup or a chain can end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from broker.core.answer import Reason
from broker.core.errors import CallerProblem
from broker.core.explain import explanation_text, refusals_text
from broker.core.problems import PROBLEMS
from broker.flow import register
from broker.flow.explain import explain_as, refusals_as
from tests.flow import kit
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER
from tests.flow.kit import Broker, just

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "explanation.schema.json").read_text("utf-8"))
IDENTITY = "identity@legal_representative"
ON_SQLITE = pytest.mark.parametrize("store", ["sqlite"], indirect=True)  # where the database makes no difference


def explained(broker: Broker, number: str) -> dict[str, Any]:
    """The explanation, which keeps to its schema and says nothing about a person, in both languages."""
    told = explain_as(broker.parts, number, "审计员")
    jsonschema_rs.validator_for(SCHEMA).validate(told)
    for text in (json.dumps(told, ensure_ascii=False), *(explanation_text(told, lang) for lang in ("zh", "en"))):
        assert kit.citizen(1) not in text
        assert kit.company(1) not in text
    return told


def by_source(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The lookups by their source."""
    return {one["source"]: one for one in told["lookups"]}


def test_every_lookup_names_grant_rows_time_outcome_digest_and_places(broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    told = explained(broker, number)
    for one in told["lookups"]:
        assert (one["state"], one["attempts"], one["rule"]) == ("answered", 1, None)
        assert one["grant"]["id"] == f"g-{one['source']}"
        places = {place: broker.entries()[place] for place in one["entries"]}
        assert [entry["kind"] for entry in places.values()] == ["asked", "answered"]
        asked, answered = places.values()
        assert (one["asked_at"], one["answered_at"]) == (asked["at"], answered["at"])
        assert (one["answer"], one["reason"]) == (answered["answer"], answered["reason"])
    assert by_source(told)[POPULATION]["rows"] == [{"material": IDENTITY, "step": 1}]
    sends = [{"material": "licence", "step": 2}, {"material": "premises", "step": 1}]
    assert by_source(told)[REGISTER]["rows"] == sends
    receipt = broker.receipt(number)["materials"]
    assert [(one["material"], one["holder"], one["decision"]) for one in told["materials"]] == [
        (one["material"], one["holder"], one["decision"]) for one in receipt
    ]
    whose = "材料 身份证明 · 法定代表人（负责人）：免提交"
    assert whose in explanation_text(told, "zh"), "each person's papers are told apart"
    assert broker.entries("explained")[0]["by"] == "审计员"


@ON_SQLITE
def test_a_chain_is_told_row_by_row_with_what_ended_it(broker: Broker) -> None:
    broker.sources.script = {LICENCES: just(Reason.NOT_FOUND), REGISTER: just(Reason.SOURCE_DOWN)}
    number = broker.admit(1)
    broker.finish()
    told = {one["material"]: one for one in explained(broker, number)["materials"]}
    assert [(one["row"], one["reason"]) for one in told["licence"]["steps"]] == [
        (1, "unknown.not-found"), (2, "unknown.source-down"), (3, "submit.last-step"),
    ]  # fmt: skip
    assert told["licence"]["ended_by"] == 3
    assert [(one["row"], one["reason"]) for one in told["premises"]["steps"]] == [
        (1, "unknown.source-down"), (2, "fallback.commitment"),
    ]  # fmt: skip


@ON_SQLITE
def test_a_refused_lookup_names_the_rule_in_words(broker: Broker) -> None:
    register.set_grant_state(broker.parts, f"g-{POPULATION}", "suspended")
    number = broker.admit(1)
    broker.finish()
    one = by_source(explained(broker, number))[POPULATION]
    assert (one["state"], one["rule"], one["grant"], one["attempts"]) == ("refused", "grant.suspended", None, 0)
    assert one["text"]["zh"] == PROBLEMS["grant.suspended"].zh


@ON_SQLITE
def test_a_lookup_stopped_later_names_both_its_grant_and_the_rule(broker: Broker) -> None:
    number = broker.admit(1)
    register.set_grant_state(broker.parts, f"g-{POPULATION}", "revoked")
    broker.finish()
    one = by_source(explained(broker, number))[POPULATION]
    assert (one["state"], one["rule"], one["grant"]["id"]) == ("stopped", "grant.revoked", f"g-{POPULATION}")
    assert one["attempts"] == 0
    assert [broker.entries()[place]["kind"] for place in one["entries"]] == ["stopped"]


@ON_SQLITE
def test_a_lookup_that_no_chain_came_to_was_not_needed(broker: Broker) -> None:
    number = broker.admit(1, materials=["licence"])
    broker.finish()
    one = by_source(explained(broker, number))[REGISTER]
    assert (one["state"], one["entries"]) == ("not_needed", [])


@ON_SQLITE
def test_what_is_not_decided_yet_is_explained_as_far_as_it_is(broker: Broker) -> None:
    told = explained(broker, broker.admit(1))
    assert told["materials"] == []
    assert by_source(told)[LICENCES]["state"] == "due"
    broker.finish()


def test_it_explains_as_well_when_the_cases_key_is_gone(broker: Broker) -> None:
    number = broker.admit(1)
    broker.finish()
    before = explained(broker, number)
    broker.sequence_all()
    broker.execute("UPDATE case_file SET wrapped_key = :none", none=b"")
    after = explained(broker, number)
    assert {name: value for name, value in after.items() if name != "entries"} == {
        name: value for name, value in before.items() if name != "entries"
    }
    assert [one["kind"] for one in after["entries"]][-1] == "explained"


@ON_SQLITE
def test_without_its_entry_nothing_is_explained(broker: Broker) -> None:
    number = broker.admit(1)
    broker.store.refuse = lambda kind: kind == "explained"
    with pytest.raises(kit.Crash):
        explain_as(broker.parts, number, "审计员")
    broker.store.refuse = lambda kind: False
    broker.finish()


@ON_SQLITE
def test_a_refused_request_says_which_lookup_had_no_grant(broker: Broker) -> None:
    register.set_grant_state(broker.parts, f"g-{POPULATION}", "revoked")
    assert broker.refused(kit.request(1, materials=[IDENTITY])).code == "grant.revoked"
    broker.refused(kit.request(1, materials=["none"]))
    broker.finish()
    barred, unplanned = refusals_as(broker.parts, "r1", "审计员")
    assert (barred["code"], barred["case"], barred["client"]) == ("grant.revoked", "case-1", kit.CLIENT)
    assert broker.entries()[barred["position"]]["kind"] == "refused"
    assert {(one["source"], one["rule"]) for one in barred["lookups"]} == {(POPULATION, "grant.revoked")}
    assert unplanned["lookups"] == []
    told = refusals_text([barred, unplanned], "zh")
    assert "授权已被撤销" in told
    assert kit.citizen(1) not in told
    assert broker.entries("explained")[-1]["refusal"] == "r1"
    before = broker.contents()
    with pytest.raises(CallerProblem, match="refusal.unknown"):
        refusals_as(broker.parts, "r2", "审计员")
    assert broker.contents() == before
