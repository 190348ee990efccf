"""Decisions: HELD alone exempts, NOT_HELD ends the walk, UNKNOWN never does; unconfirmed rows do nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.answer import Answer, Awaited, Finding, Outcome, Reason, Wait
from broker.core.authorise import Permit, Refusal
from broker.core.case import Request
from broker.core.catalog import Mode, RowState
from broker.core.decide import Decision, Kind, Progress, Tried, advance
from broker.core.plan import Plan, plan
from tests.flow import catalogue
from tests.flow.catalogue import LICENCES, POPULATION, REGISTER, SHOP
from tests.flow.strategies import TODAY, Asked, cases, edition, party, plain_request

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
REQUEST = plain_request(
    applicant=party("applicant", -1), parties=(party("legal_representative", 1),), item=SHOP, scene=None
)
Permits = dict[str, Permit | Refusal]
WAIT = Wait(Awaited.DEPARTMENT, NOW + timedelta(days=3))


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


@given(walks(), st.data())
def test_a_wait_holds_up_the_materials_that_need_its_answer_and_no_other(walk: Any, data: st.DataObject) -> None:
    found, request, permits, answers = walk
    whole, asked = decided(*walk)
    late = {key for key in asked if data.draw(st.booleans())}
    findings = {key: finding(answers[key]) for key in asked}
    before = {key: one for key, one in findings.items() if key not in late}
    meanwhile = advance(found, request, permits, before, TODAY, dict.fromkeys(late, WAIT))
    assert meanwhile.due == ()
    assert [one.need.key for one in meanwhile.decisions] == list(whole)
    for one in meanwhile.decisions:
        if one.kind is Kind.PENDING:
            assert one.steps[:-1] == whole[one.need.key].steps[: len(one.steps) - 1]
            assert (one.last.reason, one.last.finding, one.until) == (WAIT.awaited, None, WAIT.until)
        else:
            assert one == whole[one.need.key]
    assert meanwhile.pending == bool(late)
    answered = advance(found, request, permits, findings, TODAY, dict.fromkeys(asked, WAIT))
    assert (answered.decisions, answered.pending) == (tuple(whole.values()), False), "an answer ends its wait"


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
    """The register writes the company's name otherwise: that proves no licence, and the premises are proven."""
    other = Answer(Reason.VALID, {"number": REQUEST.applicant.number, "name": "别的公司", "address": "某路"})
    found = kinds({LICENCES: Answer(Reason.NOT_FOUND), REGISTER: other})
    assert found["licence"] == (Kind.SUBMIT, "submit.last-step")
    assert found["premises"] == (Kind.EXEMPT, "held.valid")


# --- one material, one chain: what each step leaves behind ------------------------------------------------------------

CERTIFICATE = catalogue.document()["materials"]["licence"]["chain"][0]
CERTIFICATE["expect"].append({"field": "name", "op": "equals", "to": "applicant.name"})
REUSE = CERTIFICATE | {"mode": "reuse"}
CHECK = {"mode": "department_check", "source": REGISTER, "form": "query", "fields": ["name"], "unit": "市监局"}
COMMITMENT = {"mode": "commitment", "text": "licence/2"}
PAPER = {"mode": "submission"}
KEY = f"{LICENCES}:query:applicant"
APPLICANT = {"number": REQUEST.applicant.number, "name": REQUEST.applicant.name}
HELD = finding(Answer(Reason.VALID, APPLICANT | {"status": "正常", "valid_to": "长期"}))


def advanced(*chain: dict[str, Any], permit: Permit | Refusal | None = None, **known: Any) -> Progress:
    """How far the licence's chain carries; ``signed`` is the commitment the applicant signed for it."""
    document = catalogue.document()
    document["materials"]["licence"]["chain"] = list(chain)
    signed = known.pop("signed", None)
    request = replace(REQUEST, materials=("licence",), commitments={"licence": signed} if signed else {})
    found = plan(edition(document), request, TODAY)
    permits = dict.fromkeys(found.lookups, permit or Permit("g"))
    return advance(found, request, permits, known.pop("findings", {}), TODAY, **known)


def settled(*chain: dict[str, Any], **known: Any) -> tuple[Kind, Mode, tuple[Tried, ...], str, datetime | None]:
    """The one decision: its kind, mode, steps, detail and term."""
    progress = advanced(*chain, **known)
    (one,) = progress.decisions
    assert (progress.due, progress.wanted, one.need.key) == ((), (), "licence")
    return one.kind, one.mode, one.steps, one.detail, one.until


def certificate(reason: str, found: Finding | None = None, mode: Mode = Mode.CERTIFICATE) -> Tried:
    return Tried(mode, reason, LICENCES, "query", found)


def test_a_step_that_was_answered_is_told_with_its_source_form_and_finding() -> None:
    assert advanced(CERTIFICATE, PAPER) == Progress((KEY,), ())
    steps = (certificate("held.valid", HELD),)
    assert settled(CERTIFICATE, PAPER, findings={KEY: HELD}) == (Kind.EXEMPT, Mode.CERTIFICATE, steps, "", None)


