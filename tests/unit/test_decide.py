"""Decisions: HELD alone exempts, NOT_HELD ends the walk, UNKNOWN never does; unconfirmed rows do nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.answer import Answer, Finding, Outcome, Reason
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Mode, RowState
from broker.core.decide import Decision, Kind, advance
from broker.core.plan import Plan, plan
from tests.flow import catalogue
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER, SHOP
from tests.flow.strategies import TODAY, Asked, cases, edition, party, plain_request

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
REQUEST = plain_request(
    applicant=party("applicant", -1), parties=(party("legal_representative", 1),), item=SHOP, scene=None
)
Permits = dict[str, Permit | Refusal]


def finding(answer: Answer) -> Finding:
    return Finding(answer, "d" * 64, NOW, NOW)


def decided(
    found: Plan, request: Request, permits: Permits, answers: dict[str, Answer]
) -> tuple[dict[str, Decision], list[str]]:
    """Ask and answer until nothing is due; the decisions by need, and the keys in the order they were asked."""
    findings: dict[str, Finding] = {}
    asked: list[str] = []
    while True:
        progress = advance(found, request, permits, findings, TODAY)
        if not progress.due:
            return {one.need.key: one for one in progress.decisions}, asked
        assert not set(progress.due) & set(asked), "asked twice"
        asked += progress.due
        findings |= {key: finding(answers[key]) for key in progress.due}


def permitted(found: Plan) -> Permits:
    return {key: Permit("g") for key in found.lookups}


def truth(found: Plan) -> dict[str, Answer]:
    return {
        key: Answer(Reason.VALID, {"number": one.subject.number, "name": one.subject.name, "status": "正常",
                                   "valid_to": "长期", "address": "某路", "match": "一致"})
        for key, one in found.lookups.items()
    }  # fmt: skip


@st.composite
def walks(draw: st.DrawFn) -> tuple[Plan, Request, Permits, dict[str, Answer]]:
    """A plan, with permits and answers of any kind."""
    asked: Asked = draw(cases())
    found = plan(edition(asked.document), asked.request, TODAY)
    either: list[Permit | Refusal] = [Permit("g"), Permit("g"), Refusal("grant.none")]
    permits: Permits = {key: draw(st.sampled_from(either)) for key in found.lookups}
    reasons = st.one_of(st.just(Reason.VALID), st.sampled_from(list(Reason)))
    answers = {
        key: replace(right, reason=draw(reasons)) if draw(st.booleans()) else Answer(draw(reasons))
        for key, right in truth(found).items()
    }
    return found, asked.request, permits, answers


@given(walks())
def test_nothing_is_exempt_without_held_and_nothing_not_met_without_a_fact(walk: Any) -> None:
    decisions, _ = decided(*walk)
    for one in decisions.values():
        if one.kind is Kind.EXEMPT:
            assert one.last.finding is not None
            assert one.last.finding.answer.outcome is Outcome.HELD
            assert one.last.reason == Reason.VALID
        if one.kind is Kind.NOT_MET:
            assert one.last.finding is not None
            assert one.last.reason.startswith("not_held.")


@given(walks())
def test_every_need_gets_one_decision_and_the_walk_follows_the_chain(walk: Any) -> None:
    found, *_ = walk
    decisions, _ = decided(*walk)
    assert list(decisions) == [need.key for need in found.needs]
    for one in decisions.values():
        chain = [step.mode for step in one.need.material.chain]
        rest = iter(chain)
        tried = [step.mode for step in one.steps if step.mode is not Mode.SUBMISSION]
        assert all(mode in rest for mode in tried), "steps out of the chain's order"


@given(walks())
def test_before_the_last_step_there_is_only_unknown(walk: Any) -> None:
    """HELD and NOT_HELD end the walk where they stand; UNKNOWN never ends it."""
    decisions, _ = decided(*walk)
    for one in decisions.values():
        for step in one.steps[:-1]:
            assert step.finding is None or step.reason.startswith("unknown.")
        if one.kind in {Kind.SUBMIT, Kind.FALLBACK}:
            assert all(not step.reason.startswith(("held.", "not_held.")) for step in one.steps)
            assert one.mode in {Mode.SUBMISSION, Mode.COMMITMENT, Mode.DEPARTMENT_CHECK, Mode.SCENE_RESULT}


@given(walks())
def test_proposed_rows_and_refused_lookups_are_not_asked_and_exempt_nothing(walk: Any) -> None:
    found, request, permits, answers = walk
    decisions, asked = decided(found, request, permits, answers)
    assert all(isinstance(permits[key], Permit) for key in asked)
    for one in decisions.values():
        position = -1
        for step in one.steps:
            if step.mode is Mode.SUBMISSION:
                break
            position = next(
                place
                for place, row in enumerate(one.need.material.chain)
                if place > position and row.mode is step.mode and (row.source or "") == step.source
            )
            row = one.need.material.chain[position]
            if row.state is RowState.PROPOSED:
                assert step.finding is None


@given(walks())
def test_where_every_answer_is_unknown_nothing_is_exempt_and_nothing_refused(walk: Any) -> None:
    found, request, permits, answers = walk
    unknown = {key: Answer(Reason.NOT_FOUND) for key in answers}
    decisions, _ = decided(found, request, permits, unknown)
    assert {one.kind for one in decisions.values()} <= {Kind.SUBMIT, Kind.FALLBACK}


@given(walks(), st.integers())
def test_the_same_inputs_give_the_same_decisions_in_whatever_order_answers_came(walk: Any, seed: int) -> None:
    found, request, permits, answers = walk
    first, asked = decided(found, request, permits, answers)
    shuffled = random.Random(seed).sample(asked, len(asked))
    again = advance(found, request, permits, {key: finding(answers[key]) for key in shuffled}, TODAY)
    assert again.due == ()
    assert {one.need.key: one for one in again.decisions} == first


@given(walks())
def test_no_more_is_asked_than_needed(walk: Any) -> None:
    """A lookup that was asked stands in some need's steps, with its finding."""
    found, request, permits, answers = walk
    decisions, asked = decided(found, request, permits, answers)
    used = {(step.source, step.form) for one in decisions.values() for step in one.steps if step.finding is not None}
    assert {(found.lookups[key].source, found.lookups[key].form.value) for key in asked} == used


