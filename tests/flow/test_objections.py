"""Objections to data: who may do what, what a mark means for decisions, and what follows from a correction."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.core.answer import Reason
from broker.core.envelope import unb64
from broker.core.errors import CallerProblem
from broker.core.grammar import Grammar
from broker.core.objection import Objection, ObjectionAct, ObjectionState
from broker.flow import objections as steps
from broker.flow import register
from broker.flow.deliver import deliver
from broker.flow.objections import Doubt, Reader
from broker.ports import Client
from tests.flow import catalogue, kit
from tests.flow.kit import Broker

SCHEMA = Path(__file__).parents[2] / "schemas" / "objection.schema.json"
WORDS = "执照已于上月换发，张某1 有新照"


def doubt(verification: str, **changes: str) -> Doubt:
    made = Doubt(verification, "licence", catalogue.LICENCES, WORDS, "op1", kit.UNIT)
    return replace(made, **changes)


def anybody(_objection: Objection, _authority: str) -> bool:
    return True


def do(broker: Broker, one: Objection, what: ObjectionAct, by: str = "sjj-1", words: str = "已核") -> Objection:
    return steps.act(broker.parts, one.id, what, by, words, anybody)


@pytest.fixture
def raised(broker: Broker) -> Objection:
    """An objection to the licence that the first case rests on."""
    number = broker.admit(1)
    broker.work_off()
    return steps.raise_objection(broker.parts, doubt(number))


def corrected(broker: Broker, one: Objection) -> Objection:
    do(broker, one, ObjectionAct.ACCEPT)
    do(broker, one, ObjectionAct.FIND_WRONG, "sjj-1")
    return do(broker, one, ObjectionAct.CORRECT, "sjj-2")


def refused(code: str, act: Callable[[], object]) -> None:
    with pytest.raises(CallerProblem) as caught:
        act()
    assert caught.value.code == code


def again(broker: Broker, number: int = 1) -> str:
    """The same case asks once more."""
    verification = broker.admit(number, request_id=f"again-{number}")
    broker.work_off()
    return verification


def test_a_marked_record_neither_exempts_nor_refuses_until_it_is_verified(broker: Broker, raised: Objection) -> None:
    assert broker.decisions(again(broker))["licence"] == ("exempt", "held.valid"), "raised alone marks nothing"
    do(broker, raised, ObjectionAct.ACCEPT)
    number = broker.submit(kit.request(1, request_id="marked")).verification.id
    broker.work_off()
    licence = next(one for one in broker.receipt(number)["materials"] if one["material"] == "licence")
    assert [one["reason"] for one in licence["steps"]] == ["unknown.objected", "held.valid"], "the chain goes on"
    assert licence["steps"][0]["digest"], "it was answered all the same, and what was answered is proven"
    other = broker.admit(2)
    broker.work_off()
    assert broker.decisions(other)["licence"] == ("exempt", "held.valid"), "others' records are not concerned"
    do(broker, raised, ObjectionAct.FIND_RIGHT)
    do(broker, raised, ObjectionAct.UNMARK, "sjj-2")
    number = broker.submit(kit.request(1, request_id="unmarked")).verification.id
    broker.work_off()
    assert len(next(one for one in broker.receipt(number)["materials"] if one["material"] == "licence")["steps"]) == 1
    closed = do(broker, raised, ObjectionAct.CLOSE)
    assert (closed.state, closed.marked, closed.corrected_at) == (ObjectionState.CLOSED, False, None)
    broker.finish()


def test_a_mark_also_holds_back_a_business_fact(broker: Broker, raised: Objection) -> None:
    """Disputed data must not refuse anybody either."""
    do(broker, raised, ObjectionAct.ACCEPT)
    broker.sources.script[catalogue.LICENCES] = kit.just(Reason.REVOKED)
    number = again(broker)
    assert broker.decisions(number)["licence"] == ("exempt", "held.valid"), "by the second source"
    broker.check()


def test_a_correction_reopens_the_decisions_and_tells_their_system(broker: Broker, raised: Objection) -> None:
    broker.execute("UPDATE client SET callback_url = 'https://approvals.example/callback'")
    broker.parts._policy = None
    told: list[dict[str, Any]] = []

    def post(_url: str, body: bytes) -> int:
        told.append(json.loads(body))
        return 200

    broker.parts.post = post
    other = broker.admit(2)
    broker.work_off()
    moved = corrected(broker, raised)
    assert moved.corrected_at is not None
    reopened = broker.entries("decision_reopened")
    assert [one["verification"] for one in reopened] == [raised.verification]
    assert other not in {one["verification"] for one in reopened}
    while deliver(broker.parts):
        pass
    [notice] = [one for one in told if one["state"] == "objection"]
    says = json.loads(unb64(notice["notice"].split(".")[1]))
    assert (notice["objection"], notice["verification"]) == (raised.id, raised.verification)
    schema = json.loads(SCHEMA.read_text("utf-8"))
    Grammar(schema | schema["$defs"]["notice"]).check(says)
    assert broker.verification(raised.verification).receipt, "the receipt stays as it is"
    broker.finish()


def test_evidence_from_before_a_correction_is_not_used_again(broker: Broker, raised: Objection) -> None:
    def found() -> int:
        with broker.parts.store.read() as work:
            since = work.pulse().now - timedelta(days=1)
            return len(work.evidence(raised.about, catalogue.LICENCES, f"g-{catalogue.LICENCES}", since))

    assert found() == 1
    do(broker, raised, ObjectionAct.ACCEPT)
    assert found() == 0, "marked"
    do(broker, raised, ObjectionAct.FIND_WRONG)
    do(broker, raised, ObjectionAct.CORRECT, "sjj-2")
    assert found() == 0, "corrected since"
    do(broker, raised, ObjectionAct.CLOSE)
    assert found() == 0
    again(broker)
    assert found() == 1, "what was answered afterwards counts"
    broker.check()


def test_nobody_decides_alone(broker: Broker, raised: Objection) -> None:
    """Who raised it handles nothing, and who verified does not lift the mark; a refusal changes nothing."""
    before = broker.contents()
    refused("objection.same-person", lambda: do(broker, raised, ObjectionAct.ACCEPT, "op1"))
    refused("objection.state", lambda: do(broker, raised, ObjectionAct.CORRECT))
    refused("objection.words", lambda: do(broker, raised, ObjectionAct.REFUSE, words=" "))
    refused("objection.unknown", lambda: steps.act(
        broker.parts, raised.id, ObjectionAct.ACCEPT, "x", "", lambda _o, _a: False))  # fmt: skip
    assert broker.contents() == before
    do(broker, raised, ObjectionAct.ACCEPT)
    do(broker, raised, ObjectionAct.FIND_WRONG, "sjj-1")
    refused("objection.same-person", lambda: do(broker, raised, ObjectionAct.CORRECT, "sjj-1"))
    do(broker, raised, ObjectionAct.CORRECT, "sjj-2")
    broker.check()


def test_only_an_answer_that_was_given_can_be_doubted_and_only_once(broker: Broker, raised: Objection) -> None:
    number = raised.verification
    refused("objection.nothing", lambda: steps.raise_objection(broker.parts, doubt(number, material="form")))
    refused("objection.nothing", lambda: steps.raise_objection(broker.parts, doubt(number, source="nowhere")))
    refused("objection.open", lambda: steps.raise_objection(broker.parts, doubt(number)))
    refused("objection.words", lambda: steps.raise_objection(broker.parts, doubt(number, words="")))
    stranger = doubt(number, source=catalogue.POPULATION, material="identity@legal_representative")
    refused("verification.unknown", lambda: steps.raise_objection(broker.parts, stranger, sees=lambda _: False))
    register.register_client(broker.parts, Client(kit.OTHER_CLIENT, "别的", kit.UNIT, None, "active"))
    other = kit.as_client(kit.OTHER_CLIENT)
    refused("verification.unknown", lambda: steps.raise_objection(broker.parts, stranger, identify=other))
    broker.check()


def test_words_are_sealed_and_each_step_is_an_entry(broker: Broker, raised: Objection) -> None:
    corrected(broker, raised)
    do(broker, raised, ObjectionAct.CLOSE)
    opened = steps.dossier(broker.parts, raised.id, Reader("sjj-1", frozenset({raised.owner})))
    assert [(one.act, one.by) for one in opened.words] == [
        ("raise", "op1"), ("accept", "sjj-1"), ("find_wrong", "sjj-1"), ("correct", "sjj-2"), ("close", "sjj-1"),
    ]  # fmt: skip
    assert opened.words[0].words == WORDS
    kinds = ("objection_raised", "record_marked", "objection_verified", "record_corrected", "objection_closed",
             "objection_viewed")  # fmt: skip
    assert [one["kind"] for one in broker.entries(*kinds)] == list(kinds)
    assert WORDS not in repr(opened)
    watched = steps.dossier(broker.parts, raised.id, Reader("a", watches=True))
    assert {one.words for one in watched.words} == {""}, "whoever only watches is shown no words"
    broker.check()  # I8: the words hold a name, and no table may


def test_what_nobody_handles_in_time_is_told_once(broker: Broker, raised: Objection) -> None:
    assert steps.remind_objections(broker.parts) == 0
    broker.execute("UPDATE objection SET due_at = 1")
    assert [one.id for one in steps.overdue_objections(broker.parts)] == [raised.id]
    assert (steps.remind_objections(broker.parts), steps.remind_objections(broker.parts)) == (1, 0)
    assert [one["objection"] for one in broker.entries("objection_overdue")] == [raised.id]
    do(broker, raised, ObjectionAct.ACCEPT)
    assert steps.overdue_objections(broker.parts) == []
    broker.check()


def test_a_department_sees_what_stands_with_it_however_much_is_over_elsewhere(
    broker: Broker, raised: Objection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that are over are cut, and only after whose they are has been looked at."""
    monkeypatch.setattr(steps, "ENDED_LISTED", 1)
    broker.execute("UPDATE objection SET due_at = 99999999999999")
    others = []
    for number in range(2, 6):
        verification = broker.admit(number)
        broker.work_off()
        others.append(steps.raise_objection(broker.parts, doubt(verification)))
    for one in others[2:]:
        do(broker, one, ObjectionAct.REFUSE)
    broker.execute("UPDATE objection SET source = 'x', owner = 'o', raised_unit = 'u' WHERE due_at < 99999999999999")
    theirs = [one.id for one in (*others[:2], others[3])]  # two that stand, and the latest that is over
    with broker.parts.store.read() as work:
        pulse = work.pulse()
        catalog = broker.parts.edition_in_force(work, broker.parts.policy(work, pulse), pulse.now).catalog
    name = catalog.sources[raised.source].authority["zh"]
    everything, nobody = [*theirs[:2], raised.id, theirs[2]], frozenset({"nobody"})
    seen = {
        "by name": Reader("s", departments=frozenset({name})),
        "by code": Reader("s", frozenset({raised.owner})),
        "by its clerks": Reader("c", units=frozenset({raised.raised_unit})),
        "another": Reader("s", frozenset({"o"})),
        "all": Reader("a", watches=True),
        "a clerk of all bodies": Reader("c", units=None),
        "nobody": Reader("n", nobody, nobody, nobody),
    }
    pages = {who: [steps.mine(broker.parts, reader, skip, 2) for skip in (0, 2, 4)] for who, reader in seen.items()}
    older = others[2].id  # a page shows those that are over as well, the latest first, to the last
    everything.append(older)
    theirs.append(older)
    assert {who: [one.id for page in found for one in page.objections] for who, found in pages.items()} == {
        "by name": [raised.id], "by code": [raised.id], "by its clerks": [raised.id], "another": theirs,
        "all": everything, "a clerk of all bodies": everything, "nobody": [],
    }  # fmt: skip
    assert [page.further for page in pages["all"]] == [True, True, False]
    assert [one.id for one in steps.list_objections(broker.parts)] == everything[:-1]
    broker.check()


@pytest.mark.parametrize("fault", ["before", "after"])
def test_an_act_happens_whole_or_not_at_all(broker: Broker, raised: Objection, fault: str) -> None:
    do(broker, raised, ObjectionAct.ACCEPT)
    do(broker, raised, ObjectionAct.FIND_WRONG)
    broker.store.fault = fault
    with pytest.raises(kit.Crash):
        do(broker, raised, ObjectionAct.CORRECT, "sjj-2")
    broker.check()
    if fault == "before":
        do(broker, raised, ObjectionAct.CORRECT, "sjj-2")
    else:
        refused("objection.state", lambda: do(broker, raised, ObjectionAct.CORRECT, "sjj-2"))
    assert len(broker.entries("record_corrected")) == 1
    broker.finish()
