"""Plans: every applicable material once, every question once, whatever the order of items and parties."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.catalog import Mode, Requirement, RowState
from broker.core.errors import CallerProblem
from broker.core.plan import LeftOut, Plan, lookup_of, plan, question
from tests.flow import catalogue, kit
from tests.flow.catalogue import KIOSK, KITCHEN, LICENCES, POPULATION, REGISTER, SCENE, SHOP
from tests.flow.strategies import ITEMS, TODAY, Asked, cases, edition, party, plain_request

SHOP_REQUEST = plain_request(
    applicant=party("applicant", -1), parties=(party("legal_representative", 1),), item=SHOP, scene=None
)
SCENE_REQUEST = replace(SHOP_REQUEST, item=None, scene=SCENE)


def planned(asked: Asked) -> Plan:
    return plan(edition(asked.document), asked.request, TODAY)


def applies(need: dict[str, Any], asked: Asked) -> bool:
    when, request = need["when"], asked.request
    if "party" in when and when["party"] not in {one.role for one in request.parties}:
        return False
    if "applicant" in when and (when["applicant"] == "organisation") != (request.applicant.id_type == "001"):
        return False
    return not ("fact" in when and request.facts.get(when["fact"], when["is"]) != when["is"])


def wanted_items(asked: Asked) -> list[str]:
    return ITEMS if asked.request.scene else [asked.request.item or ""]


@given(cases())
def test_every_applicable_material_of_every_holder_stands_in_the_plan_exactly_once(asked: Asked) -> None:
    expected: dict[str, tuple[bool, list[str]]] = {}
    for item in wanted_items(asked):
        for need in asked.document["items"][item]["materials"]:
            if applies(need, asked):
                key = need["material"] if need["holder"] == "applicant" else f"{need['material']}@{need['holder']}"
                needed, items = expected.get(key, (False, []))
                expected[key] = (needed or need["needed"], [*items, item])
    found = planned(asked)
    assert {need.key: (need.needed, list(need.items)) for need in found.needs} == expected
    assert len(found.needs) == len(expected)
    for need in found.needs:
        assert need.holder == asked.request.party(need.role)


@given(cases())
def test_one_question_for_each_source_form_and_person_with_the_union_of_the_fields(asked: Asked) -> None:
    expected: dict[tuple[str, ...], set[str]] = {}
    found = planned(asked)
    for need in found.needs:
        for step in need.material.chain:
            related = asked.request.party(step.related) if step.related else None
            if (
                step.mode in {Mode.CERTIFICATE, Mode.DATA_QUERY, Mode.DATA_VERIFY}
                and step.state is RowState.CONFIRMED
                and need.holder is not None
                and (related is not None or not step.related)
            ):
                about = (str(step.source), str(step.form), need.holder.subject, related.subject if related else "")
                expected.setdefault(about, set()).update(step.fields)
    lookups = {
        (one.source, one.form.value, one.subject.subject, one.related.subject if one.related else ""): set(one.fields)
        for one in found.lookups.values()
    }
    assert lookups == expected
    assert len(found.lookups) == len(expected)
    assert all(key == one.key for key, one in found.lookups.items())


@given(cases(), st.data())
def test_the_order_of_items_and_parties_does_not_matter(asked: Asked, data: st.DataObject) -> None:
    items = data.draw(st.permutations(list(asked.document["items"].items())))
    parties = tuple(data.draw(st.permutations(asked.request.parties)))
    other = planned(Asked(asked.document | {"items": dict(items)}, replace(asked.request, parties=parties)))
    found = planned(asked)
    assert {(one.key, one.needed, frozenset(one.items)) for one in other.needs} == {
        (one.key, one.needed, frozenset(one.items)) for one in found.needs
    }
    assert sorted(
        (one.source, one.form, one.subject.subject, sorted(one.fields)) for one in other.lookups.values()
    ) == (sorted((one.source, one.form, one.subject.subject, sorted(one.fields)) for one in found.lookups.values()))


@given(cases())
def test_a_plan_is_a_function_of_edition_request_and_day(asked: Asked) -> None:
    assert planned(asked) == planned(asked)


@given(cases(), st.data())
def test_a_subset_of_materials_is_planned_as_in_the_whole_and_asks_for_nothing_else(
    asked: Asked, data: st.DataObject
) -> None:
    whole = planned(asked)
    keys = [need.key for need in whole.needs]
    if keys:
        chosen = data.draw(st.lists(st.sampled_from(keys), min_size=1, unique=True))
        part = plan(edition(asked.document), replace(asked.request, materials=tuple(chosen)), TODAY)
        assert part.needs == tuple(need for need in whole.needs if need.key in chosen)
        assert part.lookups.keys() <= whole.lookups.keys()
        assert {need for one in part.lookups.values() for need in one.needs} <= set(chosen)


def test_one_person_in_two_roles_is_asked_about_once() -> None:
    document = catalogue.document()
    document["items"][SHOP]["materials"] = [{"material": "identity"}, {"material": "identity", "holder": "spouse"}]
    request = plain_request(item=SHOP, scene=None, parties=(party("spouse", 1),))
    found = plan(edition(document), request, TODAY)
    assert [need.key for need in found.needs] == ["identity", "identity@spouse"]
    assert list(found.lookups) == [f"{POPULATION}:verify:applicant"]
    apart = replace(request, parties=(party("spouse", 2),))
    assert len(plan(edition(document), apart, TODAY).lookups) == 2


def test_a_scene_plans_its_items_together_and_no_other() -> None:
    found = plan(edition(catalogue.document()), SCENE_REQUEST, TODAY)
    assert [item.key for item in found.items] == [SHOP, KITCHEN]
    assert sorted(one.source for one in found.lookups.values()) == [LICENCES, POPULATION, REGISTER]
    (register,) = (one for one in found.lookups.values() if one.source == REGISTER)
    assert register.fields == ("number", "name", "address")
    assert register.needs == ("licence", "premises")


def test_a_step_for_a_person_whom_nobody_names_sends_nothing() -> None:
    request = replace(SHOP_REQUEST, parties=())
    found = plan(edition(catalogue.document()), request, TODAY)
    identity = next(need for need in found.needs if need.key == "identity@legal_representative")
    assert identity.holder is None
    assert lookup_of(identity.material.chain[0], identity, request) is None


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("request.region", {"region": "110000"}),
    ("request.item", {"item": "no-such"}),
    ("request.scene", {"item": None, "scene": "enterprise-9.9"}),
    ("request.role", {"parties": (party("uncle", 1),)}),
    ("request.material", {"materials": ("passport",)}),
    ("request.material", {"materials": ("licence@spouse",)}),
]


@pytest.mark.parametrize(("code", "changes"), REFUSED)
def test_what_the_list_does_not_know_is_refused_by_name(code: str, changes: dict[str, Any]) -> None:
    with pytest.raises(CallerProblem, match=code) as caught:
        plan(edition(catalogue.document()), replace(SHOP_REQUEST, **changes), TODAY)
    assert caught.value.pointer


# --- days and levels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "in_force"),
    [(date(2026, 5, 31), False), (date(2026, 6, 1), True), (date(2026, 8, 31), True), (date(2026, 9, 1), False)],
)
def test_an_item_is_planned_on_its_days_only(today: date, in_force: bool) -> None:
    document = catalogue.document()
    document["items"][SHOP]["effective"] = {"from": "2026-06-01", "to": "2026-08-31", "reason": "国发〔2026〕1号"}
    if in_force:
        assert plan(edition(document), SHOP_REQUEST, today).items
        return
    with pytest.raises(CallerProblem, match="request.item-not-in-force") as caught:
        plan(edition(document), SHOP_REQUEST, today)
    assert caught.value.expected == "国发〔2026〕1号"


def test_of_a_scene_what_is_abolished_or_decided_elsewhere_is_left_out_and_named() -> None:
    document = catalogue.document()
    document["items"][SHOP]["effective"] = {"to": "2026-06-30", "reason": "取消"}
    document["items"][KIOSK]["regions"][catalogue.REGION] |= {"scene": SCENE, "level": "national"}
    found = plan(edition(document), SCENE_REQUEST, TODAY)
    assert [item.key for item in found.items] == [KITCHEN]
    assert set(found.left_out) == {
        LeftOut(SHOP, "request.item-not-in-force"),
        LeftOut(KIOSK, "request.level"),
    }


def test_an_item_decided_at_another_level_is_refused() -> None:
    document = catalogue.document()
    document["items"][SHOP]["regions"][catalogue.REGION]["level"] = "province"
    with pytest.raises(CallerProblem, match="request.level") as caught:
        plan(edition(document), SHOP_REQUEST, TODAY)
    assert caught.value.expected == "province"


def test_a_requirement_is_asked_for_on_its_days_only() -> None:
    document = catalogue.document()
    document["items"][SHOP]["materials"][1]["effective"] = {"to": "2026-06-30"}
    assert "licence" not in [need.key for need in plan(edition(document), SHOP_REQUEST, TODAY).needs]
    assert "licence" in [need.key for need in plan(edition(document), SHOP_REQUEST, date(2026, 6, 30)).needs]


def test_a_fact_nobody_stated_counts_as_met() -> None:
    """Asking too much is mended by a clerk, asking too little is not."""
    document = catalogue.document()
    document["items"][SHOP]["materials"] = [{"material": "form", "when": {"fact": "rented", "is": True}}]
    for facts, there in (({}, True), ({"rented": True}, True), ({"rented": False}, False)):
        request = replace(SHOP_REQUEST, facts=facts, parties=())
        assert bool(plan(edition(document), request, TODAY).needs) is there


# --- the question -----------------------------------------------------------------------------------------------------


def test_a_question_carries_the_case_and_asks_for_the_planned_fields() -> None:
    found = plan(edition(catalogue.document()), SCENE_REQUEST, TODAY)
    lookup = next(one for one in found.lookups.values() if one.source == REGISTER)
    asked = question(found, lookup, "lookup-1", SCENE_REQUEST, "审批系统", edition(catalogue.document()).catalog)
    assert (asked.lookup_id, asked.source, asked.fields) == ("lookup-1", REGISTER, lookup.fields)
    assert asked.subject == SCENE_REQUEST.applicant
    assert asked.matter.case_number == "case-1"
    assert asked.matter.material_name == "营业执照、场所证明"
    assert asked.matter.reason == "办理开业（办件case-1）核验营业执照、场所证明"
    assert asked.matter.operator == SCENE_REQUEST.operator


def test_the_reason_for_use_is_at_most_200_characters() -> None:
    document = catalogue.document()
    document["items"][SHOP]["name"]["zh"] = "很" * 300
    found = plan(edition(document), SHOP_REQUEST, TODAY)
    one = next(iter(found.lookups.values()))
    assert len(question(found, one, "l", SHOP_REQUEST, "s", edition(document).catalog).matter.reason) == 200


def test_a_material_is_called_by_its_holder_unless_that_is_the_applicant() -> None:
    assert Requirement("identity").key == "identity"
    assert Requirement("identity", "spouse").key == "identity@spouse"


def test_the_small_list_of_these_tests_is_a_sound_list() -> None:
    """It passes the check that every published list passes; see tests/unit/test_catalog_check.py for the rules."""
    assert kit.request(1)["item"] in catalogue.document()["items"]