# --- by example -------------------------------------------------------------------------------------------------------

SHOP_PLAN = plan(edition(catalogue.document()), REQUEST, TODAY)


def kinds(changes: dict[str, Answer], permits: Permits | None = None) -> dict[str, tuple[Kind, str]]:
    by_source = {one.source: key for key, one in SHOP_PLAN.lookups.items()}
    answers = truth(SHOP_PLAN) | {by_source[source]: answer for source, answer in changes.items()}
    decisions, _ = decided(SHOP_PLAN, REQUEST, permits or permitted(SHOP_PLAN), answers)
    return {key: (one.kind, one.last.reason) for key, one in decisions.items()}


def test_whatever_is_held_is_exempt_and_what_nobody_has_is_submitted() -> None:
    assert kinds({}) == {
        "identity@legal_representative": (Kind.EXEMPT, "held.valid"),
        "licence": (Kind.EXEMPT, "held.valid"),
        "premises": (Kind.EXEMPT, "held.valid"),
        "form": (Kind.SUBMIT, "submit.no-source"),
    }


def test_a_revoked_licence_is_not_healed_by_the_register() -> None:
    assert kinds({LICENCES: Answer(Reason.REVOKED)})["licence"] == (Kind.NOT_MET, "not_held.revoked")


def test_a_commitment_replaces_what_no_source_knows_and_names_its_text() -> None:
    decisions, _ = decided(
        SHOP_PLAN, REQUEST, permitted(SHOP_PLAN), dict.fromkeys(SHOP_PLAN.lookups, Answer(Reason.LATE))
    )
    premises = decisions["premises"]
    assert (premises.kind, premises.mode, premises.detail) == (Kind.FALLBACK, Mode.COMMITMENT, "premises/2")
    assert [step.reason for step in premises.steps] == ["unknown.late", "fallback.commitment"]


def test_a_refused_lookup_stands_in_the_steps_by_its_rule() -> None:
    permits: Permits = {
        key: Refusal("grant.expired") if one.source == POPULATION else Permit("g")
        for key, one in SHOP_PLAN.lookups.items()
    }
    decisions, asked = decided(SHOP_PLAN, REQUEST, permits, truth(SHOP_PLAN))
    identity = decisions["identity@legal_representative"]
    assert [step.reason for step in identity.steps] == ["grant.expired", "submit.last-step"]
    assert not [key for key in asked if key.startswith(POPULATION)]


def test_a_step_for_somebody_the_request_does_not_name_is_insufficient() -> None:
    request = replace(REQUEST, parties=())
    found = plan(edition(catalogue.document()), request, TODAY)
    decisions, _ = decided(found, request, permitted(found), truth(found))
    identity = decisions["identity@legal_representative"]
    assert (identity.kind, identity.steps[0].reason) == (Kind.SUBMIT, "unknown.insufficient")


@pytest.mark.parametrize(("item", "kind"), [(SHOP, Kind.FALLBACK), ("somewhere-else", Kind.SUBMIT)])
def test_the_result_of_an_item_replaces_a_material_only_where_the_item_is_part_of_the_request(
    item: str, kind: Kind
) -> None:
    document = catalogue.document()
    document["materials"]["licence"]["chain"] = [{"mode": "scene_result", "item": item}, {"mode": "submission"}]
    request = replace(REQUEST, item=None, scene=catalogue.SCENE)
    found = plan(edition(document), request, TODAY)
    decisions, _ = decided(found, request, permitted(found), truth(found))
    assert decisions["licence"].kind is kind


def test_nothing_after_submission_is_tried() -> None:
    document = catalogue.document()
    document["materials"]["licence"]["chain"].insert(0, {"mode": "submission"})
    found = plan(edition(document), REQUEST, TODAY)
    decisions, _ = decided(found, REQUEST, permitted(found), truth(found))
    assert [step.reason for step in decisions["licence"].steps] == ["submit.no-source"]


def test_one_lookup_serves_two_materials_each_with_its_own_expectations() -> None:
    """The register knows the company under another name: the licence is contradicted, the premises are proven."""
    other = Answer(Reason.VALID, {"number": REQUEST.applicant.number, "name": "别的公司", "address": "某路"})
    found = kinds({LICENCES: Answer(Reason.NOT_FOUND), REGISTER: other})
    assert found["licence"] == (Kind.NOT_MET, "not_held.mismatch")
    assert found["premises"] == (Kind.EXEMPT, "held.valid")