@pytest.mark.parametrize(
    ("step", "permit", "told"),
    [
        (CERTIFICATE | {"related": "spouse"}, None, certificate("unknown.insufficient")),
        (CERTIFICATE | {"state": "proposed"}, None, certificate("unknown.proposed")),
        (CERTIFICATE, Refusal("grant.expired"), certificate("grant.expired")),
        (REUSE, Refusal("grant.expired"), certificate("grant.expired", mode=Mode.REUSE)),
        (REUSE | {"state": "proposed"}, None, certificate("unknown.proposed", mode=Mode.REUSE)),
        ({"mode": "reuse"}, None, Tried(Mode.REUSE, "unknown.insufficient")),  # of which source, the row does not say
    ],
)
def test_a_step_that_cannot_be_taken_asks_nobody_and_says_why(
    step: dict[str, Any], permit: Refusal | None, told: Tried
) -> None:
    """Even where an answer lies ready: one that another row of the list asked for does not count for this one."""
    steps = (told, Tried(Mode.SUBMISSION, "submit.last-step"))
    ready: dict[str, Any] = {"findings": {KEY: HELD}, "earlier": {KEY: HELD}, "waits": {KEY: WAIT}}
    assert settled(step, PAPER, permit=permit, **ready) == (Kind.SUBMIT, Mode.SUBMISSION, steps, "", None)


def test_earlier_evidence_is_wanted_before_anybody_is_asked() -> None:
    """Neither an answer of this verification nor a wait for one stands for it."""
    wanted = Progress((), (), (KEY,))
    assert advanced(REUSE, CERTIFICATE) == wanted
    assert advanced(REUSE, CERTIFICATE, findings={KEY: HELD}, waits={KEY: WAIT}) == wanted
    assert advanced(REUSE, CERTIFICATE, earlier={KEY: None}) == Progress((KEY,), ())


def test_where_nothing_earlier_can_be_used_the_chain_goes_on() -> None:
    steps = (certificate("unknown.no-earlier-evidence", mode=Mode.REUSE), certificate("held.valid", HELD))
    ended = settled(REUSE, CERTIFICATE, findings={KEY: HELD}, earlier={KEY: None})
    assert ended == (Kind.EXEMPT, Mode.CERTIFICATE, steps, "", None)


@pytest.mark.parametrize(
    ("answer", "kind", "mode", "reasons"),
    [
        (HELD.answer, Kind.EXEMPT, Mode.REUSE, ["held.valid"]),
        (replace(HELD.answer, reason=Reason.REVOKED), Kind.NOT_MET, Mode.REUSE, ["not_held.revoked"]),
        (Answer(Reason.VALID, {"number": "别人"}), Kind.NOT_MET, Mode.REUSE, ["not_held.mismatch"]),
        (Answer(Reason.VALID), Kind.SUBMIT, Mode.SUBMISSION, ["unknown.malformed", "submit.last-step"]),
    ],
)
def test_earlier_evidence_is_judged_as_an_answer_of_today_is(
    answer: Answer, kind: Kind, mode: Mode, reasons: list[str]
) -> None:
    earlier = replace(finding(answer), origin="v-1")
    found_kind, found_mode, steps, *_ = settled(REUSE, PAPER, earlier={KEY: earlier})
    assert (found_kind, found_mode, [one.reason for one in steps]) == (kind, mode, reasons)
    assert steps[0] == certificate(reasons[0], earlier, Mode.REUSE)


def test_a_material_whose_answer_comes_later_is_pending_until_its_term() -> None:
    """What went before stays told; the unit that checks is named; what follows in the chain is not tried."""
    late = finding(Answer(Reason.LATE))
    waits = {f"{REGISTER}:query:applicant": WAIT}
    told = (
        certificate("unknown.late", late),
        Tried(Mode.DEPARTMENT_CHECK, "pending.department_check", REGISTER, "query"),
    )
    ended = settled(CERTIFICATE, CHECK, COMMITMENT, findings={KEY: late}, waits=waits)
    assert ended == (Kind.PENDING, Mode.DEPARTMENT_CHECK, told, "市监局", WAIT.until)


@pytest.mark.parametrize(
    ("signed", "reasons"),
    [
        (None, ["fallback.commitment"]),
        ("licence/2", ["commitment.accepted"]),
        ("licence/1", ["commitment.other-text", "fallback.commitment"]),
    ],
)
def test_a_commitment_is_accepted_only_in_the_text_of_the_list(signed: str | None, reasons: list[str]) -> None:
    """In every case the material may be replaced by it; what was signed in another text does not count."""
    steps = tuple(Tried(Mode.COMMITMENT, reason) for reason in reasons)
    ended = (Kind.FALLBACK, Mode.COMMITMENT, steps, "licence/2", None)
    assert settled(COMMITMENT, PAPER, signed=signed) == ended


def test_a_signature_under_a_commitment_says_nothing_of_another_way() -> None:
    """A unit that answers outside the broker, and the result of an item that is part of the request."""
    check = {"mode": "department_check", "unit": "市监局"}
    told = (Tried(Mode.DEPARTMENT_CHECK, "fallback.department_check"),)
    ended = (Kind.FALLBACK, Mode.DEPARTMENT_CHECK, told, "市监局", None)
    assert settled(check, COMMITMENT, signed="licence/1") == ended
    result = {"mode": "scene_result", "item": SHOP, "source": LICENCES}
    told = (Tried(Mode.SCENE_RESULT, "fallback.scene_result", LICENCES),)
    assert settled(result, signed="licence/1") == (Kind.FALLBACK, Mode.SCENE_RESULT, told, SHOP, None)


def test_a_way_that_is_only_proposed_is_not_offered() -> None:
    paper = (Kind.SUBMIT, Mode.SUBMISSION, (Tried(Mode.SUBMISSION, "submit.no-source"),), "", None)
    for step in (COMMITMENT, {"mode": "department_check"}, {"mode": "scene_result", "item": SHOP}):
        assert settled(step | {"state": "proposed"}, signed="licence/2") == paper
